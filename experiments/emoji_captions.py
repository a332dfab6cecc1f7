"""What is on the picture? Names of emoji that were never seen, written word by word.

From pictures (Fluent Emoji 3D, 32 x 32) to their English names (emojibase), such as "red apple". A
fifth of the subgroups are for the test, so nothing like a test picture was trained on and many
of its words were never seen; or, with --split concept, a fifth of the concepts. A Transformer and
an LSTM decoder, both of which attend to the patches of a vision transformer, against the name of
the training picture that is most alike by colour and HOG (Dalal and Triggs 2005).

    npm pack emojibase-data@17.0.0 @lobehub/fluent-emoji-3d@1.1.0
    python experiments/emoji_captions.py --manual-dir .
    python experiments/emoji_captions.py --manual-dir . --fast    # does it run?

writes rows.csv with its pictures, the runs, results.json and for each decoder a sheet of the best
and the worst names (captions_lstm.png) to runs/emoji_captions; the same command goes on where it
was stopped. A run then names your own pictures:

    mmjax predict runs/emoji_captions/subgroup/lstm/seed-0 --image a.png --num 5

By subgroup BLEU-1 is 4.5 ± 0.5 % with the Transformer and 4.0 ± 0.6 % with the LSTM (3 seeds), and
6.4 with the nearest picture's name; about 14 minutes on two CPU cores that other work shared.
"""

from collections.abc import Mapping, Sequence
from csv import DictReader, DictWriter
from pathlib import Path
from typing import Any, Literal

import emoji_search
import numpy as np
import tyro
from flax import linen as nn

import mmjax
from mmjax.config.sweep import Point
from mmjax.data.tables import columns
from mmjax.devices import compilation_cache
from mmjax.evaluation.predictions import Predictor
from mmjax.io import json_file
from mmjax.metrics.text import text_metrics
from mmjax.train.loop.many_runs import fit_many

SIDE = emoji_search.SIDE
METRICS = ("bleu_1", "bleu_4", "rouge_l", "chrf", "cider_d", "exact_match")
SHOWN = 12  # best and worst names in the picture, each


def write_table(manual_dir: Path, out: Path) -> None:
    """Write rows.csv, a row for each picture with its name, and a folder of pictures."""
    emoji_search.write_table(manual_dir, out, ("en",))
    with (out / "rows.csv").open(newline="", encoding="utf-8") as file:
        rows: dict[str, Mapping[str, str]] = {}
        for row in DictReader(file):
            rows.setdefault(row["image"], row)  # the name comes before the tags
    with (out / "names.csv").open("w", newline="", encoding="utf-8") as file:
        writer: DictWriter[str] = DictWriter(file, next(iter(rows.values())))
        writer.writeheader()
        writer.writerows(rows.values())


def table(folder: Path, split: str) -> mmjax.data.TableData:
    """A fifth of the subgroups or concepts are for the test."""
    return mmjax.data.TableData(
        file="names.csv",
        data_dir=str(folder),
        columns={
            "image": columns.ImageColumn(size=(SIDE, SIDE)),
            "name": columns.TextTargetColumn(column=("words",)),
        },
        group=split,
        shares=(0.05, 0.2),
        augment=mmjax.data.ImageAugment(shift=3.0, rotation=15.0, scale=0.2),
    )


def experiment(data: mmjax.data.TableData, decoder: str, steps: int) -> mmjax.Experiment:
    """A small vision transformer whose patches a decoder attends to."""
    kind: Any = data.preprocessing().targets["name"]
    fields: dict[str, Any] = {
        "target": "name",
        "vocabulary_size": kind.vocabulary_size,
        "length": kind.max_words,
        "width": 96,
        "dropout": 0.3,
        "beams": 4,
    }
    heads: dict[str, nn.Module] = {
        "transformer": mmjax.heads.TransformerDecoder(**fields),
        "lstm": mmjax.heads.LstmDecoder(**fields),
    }
    loss = mmjax.objectives.TextCrossEntropy(output="name", target="name", label_smoothing=0.1)
    return mmjax.Experiment(
        model=mmjax.Multimodal(
            encoders={"image": mmjax.encoders.Vit(patch=4, width=96, layers=2, heads=4)},
            fusion=mmjax.fusion.Early(layers=1, dim=96, dropout=0.1),
            heads={"name": heads[decoder]},
        ),
        objectives={"name": loss},
        data=data,
        optim=mmjax.optim.AdamW(peak_lr=1e-3, weight_decay=0.1),
        steps=steps,
        batch_size=64,
        ema=0.998,
        keeping=mmjax.Keeping(eval_every=steps, log_every=250, keep=1),
    )


