"""A run as one file: equal to the model without mmjax, and refused when damaged."""

import json
import random
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import jax
import numpy as np
import pytest

import mmjax
from mmjax.errors import UserError
from mmjax.evaluation.predictions import Predictor
from mmjax.export import archive, export, int8, predictor, program
from mmjax.runs.restore import restore
from tests.cli.command import mmjax as command

pytestmark = pytest.mark.usefixtures("standard_promotion")
README = Path(mmjax.__file__).parent / "export" / "README.md"
ROWS = [
    {"image": np.arange(64, dtype=np.uint8).reshape(8, 8, 1) * 3, "text": "the digit seven"},
    {"image": None, "text": "a three"},
    {"image": np.full((8, 8, 1), 9, np.uint8), "text": None},
    {"image": None, "text": None},
]


@pytest.fixture(scope="module")
def exported(finished, tmp_path_factory):
    path = tmp_path_factory.mktemp("exported") / "model.zip"
    with jax.numpy_dtype_promotion("standard"):
        return path, export(finished[0], path)


def test_a_file_gives_what_the_model_gives_without_mmjax(finished, exported, tmp_path):
    model, variables, preprocessing = restore(finished[0])
    inputs = preprocessing({name: [row[name] for row in ROWS] for name in ROWS[0]})
    expected = model.apply(variables, inputs, train=False).values["match"]
    given = {f"{n}.{p}": x for n, one in program.plain(inputs).items() for p, x in one.items()}
    np.savez(tmp_path / "in.npz", **given)
    (loading,) = re.findall(r"```python\n(import zipfile.*?\n)image = ", README.read_text(), re.S)
    code = f"""
import sys
sys.modules["mmjax"] = None
{loading.replace("model.zip", str(exported[0]))}
given = np.load({str(tmp_path / "in.npz")!r})
inputs = {{n: {{p: given[f"{{n}}.{{p}}"] for p in ("values", "mask")}} for n in ("image", "text")}}
np.save({str(tmp_path / "out.npy")!r}, model(parameters, inputs)["match"])
one = jax.tree.map(lambda x: x[:1], inputs)
assert model(parameters, one)["match"].shape == (1,)
"""
    assert len(loading.splitlines()) <= 5
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), expected, rtol=0, atol=1e-5)


def test_a_served_file_answers_as_its_run(finished, exported):
    ours, theirs = predictor(exported[0]), Predictor(finished[0])
    assert [row["match"]["value"] for row in ours(ROWS)] == [
        row["match"]["value"] for row in theirs(ROWS)
    ]
    probabilities = [[row["match"]["probability"] for row in one(ROWS)] for one in (ours, theirs)]
    np.testing.assert_allclose(*probabilities, rtol=0, atol=1e-6)


def test_the_manifest_says_what_a_program_reads(exported, finished):
    manifest, entries = archive.read(exported[0])
    assert manifest["platforms"] == ["cpu", "cuda", "tpu"] and manifest["format"] == 1
    assert manifest["inputs"]["text"]["mask"] == {"shape": ["batch", 10], "dtype": "bool"}
    assert manifest["outputs"] == {"match": {"shape": ["batch"], "dtype": "float32"}}
    assert (
        json.loads(entries["parameters.json"]).keys()
        == program.named(restore(finished[0]).variables).keys()
    )
    assert "seven" in entries["vocabulary.text.txt"].decode().split()
    assert json.loads(entries["tokenizer.text.json"])["model"]


def test_the_file_names_no_folder_of_this_machine(finished, exported):
    content = exported[0].read_bytes()
    for folder in (Path(mmjax.__file__).parent.parent, Path(sys.prefix), finished[0].parent):
        assert str(folder).encode() not in content


