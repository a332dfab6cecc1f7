import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save, save_file

from mmjax.weights.files import INDEX_LIMIT, read

TENSORS = {
    "a.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "a.bias": np.array([0.5, -2], np.float32),
    "b.count": np.array(3),
}
NAME = "model.safetensors"
INDEX = "model.safetensors.index.json"


def shards(folder: Path, **changes) -> Path:
    """The tensors in two files with an index, which may hold something else."""
    save_file({"a.weight": TENSORS["a.weight"]}, folder / "model-1.safetensors")
    save_file({n: TENSORS[n] for n in ("a.bias", "b.count")}, folder / "model-2.safetensors")
    places = {
        "a.weight": "model-1.safetensors",
        "a.bias": "model-2.safetensors",
        "b.count": "model-2.safetensors",
    }
    index = folder / INDEX
    index.write_text(json.dumps({"metadata": {}, "weight_map": places | changes}))
    return index


def same(found):
    assert found.keys() == TENSORS.keys()
    for name, x in TENSORS.items():
        np.testing.assert_array_equal(found[name], x, strict=True)


def test_one_file_or_several_or_their_folder_hold_the_same(tmp_path):
    save_file(TENSORS, tmp_path / NAME)
    same(read(tmp_path / NAME))
    same(read(tmp_path))
    (tmp_path / "several").mkdir()
    index = shards(tmp_path / "several")
    same(read(index))
    same(read(tmp_path / "several"))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_floating_point_of_any_width_is_widened(tmp_path, dtype):
    save_file({"x": np.asarray([1.5, -0.25], jnp.dtype(dtype))}, tmp_path / NAME)
    np.testing.assert_array_equal(
        read(tmp_path)["x"], np.array([1.5, -0.25], np.float32), strict=True
    )


def test_what_is_not_there_is_said_with_what_was_expected(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none: no such file; expected a \.safetensors fi"):
        read(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match=rf"{tmp_path}: this folder holds neither a \.safe"):
        read(tmp_path)


def test_a_folder_with_several_files_is_not_guessed_at(tmp_path):
    for name in ("a", "b"):
        save_file(TENSORS, tmp_path / f"{name}.safetensors")
    with pytest.raises(ValueError, match=r": holds a\.safetensors, b\.safetensors; name one of"):
        read(tmp_path)


@pytest.mark.parametrize("data", [b"", b"abc", b"\x80\x02}q\x00.", b"\xff" * 20, bytes(8)])
def test_what_is_no_safetensors_file_is_refused_by_name(tmp_path, data):
    (tmp_path / NAME).write_bytes(data)
    with pytest.raises(ValueError, match=rf"{NAME}: not a safetensors file, or cut short"):
        read(tmp_path)


def test_a_file_that_is_cut_short_anywhere_is_refused(tmp_path):
    whole = save(TENSORS)
    for length in range(len(whole)):
        (tmp_path / NAME).write_bytes(whole[:length])
        with pytest.raises(ValueError, match=rf"{NAME}: not a safetensors file, or cut short"):
            read(tmp_path)


def test_a_damaged_header_gives_tensors_or_a_value_error(tmp_path):
    whole, random = save(TENSORS), np.random.default_rng(0)
    header = 8 + int.from_bytes(whole[:8], "little")
    outcomes = set()
    for trial in range(2000):
        damaged = bytearray(whole)
        for place in random.integers(0, header, 1 + trial % 3):
            damaged[place] = random.integers(0, 256)
        (tmp_path / NAME).write_bytes(damaged)
        try:
            read(tmp_path)
            outcomes.add("read")
        except ValueError as error:
            assert NAME in str(error)
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}


def test_numbers_of_an_unknown_type_are_refused(tmp_path):
    header = json.dumps({"x": {"dtype": "F8_E4M3", "shape": [2], "data_offsets": [0, 2]}}).encode()
    (tmp_path / NAME).write_bytes(len(header).to_bytes(8, "little") + header + b"\0\0")
    with pytest.raises(ValueError, match=rf"{NAME}: holds numbers of a type that cannot be read"):
        read(tmp_path)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "3", "null", "{}", '{"weight_map": 3}', '{"weight_map": {"a": ["b"]}}']
    + ["[" * 100_000, "\ud800"],
    ids=range(10),
)
def test_what_is_no_index_is_refused_by_name(tmp_path, text):
    (tmp_path / INDEX).write_text(text, errors="surrogatepass")
    with pytest.raises(ValueError, match=rf"{INDEX}: not an index of safetensors files"):
        read(tmp_path)


@pytest.mark.parametrize(
    "shard",
    ["../out.safetensors", "/out.safetensors", "sub/out.safetensors", "..\\out.safetensors"]
    + ["C:out.safetensors", "", ".", "..", "a\0.safetensors", "model.bin", 3, None],
)
def test_an_index_may_not_reach_out_of_its_folder(tmp_path, shard):
    (tmp_path / "in" / "sub").mkdir(parents=True)
    for place in (tmp_path, tmp_path / "in" / "sub"):
        save_file({"a.bias": TENSORS["a.bias"]}, place / "out.safetensors")
    index = shards(tmp_path / "in", **{"a.bias": shard})
    with pytest.raises(ValueError, match=rf"{INDEX}: .* is not the name of a file beside it"):
        read(index)


def test_an_index_that_does_not_fit_its_files_is_refused(tmp_path):
    with pytest.raises(ValueError, match=rf"{INDEX}: names 'no\.safetensors', which is not beside"):
        read(shards(tmp_path, **{"a.bias": "no.safetensors"}))
    with pytest.raises(ValueError, match=r"model-1\.safetensors: does not hold a\.bias, which the"):
        read(shards(tmp_path, **{"a.bias": "model-1.safetensors"}))
    index = shards(tmp_path)
    (tmp_path / "model-2.safetensors").write_bytes(b"no")
    with pytest.raises(ValueError, match=r"model-2\.safetensors: not a safetensors file"):
        read(index)


def test_an_index_that_would_take_the_memory_is_refused(tmp_path):
    (tmp_path / INDEX).write_bytes(b"[" * (INDEX_LIMIT + 1))
    with pytest.raises(ValueError, match=rf"{INDEX}: expected an index of at most 20,000,000 byt"):
        read(tmp_path)
