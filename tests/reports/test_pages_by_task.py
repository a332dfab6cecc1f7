"""Pages about a number, several labels and sounds, and about pairs: small runs of few steps."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.io import wavfile

import mmjax
from mmjax.data.tables import columns
from mmjax.evaluation.examined import disturbed
from mmjax.reports.report import Report
from mmjax.reports.sections import SECTIONS
from mmjax.reports.sections.attention import _map
from mmjax.reports.sections.attributions import batch_of
from mmjax.train.loop.fit import fit
from mmjax.types import Masked
from tests import browser
from tests.data.tables.made import made, picture, splits
from tests.reports.pages import names_of_pictures

pytestmark = pytest.mark.usefixtures("standard_promotion")
RATE = 2000


def trained(folder, model, objectives, data, steps):
    fit(
        mmjax.Experiment(
            model=model,
            objectives=objectives,
            data=data,
            optim=mmjax.optim.Adam(peak_lr=0.02),
            steps=steps,
            batch_size=16,
            seed=3,
            keeping=mmjax.Keeping(eval_every=steps, log_every=1),
        ),
        folder / "run",
    )
    return folder / "run"


@pytest.fixture(scope="module")
def heard(tmp_path_factory):
    """(report, page, folder of figures) of a picture, a sound and a table of 23 categories."""
    folder, rng = tmp_path_factory.mktemp("heard"), np.random.default_rng(0)
    cells = [f"c{i}" for i in range(23)]
    rows = []
    for i in range(60):
        pitch = int(rng.integers(1, 6)) * 150
        samples = 0.3 * np.sin(2 * np.pi * pitch * np.arange(600) / RATE)
        wavfile.write(folder / f"{i}.wav", RATE, (samples * 2**15).astype(np.int16))
        tags = ["high"] * (pitch > 400) + ["odd"] * (i % 2)
        row = {"sound": f"{i}.wav", "image": picture(folder / f"{i}.png", i), "pitch": pitch}
        row |= {"tags": ";".join(tags) or ";", "part": splits(60)[i], "shop": f"street {i}"}
        rows.append(row | {cell: rng.choice(["x", "y", "z"]) for cell in cells})
    with jax.numpy_dtype_promotion("standard"):
        data = made(
            folder,
            rows,
            {
                "image": columns.ImageColumn(size=(4, 4)),
                "sound": columns.SoundColumn(sample_rate=RATE),
                "table": columns.TableColumn(column=tuple(cells)),
                "pitch": columns.NumberColumn(unit="Hz"),
                "tags": columns.MultiLabelColumn(),
            },
            split="part",
        )
        sound = mmjax.encoders.AudioCnn(
            sample_rate=RATE, window=0.032, hop=0.016, mels=8, features=(4,), dim=8
        )
        model = mmjax.Multimodal(
            encoders={
                "image": mmjax.encoders.Cnn((4,), 8),
                "sound": sound,
                "table": mmjax.encoders.TableMlp(8, (8,), categories=(3,) * 23),
            },
            fusion=mmjax.fusion.Concat(),
            heads={"pitch": mmjax.heads.Number(), "tags": mmjax.heads.Logit(labels=2)},
        )
        objectives = {
            "pitch": mmjax.objectives.SquaredError(output="pitch", target="pitch"),
            "tags": mmjax.objectives.BinaryCrossEntropy(output="tags", target="tags"),
        }
        run = trained(folder, model, objectives, data, 20)
        report = Report(run, sample=9, resamples=20, by=("shop",), figures=folder / "figures")
        report.write(folder / "page.html", SECTIONS)
    return report, (folder / "page.html").read_text(), folder / "figures"


@browser.needed
def test_a_page_of_pictures_sounds_and_tables_in_a_browser(heard):
    path = heard[2].parent / "page.html"
    browser.look(path)
    browser.print_out(path)
    browser.walk(path)


def section(text, title):
    (found,) = re.findall(rf"<h2>{title}</h2>(.*?)</section>", text, re.S)
    return found


def test_every_picture_has_a_name_and_every_figure_a_table(heard, paired):
    for text in (heard[1], paired):
        assert all(names_of_pictures(text))
        figures = re.findall(r"<figure>(.*?)</figure>", text, re.S)
        assert figures and all("<table>" in one.split("<details>")[1] for one in figures)
    files = {file.name for file in heard[2].iterdir()}
    for name in re.findall(
        r"<small>example (\d+)</small>", section(heard[1], "What the model looks at")
    ):
        assert f"pitch_example_{name}_sound_integrated.png" in files


def test_samples_without_a_rate_are_those_of_the_encoder(heard, monkeypatch):
    report, samples = heard[0], np.array([0, 2**14], np.int16)
    examples = mmjax.data.Examples({"sound": [samples, None]}, {})
    monkeypatch.setattr(report.examined.source, "read", lambda rows, rng: examples)
    first, second = (one["sound"] for one in report.inputs(np.arange(2)))
    assert first.sample_rate == 2000 and first.samples.tolist() == [0, 0.5] and second is None


def test_a_number_is_scattered_and_sounds_can_be_played(heard):
    _, text, figures = heard
    assert (figures / "pitch_residuals_1.svg").exists()
    numbers = section(text, "Numbers")
    assert "predicted (Hz)" in numbers and "mean residual, fifth 5" in numbers
    examples = section(text, "Examples")
    assert examples.count("<audio controls") == examples.count("class=card") > 8
    assert 'src="data:audio/wav;base64,UklGR' in examples


def test_what_was_trained_and_how_it_went(heard):
    text = heard[1]
    first = section(text, "What was trained")
    for words in ("encoders: sound", "audio_cnn (sample_rate 2000", "peak_lr 0.02", "step</td>"):
        assert words in first
    rows = dict(re.findall(r'<td class="short">([\w ]+)</td><td[^>]*>([^<]+)</td>', first))
    assert rows["steps"] == rows["checkpoint of step"] == "20" and rows["seed"] == "3"
    assert rows["batch size"] == "16" and rows["mmjax"] and "fusion" in rows
    curves = section(text, "Training")
    assert re.search(r"Curves of loss, pitch/\w+, tags/accuracy", curves)


def test_each_label_has_its_counts_and_curves(heard):
    report, text, _ = heard
    task = next(task for task in report.tasks if task.family == "labels")
    output, target = task.records["output"] > 0, task.records["target"] > 0.5
    labels, wrong = section(text, "Labels"), []
    for name, said, true in zip(task.names, output.T, target.T, strict=True):
        counts = [np.sum(a & b) for a, b in ((said, true), (said, ~true), (~said, true))]
        cells = "".join(f'<td class="number">{n}</td>' for n in (*counts, 12 - sum(counts)))
        assert f'<td class="short">{name}</td>{cells}' in labels
        wrong.append(counts[1] - counts[2])
    assert any(wrong)  # else one could stand for the other
    assert "ROC and precision-recall" in labels and "Reliability diagram" in labels


def test_the_sample_is_drawn_and_the_page_says_so(heard):
    report, text, _ = heard
    assert sorted(report.examined.rows) != list(range(9))
    part = "9 of 12 examples, drawn at random with a fixed seed"
    assert part in section(text, "Modalities") and part in section(
        text, "Missing and noisy modalities"
    )
    np.testing.assert_array_equal(
        report.examined.changed()["pitch"]["target"],
        report.tasks[0].records["target"][report.examined.rows],
    )


def test_categories_are_disturbed_and_the_lowest_curve_of_each_panel_is_named(heard):
    report, text, _ = heard
    as_is = report.examined.changed()["pitch"]["output"]
    assert not np.array_equal(
        as_is, report.examined.changed(noise={"table": 0.9})["pitch"]["output"]
    )
    np.testing.assert_allclose(
        as_is, report.examined.changed(noise={"table": 0.0})["pitch"]["output"]
    )
    shown = section(text, "Missing and noisy modalities")
    alt = re.findall(r"Curves of r2 of each modality; ([^\"]*)", shown)[0].split("; ")
    numbers = shown[: shown.index("</figure>")]
    cells = r"<td[^>]*>(\w+)</td><td[^>]*>([^<]*): area</td><td[^>]*>[^<]*</td><td[^>]*>([^<]*)"
    areas = re.findall(cells, numbers)
    assert len(areas) == 6 and len(alt) == 2
    shares = re.findall(r"<td[^>]*>table</td><td[^>]*>noise[^:<]*</td><td[^>]*>([^<]*)", numbers)
    assert shares == ["0", "0.1", "0.25", "0.5", "0.9"]
    for said, panel in zip(alt, dict.fromkeys(panel for _, panel, _ in areas), strict=True):
        least = min((float(size), name) for name, own, size in areas if own == panel)[1]
        assert said.startswith(f"against {panel} the curve of {least} is lowest")


def test_cells_come_from_examples_that_have_them():
    rng = np.random.default_rng(0)
    values = np.stack([np.arange(8), rng.normal(size=8)], axis=1).astype(np.float32)
    mask = np.ones((8, 2), bool)
    mask[0, 0] = mask[6:] = False
    for noise in (0.5, 1.0):
        own = jnp.float32(noise), np.array([False, True]), jax.random.key(0)
        got = disturbed(Masked(values, mask), jnp.ones(8, bool), *own)
        cells = np.asarray(got.values)[:, 0]
        assert cells[0] == 0 and set(cells[1:6]) <= {1, 2, 3, 4, 5}
        same = np.sum(cells[1:6] == values[1:6, 0])
        assert 0 < same < 5 if noise < 1 else same < 5
        np.testing.assert_array_equal(got.mask, mask)
        assert (np.asarray(got.values)[:6, 1] != values[:6, 1]).all()


def test_all_cells_up_to_20_are_listed_the_others_together(heard):
    looks = section(heard[1], "What the model looks at")
    card = looks.split("<div class=card>")[1]
    cells = re.findall(r'class="word"[^>]*>(.*?)</span>', card)
    assert len(cells) == 21 and cells[-1].startswith("others (3)")
    assert all(re.search(r"<small>[+-]\S+ \(\S+\)</small>", cell) for cell in cells)


def test_attention_to_a_picture_is_a_map_with_a_name_and_a_file(heard):
    report, _, figures = heard
    (value,) = report.inputs(np.array([0]))
    shares = np.eye(17, dtype=np.float32)[6]  # a class token stands first
    drawn = _map(
        report, "seen", "image", value["image"], batch_of(report, np.array([0])), 0, shares
    )
    assert "strongest at row 1, column 1: 1" in drawn.body and (figures / "seen_image.png").exists()
    assert drawn.strongest()[0] == ("row 1, column 1", 1.0)


@pytest.fixture(scope="module")
def paired(tmp_path_factory):
    """The page about a dual encoder."""
    folder = tmp_path_factory.mktemp("paired")
    rows = [
        {"image": picture(folder / f"{i}.png", i), "words": f"picture {i % 7}", "part": part}
        for i, part in enumerate(splits(40))
    ]
    with jax.numpy_dtype_promotion("standard"):
        data = made(
            folder,
            rows,
            {"image": columns.ImageColumn(size=(4, 4)), "words": columns.TextColumn()},
            split="part",
        )
        encoders = {
            "image": mmjax.encoders.Cnn((4,), 4),
            "words": mmjax.encoders.BagOfWords(12, dim=4),
        }
        model = mmjax.DualEncoder(encoders=encoders, dim=4)
        run = trained(folder, model, {"pairs": mmjax.objectives.InfoNce()}, data, 2)
        Report(run, resamples=20).write(folder / "page.html", SECTIONS)
    return (folder / "page.html").read_text()


def test_pairs_show_searches_that_failed(paired):
    assert "pairs compares two modalities: it needs both." in section(paired, "Modalities")
    examples = section(paired, "Examples")
    assert "image by words" in examples and "<small>found</small>" in examples
    assert "recall_1_" in section(paired, "Metrics") and "Curves of loss, pairs/" in paired
