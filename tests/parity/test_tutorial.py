from collections.abc import Mapping
from pathlib import Path

import jax
import numpy as np
import pytest

from mmjax.encoders.cnn import Cnn
from mmjax.encoders.lstm import Lstm
from mmjax.fusion.concat import Concat
from mmjax.heads.logit import Logit
from mmjax.models.multimodal import Multimodal
from mmjax.objectives.binary_cross_entropy import BinaryCrossEntropy
from mmjax.types import Batch, Masked
from tests.parity import weights
from tests.parity.closeness import assert_close
from tests.samples import target

_FIXTURE = Path(__file__).with_name("tutorial.npz")
_WHY = "PyTorch is not installed: only the stored tutorial.npz is compared (pip install torch)"


def _part(arrays: Mapping[str, np.ndarray], folder: str) -> dict[str, np.ndarray]:
    return {n.removeprefix(folder): a for n, a in arrays.items() if n.startswith(folder)}


def _compare(theirs: Mapping[str, np.ndarray]) -> None:
    """Our model with PyTorch's weights on PyTorch's batch: logits, loss, every gradient."""
    arrays = _part(theirs, "weight/")
    vocabulary, embedding = arrays["embedding.weight"].shape
    model = Multimodal(
        encoders={
            "image": Cnn(
                features=(len(arrays["conv1.weight"]), len(arrays["conv2.weight"])),
                dim=len(arrays["project.weight"]),
            ),
            "text": Lstm(vocabulary, embedding, dim=arrays["lstm.weight_hh_l0"].shape[1]),
        },
        fusion=Concat(),
        heads={"match": Logit(hidden=(len(arrays["hidden.weight"]),))},
    )
    words = np.arange(theirs["words"].shape[1])[None] < theirs["lengths"][:, None]
    batch = Batch(
        inputs={
            "image": Masked(theirs["image"], theirs["seen"]),
            "text": Masked(theirs["words"].astype(np.int32), words),
        },
        targets={"match": target(theirs["labels"])},
        weight=theirs["weight"],
        ids=np.arange(len(words)),
    )

    def loss_of(params):
        outputs = model.apply({"params": params}, batch.inputs, train=True)
        found = BinaryCrossEntropy(output="match", target="match")(outputs, batch)
        return found["loss"].mean(), outputs.values["match"]

    image = theirs["image"].shape[1:]
    params = weights.tutorial(arrays, image)
    (loss, logits), gradients = jax.jit(jax.value_and_grad(loss_of, has_aux=True))(params)
    expected = weights.tutorial(weights.one_bias(_part(theirs, "gradient/")), image)
    assert_close(
        {"logits": logits, "loss": loss, "gradients": gradients},
        {"logits": theirs["logits"], "loss": theirs["loss"], "gradients": expected},
    )


def test_the_stored_network_of_pytorch_has_our_logits_loss_and_gradients():
    with np.load(_FIXTURE) as stored:
        _compare(dict(stored))


@pytest.mark.parametrize("seed", range(2))
def test_the_tutorials_network_in_pytorch_has_our_logits_loss_and_gradients(seed):
    pytest.importorskip("torch", reason=_WHY)
    from tests.parity.tutorial import FULL, reference

    _compare(reference(FULL, seed))


def test_the_stored_network_is_the_one_that_tutorial_py_writes():
    pytest.importorskip("torch", reason=_WHY)
    from tests.parity.tutorial import Sizes, reference

    with np.load(_FIXTURE) as stored:
        assert_close(dict(stored), reference(Sizes()))


def test_the_stored_network_is_small_enough_to_keep():
    assert _FIXTURE.stat().st_size < 200_000
