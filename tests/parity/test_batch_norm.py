import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.layers.convolution.batch_norm import BatchNorm
from tests.parity.closeness import assert_close

torch = pytest.importorskip("torch", reason="PyTorch is not installed (pip install torch)")


@pytest.mark.parametrize("shape", [(5, 3, 4, 6), (2, 1, 2, 6), (64, 9, 8, 6), (7, 6)])
def test_batch_norm_is_that_of_pytorch(shape):
    """Two training steps, the running statistics and gradients, then evaluation."""
    random = np.random.default_rng(0)
    start = [random.normal(size=6), random.normal(size=6), random.normal(size=6)]
    scale, bias, mean = (x.astype(np.float32) for x in start)
    variance = random.uniform(0.5, 2, 6).astype(np.float32)
    theirs = (torch.nn.BatchNorm1d if len(shape) == 2 else torch.nn.BatchNorm2d)(6)
    with torch.no_grad():
        names = ("weight", "bias", "running_mean", "running_var")
        for name, value in zip(names, (scale, bias, mean, variance), strict=True):
            getattr(theirs, name).copy_(torch.from_numpy(value))
    params = {"scale": scale, "bias": bias}
    statistics = {"mean": mean, "variance": variance}

    def ours(params, x, statistics, weight, train):
        y, after = BatchNorm().apply(
            {"params": params, "batch_stats": statistics},
            x,
            jnp.ones(len(x), bool),
            train=train,
            mutable=["batch_stats"],
        )
        return jnp.sum(weight * y), (y, after["batch_stats"])

    measure = jax.jit(jax.grad(ours, (0, 1), has_aux=True), static_argnums=4)
    for train in (True, True, False):
        theirs.train(train)
        x, weight = (random.normal(size=shape).astype(np.float32) for _ in range(2))
        moved = torch.tensor(np.moveaxis(x, -1, 1), requires_grad=True)
        theirs.zero_grad()
        expected = theirs(moved).movedim(1, -1)
        (expected * torch.from_numpy(weight)).sum().backward()
        gradients, (y, statistics) = measure(params, x, statistics, weight, train)
        assert_close(
            (y, statistics["mean"], statistics["variance"], *gradients[0].values(), gradients[1]),
            (
                expected.detach().numpy(),
                theirs.running_mean.numpy(),
                theirs.running_var.numpy(),
                theirs.bias.grad.numpy(),
                theirs.weight.grad.numpy(),
                np.moveaxis(moved.grad.numpy(), 1, -1),
            ),
            tolerance=1e-5,
        )
