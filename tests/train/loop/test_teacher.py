"""A run with two senses teaches one that has a single sense."""

import dataclasses
import shutil

import jax
import numpy as np
import pytest

import mmjax
from mmjax.config import storage
from mmjax.data import Source
from mmjax.data.datasets import Planted
from mmjax.devices.watchdog import Watchdog
from mmjax.encoders import Features
from mmjax.evaluation.evaluate import evaluate
from mmjax.objectives import BinaryCrossEntropy, Distillation, FeatureDistillation
from mmjax.train.loop.fit import fit
from mmjax.train.loop.stream import BatchStream
from mmjax.train.loop.teacher import Teacher
from tests.config.experiments import small

DATA = Planted(task="redundant", train_size=64, validation_size=16, test_size=32)
ENCODERS = {"vision": Features(dim=8, hidden=()), "touch": Features(dim=8, hidden=())}
LABEL = BinaryCrossEntropy(output="label", target="label")


def model(*modalities, **heads):
    return mmjax.Multimodal(
        encoders={name: ENCODERS[name] for name in modalities},
        fusion=mmjax.fusion.Concat(),
        heads={"label": mmjax.heads.Logit(hidden=(4,)), **heads},
    )


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    run = tmp_path_factory.mktemp("teacher") / "run"
    with jax.numpy_dtype_promotion("standard"):
        one = model("vision", "touch")
        fit(small(model=one, data=DATA, objectives={"label": LABEL}, optim=mmjax.optim.Adam()), run)
    return run


def student(run, **changes):
    """It has no label of its own to learn from."""
    fields = dict(
        model=model("vision", seen=mmjax.heads.Classes(classes=16, hidden=())),
        data=DATA,
        objectives={
            "label": dataclasses.replace(LABEL, weight=0.0),
            "taught": Distillation(output="label", target="teacher_label"),
            "seen": FeatureDistillation(output="seen", target="teacher_embedding"),
        },
        teacher=None if run is None else str(run),
    )
    return small(**fields | changes)


@pytest.mark.usefixtures("standard_promotion")
def test_a_student_learns_from_a_teacher_alone_and_is_evaluated_without_it(teacher, tmp_path):
    own = shutil.copytree(teacher, tmp_path / "teacher")
    tested = fit(student(own), tmp_path / "student")
    shutil.rmtree(own)
    assert evaluate(tmp_path / "student") == tested
    assert "label/accuracy" in tested and "taught/agreement" not in tested
    restored = mmjax.restore(tmp_path / "student")
    assert set(restored.preprocessing.transforms) == {"vision"}
    lines = (tmp_path / "student" / "metrics.jsonl").read_text().splitlines()
    agreement = [line for line in lines if "taught/agreement" in line]
    assert agreement and '"seen/loss"' in agreement[0]


@pytest.mark.usefixtures("standard_promotion")
def test_a_modality_that_is_not_read_is_named(tmp_path, capsys):
    one = small(model=model("touch"), data=DATA, objectives={"label": LABEL}, steps=1, eval_every=1)
    fit(one, tmp_path / "run")
    assert "modalities that the model does not read: vision" in capsys.readouterr().err


@pytest.mark.usefixtures("standard_promotion")
def test_the_teacher_s_targets_are_its_outputs(teacher):
    restored = mmjax.restore(teacher)
    preprocessing = DATA.preprocessing()
    names = ("teacher_label", "teacher_embedding")
    one = Teacher(str(teacher), preprocessing.using(["vision"]), names)
    assert set(one.names()) == set(names)
    source = DATA.source("train")
    stream = mmjax.train_batches(DATA, source, one.preprocessing, batch_size=8, seed=0, start=0)
    given = next(mmjax.train_batches(DATA, source, preprocessing, batch_size=8, seed=0, start=0))
    batch = next(one.taught(stream, ["vision"]))
    assert set(batch.inputs) == {"vision"}
    outputs = restored.model.apply(restored.variables, given.inputs, train=False)
    np.testing.assert_allclose(
        batch.targets["teacher_label"].values, outputs.values["label"], atol=1e-6
    )
    vectors = restored.model.apply(restored.variables, given.inputs, train=False, method="embed")
    np.testing.assert_allclose(
        batch.targets["teacher_embedding"].values,
        np.concatenate([vectors["touch"], vectors["vision"]], axis=1),
        atol=1e-6,
    )
    np.testing.assert_array_equal(batch.targets["label"].values, given.targets["label"].values)


class Same(Source):
    """24 examples, the same in every epoch, whatever it says."""

    draws = False

    def __len__(self):
        return 24

    def read(self, indices, rng, own=slice(None)):
        return DATA.source("test").read(indices, None, own)


@pytest.mark.usefixtures("standard_promotion")
def test_a_teacher_of_fixed_examples_is_asked_once_for_each(teacher, monkeypatch):
    monkeypatch.setattr("mmjax.train.loop.stream.training_source", lambda *_: Same())
    preprocessing = DATA.preprocessing().using(["vision"])

    def read():
        """The targets of five steps of 8, and how often the teacher was asked."""
        one = Teacher(str(teacher), preprocessing, ("teacher_label",))
        apply, asked = one._apply, []
        one._apply = lambda *given: (asked.append(1), apply(*given))[1]
        stream = BatchStream(student(teacher, batch_size=8), preprocessing, one)
        batches = stream(seed=0, start=0, watchdog=Watchdog(None))
        found = [next(batches).targets["teacher_label"].values for _ in range(5)]
        batches.close()
        return np.stack(found), len(asked)

    fixed, few = read()
    monkeypatch.setattr(Same, "draws", True)
    drawn, many = read()
    np.testing.assert_allclose(fixed, drawn, atol=1e-6)
    assert (few, many) == (3, 5)
    monkeypatch.setattr(Same, "draws", False)
    monkeypatch.setattr("mmjax.train.loop.teacher.MOST_STORED", 24 * 4 - 1)
    assert read()[1] == 5


def test_a_student_that_nothing_else_judges_is_refused(teacher):
    with pytest.raises(ValueError, match="objectives: taught compare with a teacher, which is"):
        student(teacher, objectives={"taught": Distillation(output="label", target="teacher_x")})


def test_a_teacher_that_reads_other_data_is_refused(teacher, tmp_path):
    other = dataclasses.replace(DATA, seed=3)
    with pytest.raises(ValueError, match=r"--teacher .*: reads 'vision' in another way"):
        fit(student(teacher, data=other), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_distillation_without_a_teacher_names_the_flag(teacher, tmp_path):
    with pytest.raises(ValueError, match=r"no target 'teacher_label'.*with --teacher"):
        fit(student(None), tmp_path / "run")


def test_the_teacher_is_written_down_and_is_no_part_of_the_identity(teacher):
    one = student(teacher)
    assert storage.from_json(storage.to_json(one)) == one
    assert storage.identity(one) == storage.identity(student("elsewhere"))
