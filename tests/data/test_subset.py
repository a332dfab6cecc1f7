import numpy as np
import pytest

import mmjax
from mmjax.data.datasets import DigitsClass, DigitsMatch
from mmjax.data.subset import chosen
from mmjax.errors import UserError
from mmjax.train.loop.stream import training_source


def test_shares_are_nested_and_keep_the_classes():
    classes = list(np.random.default_rng(0).choice(list("aaaaab"), 600))
    rows = [set(chosen(classes, share).tolist()) for share in (0.001, 0.05, 0.3, 1.0)]
    assert rows[0] < rows[1] < rows[2] < rows[3] == set(range(600))
    for share, own in zip((0.05, 0.3), rows[1:3], strict=True):
        for name in "ab":
            wanted = share * classes.count(name)
            assert abs(sum(classes[row] == name for row in own) - wanted) <= 0.5
    assert {classes[row] for row in rows[0]} == {"a", "b"}


def experiment(data, share):
    encoders = {"image": mmjax.encoders.Cnn(features=(4,), dim=4)}
    heads = {"digit": mmjax.heads.Classes(classes=10)}
    loss = mmjax.objectives.SoftmaxCrossEntropy(output="digit", target="digit")
    model = mmjax.Multimodal(encoders=encoders, fusion=mmjax.fusion.Concat(), heads=heads)
    optim = mmjax.optim.Adam(peak_lr=1e-3)
    return mmjax.Experiment(
        model=model, objectives={"digit": loss}, data=data, optim=optim, steps=2, share=share
    )


def test_training_reads_the_examples_of_its_share_and_no_others(digits_dir):
    data = DigitsClass(data_dir=digits_dir)
    one = experiment(data, 0.05)
    whole, some = data.source("train"), training_source(one, data.preprocessing())
    digits = np.array(whole.read(np.arange(len(whole)), None).targets["digit"])
    kept = chosen(digits.tolist(), 0.05)
    found = some.read(np.arange(len(some)), None)
    assert len(some) == len(kept) and list(found.targets["digit"]) == list(digits[kept])
    assert np.array_equal(found.inputs["image"], whole.read(kept, None).inputs["image"])
    assert len(training_source(experiment(data, 1.0), data.preprocessing())) == len(whole)


def test_of_a_match_task_a_share_of_the_pictures_is_shown(digits_dir):
    data = DigitsMatch(data_dir=digits_dir)
    images, labels = data.columns("train")
    kept = chosen(labels.tolist(), 0.02)
    some = training_source(experiment(data, 0.02), data.preprocessing())
    assert len(some) == 2 * len(kept)
    for rng in (None, np.random.default_rng(0)):
        found = some.read(np.arange(len(some)), rng)
        assert np.array_equal(found.inputs["image"], np.repeat(images[kept], 2, axis=0))
        assert 0.3 < np.mean(found.targets["match"]) < 0.7
    rows, _ = some.pick(np.arange(len(some)), np.random.default_rng(0))
    assert set(rows["image"]) == set(kept.tolist())


def test_data_without_shares_are_refused(digits_dir):
    answered = mmjax.data.Mixed({"a": DigitsClass(data_dir=digits_dir)}, rates={"a": 1.0})
    for data in (answered, mmjax.data.Planted()):
        with pytest.raises(UserError, match="--share"):
            training_source(experiment(data, 0.5), data.preprocessing())
    with pytest.raises(UserError, match=r"--share: expected more than 0 and at most 1, got 1\.5"):
        experiment(DigitsClass(data_dir=digits_dir), 1.5)
