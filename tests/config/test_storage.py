import copy
import dataclasses
import json

import pytest

from mmjax.config import Compute, Keeping, registry, storage
from mmjax.config.experiment import Experiment
from mmjax.config.registry import FAMILIES, fields
from mmjax.data.datasets import MnistMatch, TableData
from mmjax.data.tables import columns
from mmjax.data.transforms.augment import ImageAugment
from mmjax.fusion import Sum
from mmjax.optim import Sgd
from tests.config.experiments import SMALL, small


def round_trip(experiment):
    return storage.from_json(json.loads(json.dumps(storage.to_json(experiment))))


def test_an_experiment_comes_back_equal():
    data = MnistMatch(augment=ImageAugment(shift=2.0, cutout=3), manual_dir="x")
    for experiment in (SMALL, small(data=data, optim=Sgd(clip_norm=1.0), devices=2)):
        assert round_trip(experiment) == experiment
    assert round_trip(SMALL) != small(seed=1)


def test_no_name_stands_for_two_classes():
    classes = [cls for _, cls in registry.tags()]
    assert len(set(classes)) == len(classes) == sum(len(table) for table in FAMILIES.values())


def broken(path, value):
    data = copy.deepcopy(storage.to_json(SMALL))
    place = data
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return data


@pytest.mark.parametrize(
    "path, value, message",
    [
        (["format"], 99, r"a configuration of format 3 or 4 or 5 or 6, got 99; another version"),
        (["model", "fusion", "type"], "fusion/sun", r"unknown type 'fusion/sun'.*'fusion/sum'"),
        (["optim", "type"], "fusion/sum", r"unknown type 'fusion/sum'.*'optim/adam'"),
        (["optim", "peak"], 1.0, r"optim/adam has no field \['peak'\]; its fields are \['peak_lr'"),
        (["steps"], "many", r"expected int, got 'many'.*steps"),
        (["steps"], 3.7, r"expected int, got 3.7"),
        (["keeping", "tensorboard"], "no", r"expected bool, got 'no'"),
        (["objectives", "match", "output"], "y", r"no head 'y'; choose --objectives.match.output"),
        (["stepz"], 3, r"stepz"),
        (["batch_size"], 0, r"--batch-size: expected at least 1, got 0"),
        (["model", "encoders", "image"], {"dim": 3}, r"expected an object with a 'type'"),
        (["compute", "parallel"], "magic", r"magic"),
    ],
)
def test_what_is_wrong_in_a_file_is_said(path, value, message):
    with pytest.raises(ValueError, match=message) as error:
        storage.from_json(broken(path, value), "runs/x/config.json")
    assert str(error.value).startswith("runs/x/config.json: ")


def test_a_file_that_is_no_json_is_named(tmp_path):
    for content in (b"{", b"\xff\xfe"):
        (tmp_path / "config.json").write_bytes(content)
        with pytest.raises(ValueError, match=r"config\.json: not a JSON file"):
            storage.load(tmp_path / "config.json")


def test_differences_are_listed_by_field():
    other = small(seed=3, model=dataclasses.replace(SMALL.model, fusion=Sum()))
    found = list(storage.differences(storage.to_json(SMALL), storage.to_json(other)))
    assert "seed: 3 there, 0 here" in found
    assert "model.fusion.type: 'fusion/sum' there, 'fusion/concat' here" in found
    assert not any(line.startswith("model.encoders") for line in found)


def test_how_a_run_is_computed_and_kept_and_where_its_data_lie_is_no_identity():
    here = small(data=MnistMatch(manual_dir="a", data_dir="b"))
    there = small(
        data=MnistMatch(manual_dir="c"),
        compute=Compute(parallel="jit", devices=2, remat=True, accumulate=2),
        keeping=Keeping(keep=7, tensorboard=True),
    )
    assert storage.identity(here) == storage.identity(there)
    for changes in (
        {"seed": 1},
        {"data": MnistMatch(max_words=3)},
        {"batch_size": 8},
        {"ema": 0.5},
    ):
        assert storage.identity(small(**changes)) != storage.identity(here)
    places = ({}, {"data_dir": "there"}, {"report": "r.csv"}, {"memory": 1.0}, {"prepared": "p"})
    first, *others = (storage.identity(small(data=TableData("x", **where))) for where in places)
    assert all(other == first for other in others)
    assert first != storage.identity(small(data=TableData("y")))


