"""Configurations of older formats, as they stood in files. tests/stored restores whole runs."""

import copy
import dataclasses

import pytest

from mmjax.balance import OgmGe
from mmjax.config import Compute, Keeping, storage
from mmjax.encoders import BagOfWords
from mmjax.imputation import Learned
from mmjax.optim import Adam
from tests.config.experiments import SMALL, small

FORMAT_3 = {
    "format": 3,
    "model": {
        "type": "model/multimodal",
        "encoders": {
            "image": {"type": "encoder/cnn", "features": [4], "dim": 8, "pooling": "flatten"},
            "text": {"type": "encoder/bag", "vocabulary_size": 100, "dim": 8, "pooling": "mean"},
        },
        "fusion": {"type": "fusion/concat"},
        "heads": {"match": {"type": "head/logit", "hidden": [8], "labels": None, "dropout": 0.0}},
        "missing": {"type": "missing/learned"},
        "modality_dropout": 0.0,
        "unimodal": "probe",
        "frozen": [],
        "precision": "float32",
        "remat": True,
        "kernels": "xla",
    },
    "objectives": {
        "match": {
            "type": "objective/binary_cross_entropy",
            "weight": 2.0,
            "pos_weight": 1.0,
            "label_smoothing": 0.0,
        }
    },
    "data": {
        "type": "data/digits_match",
        "data_dir": None,
        "augment": {"shift": 0.0, "rotation": 0.0, "scale": 0.0, "noise": 0.0, "cutout": 0},
        "max_words": 10,
        "vocabulary_size": 10000,
        "tokens": "words",
        "tokenizer": None,
        "word_dropout": 0.0,
    },
    "optim": {
        "type": "optim/adam",
        "peak_lr": 0.01,
        "schedule": "cosine",
        "warmup": 0.05,
        "clip_norm": None,
        "rates": {"missing/stand_in_text": 0.5, "encoders_text": 0.1},
        "b1": 0.9,
        "b2": 0.999,
        "eps": 1e-08,
    },
    "steps": 6,
    "balance": {"type": "balance/ogm_ge", "alpha": 0.3, "noise": True},
    "batch_size": 16,
    "seed": 0,
    "eval_every": 7,
    "log_every": 2,
    "keep": 2,
    "best_metric": "loss",
    "best_mode": "min",
    "ema": 0.0,
    "on_nonfinite": "skip",
    "skip_limit": 10,
    "accumulate": 2,
    "steps_per_call": 1,
    "buckets": 1,
    "parallel": "jit",
    "fsdp": 2,
    "devices": None,
    "workers": 0,
    "tensorboard": True,
}


def test_format_3_had_one_list_of_fields_and_an_objective_of_each_output():
    text = BagOfWords(vocabulary_size=100, dim=8, pooling="mean")
    model = dataclasses.replace(
        SMALL.model,
        encoders={"image": SMALL.model.encoders["image"], "text": text},
        imputation=Learned(),
        unimodal="probe",
    )
    before = copy.deepcopy(FORMAT_3)
    assert storage.from_json(FORMAT_3) == small(
        model=model,
        objectives={"match": dataclasses.replace(SMALL.objectives["match"], weight=2.0)},
        optim=Adam(peak_lr=0.01, rates={"imputation/stand_in_text": 0.5, "encoders_text": 0.1}),
        balance=OgmGe(),
        compute=Compute(parallel="jit", fsdp=2, accumulate=2, remat=True, on_nonfinite="skip"),
        keeping=Keeping(eval_every=7, log_every=2, tensorboard=True),
    )
    assert before == FORMAT_3


@pytest.mark.parametrize("wrong", [{"objectives": 3}, {"model": None}, {"model": {"missing": 1}}])
def test_what_no_configuration_of_that_format_was_is_refused_by_its_number(wrong):
    with pytest.raises(ValueError, match=r"^x\.json: no configuration of format 3: "):
        storage.from_json(FORMAT_3 | wrong, "x.json")


@pytest.mark.parametrize(
    "ramp, schedule", [(0, ()), (1, ()), (4, ((0, 0.25), (3, 1.0)))], ids=lambda x: str(x)
)
def test_the_ramp_of_format_4_is_a_schedule(ramp, schedule):
    old = storage.to_json(small()) | {"format": 4}
    old = copy.deepcopy(old)
    del old["objectives"]["match"]["schedule"]
    old["objectives"]["match"]["ramp"] = ramp
    assert storage.from_json(old).objectives["match"].schedule == schedule
