"""Multi-layer perceptron."""

from flax import linen as nn
from jax import Array
from jaxtyping import Float

from mmjax.layers.dropout import Dropout
from mmjax.layers.fields import require_at_least, require_share
from mmjax.layers.tracing.precision import in_kernel_dtype


class Mlp(nn.Module):
    """Dense layers with a ReLU and dropout between them, none after the last."""

    hidden: tuple[int, ...]  # widths of the hidden layers; () is a single linear layer
    dim: int  # width of the result
    dropout: float = 0.0  # share of hidden units dropped in training

    @nn.compact
    def __call__(self, x: Float[Array, "*axis width"], train: bool) -> Float[Array, "*axis dim"]:
        require_at_least(self, 1, "dim")
        require_share(self, "dropout")
        for width in self.hidden:
            x = nn.relu(nn.Dense(width, promote_dtype=in_kernel_dtype)(x))
            x = Dropout(self.dropout)(x, train=train)
        return nn.Dense(self.dim, promote_dtype=in_kernel_dtype)(x)