def test_a_damaged_file_is_refused(exported, tmp_path):
    content, path = exported[0].read_bytes(), tmp_path / "damaged.zip"
    draws = random.Random(0)
    with zipfile.ZipFile(exported[0]) as file:
        inner = [i.header_offset + 60 + draws.randrange(i.file_size - 1) for i in file.infolist()]
    for place in inner:
        path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        with pytest.raises(UserError, match=r"damaged"):
            archive.read(path)
    for length in (0, 10, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(UserError, match="expected a model of mmjax export"):
            archive.read(path)


@pytest.mark.parametrize("name", [archive.MANIFEST, "preprocessing.json"])
def test_an_entry_that_was_changed_within_the_zip_is_refused(exported, tmp_path, name):
    with zipfile.ZipFile(exported[0]) as old, zipfile.ZipFile(tmp_path / "new.zip", "w") as new:
        for entry in old.namelist():
            content = old.read(entry)
            new.writestr(entry, content.replace(b"8", b"9", 1) if entry == name else content)
    with pytest.raises(UserError, match=f"{name} does not match its checksum"):
        archive.read(tmp_path / "new.zip")


def edited(source, target, **changes):
    """A copy of an archive whose checksums are right, with another manifest or other entries."""
    manifest, entries = archive.read(source)
    entries |= changes.pop("entries", {})
    manifest = {k: v for k, v in manifest.items() if k not in ("format", "files")} | changes
    archive.write(target, manifest, entries)
    return target


def test_another_format_version_and_a_program_of_another_jax_are_refused(exported, tmp_path):
    with pytest.raises(UserError, match="expected format 1, got 2"):
        archive.read(edited(exported[0], tmp_path / "a.zip", format=2))
    with pytest.raises(UserError, match="does not read this program"):
        predictor(edited(exported[0], tmp_path / "b.zip", entries={archive.PROGRAM: b"x" * 99}))


def test_a_file_of_another_kind_is_not_overwritten(finished, tmp_path):
    (tmp_path / "other.zip").write_bytes(b"mine")
    assert "expected a model of mmjax export" in command(
        "export", finished[0], "-o", tmp_path / "other.zip", code=1
    )
    assert (tmp_path / "other.zip").read_bytes() == b"mine"
    with pytest.raises(UserError, match=r"ends in \.zip"):
        export(finished[0], tmp_path / "model.bin")
    with pytest.raises(UserError, match="is not a run"):
        export(tmp_path, tmp_path / "model.zip")
    assert not (tmp_path / "model.zip").exists()


def test_a_program_that_differs_from_the_model_is_not_written(finished, tmp_path, monkeypatch):
    exact = program.unnamed
    monkeypatch.setattr(
        program,
        "unnamed",
        lambda tree, parameters: jax.tree.map(
            lambda x: x + 1e-3 if isinstance(x, jax.core.Tracer) else x, exact(tree, parameters)
        ),
    )
    with pytest.raises(UserError, match=r"differs from the model by .* nothing was written"):
        export(finished[0], tmp_path / "model.zip")
    assert not list(tmp_path.iterdir())


def test_int8_rounds_by_half_a_step_at_most_and_says_what_it_costs(finished, tmp_path):
    path = tmp_path / "small.zip"
    shown = command("export", finished[0], "-o", path, "--int8", "--split", "validation")
    assert "in int8" in shown and "match/accuracy" in shown
    manifest, _ = archive.read(path)
    assert manifest["int8"]["split"] == "validation"
    exact, rounded = manifest["int8"]["metrics"]["match/loss"]
    assert exact != rounded and abs(exact - rounded) < 0.05
    (ours, *_), (theirs, *_) = predictor(path)(ROWS), Predictor(finished[0])(ROWS)
    assert ours["match"]["probability"] == pytest.approx(theirs["match"]["probability"], abs=0.02)
    parameters = program.named(restore(finished[0]).variables)
    packed = int8.quantised(parameters)
    small, large = (sum(x.nbytes for x in one.values()) for one in (packed, parameters))
    assert small < 0.5 * large  # most arrays of this model are too small to be packed
    for name, values in int8.dequantised(packed).items():
        if name + int8.SCALE in packed:
            error = np.abs(np.asarray(values) - parameters[name])
            assert np.all(error <= 0.51 * packed[name + int8.SCALE])
        else:
            np.testing.assert_array_equal(values, parameters[name])


def test_a_channel_of_zeros_stays_zero():
    kernel = np.concatenate([np.zeros((32, 4)), np.ones((32, 4))], axis=1).astype(np.float32)
    np.testing.assert_array_equal(int8.dequantised(int8.quantised({"k": kernel}))["k"], kernel)


def test_without_flatbuffers_the_extra_is_named(monkeypatch):
    """JAX raises an ImportError of its own, which is no ModuleNotFoundError."""

    def refuse(*given):
        raise ImportError("Please install 'flatbuffers' in order to use Exported serialization")

    one = jax.export.export(jax.jit(lambda x: x))(np.float32(1))
    monkeypatch.setattr(jax.export.Exported, "serialize", refuse)
    monkeypatch.setattr(jax.export, "deserialize", refuse)
    for call, given in ((program.serialized, one), (program.deserialized, b"")):
        with pytest.raises(UserError, match=r"pip install 'mmjax\[export\]' \(flatbuffers"):
            call(given)
