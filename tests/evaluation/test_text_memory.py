"""Evaluating texts holds no logits: those of 10,000 captions would take 8 GB."""

import subprocess
import sys

import pytest

_SCRIPT = """
import csv, resource, sys
import jax, numpy as np
import mmjax
from mmjax.data.tables import columns
from mmjax.devices import parallel
from mmjax.evaluation.evaluator import Evaluator
from mmjax.models.train_state import create_state

rng = np.random.default_rng(0)
words = np.array([f"word{n}" for n in range(9990)])
with open(sys.argv[1] + "/rows.csv", "w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(["x", "said", "split"])
    splits = ["train", "validation"] * 600 + ["test"] * 10_000
    for place, split in enumerate(splits):
        text = words[rng.integers(0, 9990, 19)]
        if split == "train":
            text = words[place // 2 * 16 : place // 2 * 16 + 19]
        writer.writerow([float(place), " ".join(text), split])
data = mmjax.data.TableData(
    file="rows.csv",
    data_dir=sys.argv[1],
    columns={
        "x": columns.TableColumn(), "said": columns.TextTargetColumn(max_words=20),
    },
    split="split",
)
data.prepare()
kinds = data.preprocessing()
size = kinds.targets["said"].vocabulary_size
assert size > 9000
model = mmjax.Multimodal(
    encoders={"x": mmjax.encoders.TableMlp(16, hidden=(), categories=(0,))},
    fusion=mmjax.fusion.Concat(),
    heads={
        "said": mmjax.heads.LstmDecoder(target="said", vocabulary_size=size, width=16, length=20)
    },
)
experiment = mmjax.Experiment(
    model=model,
    objectives={"said": mmjax.objectives.TextCrossEntropy(output="said", target="said")},
    data=data,
    optim=mmjax.optim.Adam(),
    steps=1,
)
batch = next(mmjax.eval_batches(data.source("validation"), kinds, batch_size=2))
state = create_state(model, mmjax.optim.Adam().chain(10), batch, seed=0)
evaluator = Evaluator(experiment, kinds, parallel.mesh_of(1), 128)
evaluator(state.variables, "validation")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
metrics = evaluator(state.variables, "test")
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print((after - before) / 1024, metrics["said/perplexity"])
"""


@pytest.mark.slow
def test_an_evaluation_of_ten_thousand_captions_holds_no_logits(tmp_path):
    command = [sys.executable, "-c", _SCRIPT, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    grown, perplexity = map(float, done.stdout.split()[-2:])
    assert grown < 300  # MiB more than for 600 captions
    assert 5000 < perplexity < 20_000  # of an untrained model: about as many as there are words
