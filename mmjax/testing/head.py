"""The contracts of a head."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from mmjax.heads import Decoder
from mmjax.testing import checks
from mmjax.testing.samples import garbage, tokens_of
from mmjax.types import Masked, Tokens


def check_head(head: nn.Module) -> None:
    """Check a head, `(tokens, train) -> output`, on tokens of which some are masked.

    Of a head that writes texts the logits are checked; a decoder reads the same text each time.

    Raises:
        AssertionError: the head breaks a contract; says which.
    """
    given = tokens_of(("a", "b"))["b"]
    params = checks.init(head, given).get("params", {})

    taught = {}
    if isinstance(head, Decoder):
        words = np.tile(np.array([[3, 2, 0]], np.int32), (len(given.mask), 1))
        taught = {"target": Masked(words, np.ones(words.shape, bool)), "write": False}

    @jax.jit
    def measure(params, tokens):
        def loss(params):
            output = head.apply({"params": params}, tokens, train=False, **taught)
            output = output["logits"] if isinstance(output, dict) else output
            return checks.scalar(output), output

        return jax.grad(loss, has_aux=True)(params)

    original = measure(params, given)
    checks.require_finite(original)
    checks.require_alive(original[0])
    changed = measure(params, Tokens(garbage(given.values, given.mask), given.mask))
    checks.require_equal(original, changed, "masked tokens affect the output or gradients")
    # Biases start at zero, so move them: the output without tokens is a learned prior.
    moved = jax.tree.map(lambda x: x + 0.1, params)
    gradient, outputs = measure(moved, Tokens(given.values, jnp.zeros_like(given.mask)))
    for output in map(np.asarray, jax.tree.leaves(outputs)):
        checks.require(
            bool(np.all(np.isfinite(output))), "without a token the output is not finite"
        )
        checks.require(bool(np.all(output == output[:1])), "without a token examples differ")
        checks.require(bool(np.all(output != 0)), "without a token there is no learned prior")
    checks.require(checks.any_nonzero(gradient), "without a token the head has no gradient")
