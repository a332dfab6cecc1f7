import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.objectives.binary_cross_entropy import binary_cross_entropy
from tests.parity.closeness import assert_close

torch = pytest.importorskip(
    "torch", reason="PyTorch is not installed: BCEWithLogitsLoss with pos_weight not compared"
)


@pytest.mark.parametrize("pos_weight", [1.0, 0.3, 5.0])
def test_binary_cross_entropy_is_that_of_pytorch_with_soft_labels_and_extreme_logits(pos_weight):
    logits = np.array([-1e4, -80.0, -3.0, 0.0, 0.5, 30.0, 1e4], np.float32)
    for targets in (np.zeros(7), np.ones(7), np.linspace(0, 1, 7)):
        targets = targets.astype(np.float32)
        x = torch.tensor(logits, requires_grad=True)
        criterion = torch.nn.BCEWithLogitsLoss(
            reduction="none", pos_weight=torch.tensor(pos_weight)
        )
        loss = criterion(x, torch.from_numpy(targets))
        loss.sum().backward()
        assert x.grad is not None

        def total(logits, targets=targets):
            loss = binary_cross_entropy(logits, jnp.asarray(targets), pos_weight)
            return jnp.sum(loss), loss

        gradient, got = jax.grad(total, has_aux=True)(jnp.asarray(logits))
        assert_close((got, gradient), (loss.detach().numpy(), x.grad.numpy()), tolerance=1e-6)