def test_columns_of_a_csv_file_in_format_5_are_converted():
    content = storage.to_json(small()) | {"format": 5}
    content["data"] = {
        "type": "data/csv", "file": "a.csv", "images": ["photo"], "texts": ["text"], "tables": [],
        "labels": ["match"], "classes": ["kind"], "unknown_class": "missing", "split": "split",
        "image_size": [8, 9], "grey": True, "max_words": 7, "word_dropout": 0.5, "max_tokens": 2,
        "sample_rate": 8000,
    }  # fmt: skip
    assert storage.from_json(content).data == TableData(
        "a.csv",
        columns={
            "photo": columns.ImageColumn(size=(8, 9), grey=True),
            "text": columns.TextColumn(max_words=7, dropout=0.5),
            "match": columns.BinaryColumn(),
            "kind": columns.ClassColumn(unknown="missing"),
        },
        split="split",
    )


@pytest.mark.parametrize("name", ["steps", "batch_size", "eval_every", "log_every", "keep"])
def test_counts_below_one_are_refused_by_their_flag(name):
    with pytest.raises(ValueError, match=f"--{name.replace('_', '-')}: expected at least 1, got 0"):
        small(**{name: 0})
    with pytest.raises(ValueError, match="--devices: expected at least 1, got 0"):
        small(devices=0)


def test_the_fields_of_an_experiment_are_explained():
    documented = [line.strip() for line in Experiment.__doc__.split("Attributes:")[1].splitlines()]
    for field in fields(Experiment):
        assert any(line.startswith(f"{field.name}: ") for line in documented), field.name


def test_a_configuration_is_led_from_format_to_format_up_to_today(monkeypatch):
    """An artificial history: `steps` was `updates` once, and `updates` was counted in hundreds."""

    def renamed(old):
        return {("steps" if key == "updates" else key): value for key, value in old.items()}

    def counted(old):
        return old | {"updates": old["updates"] * 100}

    monkeypatch.setattr(storage, "FORMAT", 7)
    monkeypatch.setattr(storage, "MIGRATIONS", {5: counted, 6: renamed})
    new = storage.to_json(small(steps=200))
    assert new["format"] == 7 and storage.from_json(new) == small(steps=200)
    middle = {("updates" if key == "steps" else key): value for key, value in new.items()}
    assert storage.from_json(middle | {"format": 6}) == small(steps=200)
    assert storage.from_json(middle | {"format": 5, "updates": 2}) == small(steps=200)
    with pytest.raises(ValueError, match="expected a configuration of format 5 or 6 or 7, got 4"):
        storage.from_json(middle | {"format": 4})


def test_every_older_format_has_a_way_to_this_one():
    assert sorted(storage.MIGRATIONS) == list(range(3, storage.FORMAT))


def test_a_home_folder_is_written_as_a_tilde_and_read_as_the_readers_own(monkeypatch):
    monkeypatch.setenv("HOME", "/home/lovelace")
    experiment = small(data=MnistMatch(manual_dir="/home/lovelace/mnist", data_dir="/home/love"))
    written = storage.to_json(experiment)
    assert (
        written["data"]["manual_dir"] == "~/mnist" and written["data"]["data_dir"] == "/home/love"
    )
    assert storage.from_json(written) == experiment
    for text in ("~/x", "\\~/x", "\\\\x", "/home/lovelace", "~"):  # what only looks like it
        experiment = small(data=MnistMatch(manual_dir=text))
        assert round_trip(experiment) == experiment
    monkeypatch.setenv("HOME", "/home/babbage")
    assert storage.from_json(written).data.manual_dir == "/home/babbage/mnist"


def test_a_configuration_with_a_changed_value_is_damaged(tmp_path):
    storage.save(tmp_path / "config.json", SMALL)
    text = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(text.replace('"steps": 6', '"steps": 7'))
    with pytest.raises(ValueError, match=r"config\.json: damaged"):
        storage.load(tmp_path / "config.json")


def test_a_file_that_would_take_minutes_to_check_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(" " * (storage.BYTE_LIMIT + 1))
    with pytest.raises(
        ValueError, match=r"config\.json: expected at most 1,000,000 bytes, got 1,0"
    ):
        storage.load(tmp_path / "config.json")


def test_of_many_mistakes_the_first_are_said():
    data = broken(["model", "encoders", "image", "features"], ["x"] * 30)
    with pytest.raises(ValueError, match=r"expected int, got 'x' @ .*and 10 more$"):
        storage.from_json(data)
