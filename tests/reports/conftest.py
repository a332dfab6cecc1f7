import jax
import pytest

import mmjax
from mmjax.train.loop.fit import fit


@pytest.fixture(scope="session")
def synergy(tmp_path_factory):
    """A run that has learned a planted task: neither sensor alone tells the label."""
    run = tmp_path_factory.mktemp("planted") / "synergy"
    heads = {"label": mmjax.heads.Logit(hidden=(16,))}
    encoders = {name: mmjax.encoders.Features(dim=8) for name in ("vision", "touch")}
    objective = mmjax.objectives.BinaryCrossEntropy(output="label", target="label")
    experiment = mmjax.Experiment(
        model=mmjax.Multimodal(encoders=encoders, fusion=mmjax.fusion.Concat(), heads=heads),
        objectives={"label": objective},
        data=mmjax.data.Planted(task="synergy", test_size=400, validation_size=300),
        optim=mmjax.optim.Adam(peak_lr=1e-2),
        steps=300,
        batch_size=64,
    )
    with jax.numpy_dtype_promotion("standard"):
        fit(experiment, run)
    return run