def pictures(data: mmjax.data.TableData, split: str) -> tuple[np.ndarray, list[str]]:
    """Pixels `[n, height, width, 3]` and names of a split."""
    source = data.source(split)
    found = source.read(np.arange(len(source)), None)
    return np.stack(list(found.inputs["image"])), [str(name) for name in found.targets["name"]]


def nearest(data: mmjax.data.TableData, pixels: np.ndarray) -> list[str]:
    """For each picture the name of the training picture that is most alike."""
    train, names = pictures(data, "train")
    a, b = emoji_search.features(train), emoji_search.features(pixels)
    distances = np.sum(a**2, 1)[None] - 2 * b @ a.T  # without a term that is the same in a row
    return [names[place] for place in np.argmin(distances, axis=1)]


def draw(path: Path, pixels: np.ndarray, written: Sequence[str], names: Sequence[str]) -> None:
    """A sheet of the pictures with the best and the worst written names, by chrF."""
    from matplotlib.figure import Figure

    scores = [text_metrics([w], [[n]])["chrf"] for w, n in zip(written, names, strict=True)]
    order = np.argsort(scores)[::-1]
    chosen = [*order[:SHOWN], *order[-SHOWN:]]
    figure = Figure(figsize=(12, 8.5), layout="constrained")
    figure.suptitle("The best (above) and the worst names of test pictures; in brackets the truth")
    axes = figure.subplots(4, SHOWN // 2).ravel()
    for axis, place in zip(axes, chosen, strict=True):
        axis.imshow(pixels[place])
        axis.set_axis_off()
        axis.set_title(f"{written[place]}\n({names[place]})", fontsize=8, wrap=True)
    figure.savefig(path, dpi=110)


def main(
    manual_dir: Path,
    fast: bool = False,
    split: Literal["subgroup", "concept"] = "subgroup",
    decoders: tuple[Literal["transformer", "lstm"], ...] = ("transformer", "lstm"),
    seeds: int = 3,
    steps: int = 1000,
    workdir: Path = Path("runs/emoji_captions"),
) -> None:
    """Train each decoder, print a table and draw a sheet of names.

    Args:
        manual_dir: folder with the two tarballs
        fast: one decoder, 2 seeds, 30 steps and 40 test pictures
        split: what stays together: a subgroup such as "food-fruit", or a concept
        decoders: transformer, lstm
        seeds: trainings of each decoder, at least 2
        steps: steps of each training
        workdir: the folder for the table, the runs and the results
    """
    compilation_cache.enable()
    if fast:
        decoders, seeds, steps = decoders[:1], 2, 30
        workdir = workdir.with_name(f"{workdir.name}_fast")
    if not (workdir / "names.csv").exists():
        write_table(manual_dir, workdir)
    data = table(workdir, split)
    data.prepare()
    pixels, names = pictures(data, "test")
    if fast:
        pixels, names = pixels[:40], names[:40]
    true = [[name] for name in names]
    common = max(pictures(data, "train")[1], key=pictures(data, "train")[1].count)
    results: dict[str, list[dict[str, float]]] = {
        "one name for all": [text_metrics([common] * len(names), true)],
        "nearest picture": [text_metrics(nearest(data, pixels), true)],
    }
    for decoder in decoders:
        home = workdir / split / decoder
        runs = fit_many([Point({}, experiment(data, decoder, steps))], home, seeds=seeds)
        results[decoder] = []
        for run in runs:
            answers = Predictor(home / run.name)([{"image": picture} for picture in pixels])
            written = [answer["name"]["value"] for answer in answers]
            results[decoder].append(text_metrics(written, true))
        draw(workdir / f"captions_{decoder}.png", pixels, written, names)
    json_file.write(workdir / "results.json", {"split": split, "steps": steps, "results": results})
    print(described(results))


def described(results: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    """A Markdown table: mean and standard deviation over seeds, in hundredths but CIDEr-D."""
    lines = [f"| names from | {' | '.join(METRICS)} |", "| --- " * (1 + len(METRICS)) + "|"]
    for name, found in results.items():
        cells = []
        for metric in METRICS:
            values = np.array([one[metric] for one in found]) * (1 if metric == "cider_d" else 100)
            spread = f" ± {values.std(ddof=1):.2f}" if len(values) > 1 else ""
            cells.append(f"{values.mean():.2f}{spread}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
