"""LSTM decoder with additive attention: Bahdanau et al. 2015, arXiv:1409.0473; over pictures:
Show, Attend and Tell, Xu et al. 2015, arXiv:1502.03044.
"""

from collections.abc import Callable
from typing import Any, final

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Float, Int

from mmjax.heads.decoder import Decoder
from mmjax.layers.decoding.generate import Step
from mmjax.layers.dropout import Dropout
from mmjax.layers.fields import require_at_least, require_share
from mmjax.layers.recurrent.recurrent import gate_parameters
from mmjax.layers.tokens.masking import clear, masked_softmax
from mmjax.layers.tokens.pooling import masked_mean
from mmjax.types import Tokens

State = tuple[Array, Array]  # h and c, [row, width]
Memory = tuple[Array, Array, Array]  # projected tokens and keys [row, token, width], their mask


@final
class LstmDecoder(Decoder, kw_only=True):
    """a_ti = softmax_i(v . tanh(W h_t + U token_i));  c_t = sum_i a_ti token_i;
    h' = lstm([E[word_t]; c_t], h);  logits_t = E tanh(O [h'; c_t]).

    The tokens are projected first, and a learned one stands beside them, so that an example without
    tokens has a learned prior. h starts as tanh(S mean of the tokens).

    Attributes:
        width: of the state, of words and of attention
        dropout: share of word vectors and of the last hidden layer dropped in training
    """

    # Not comments beside the fields: tyro finds no comments of classes made at run time.
    width: int = 128
    dropout: float = 0.0

    def setup(self) -> None:
        """Make the modules."""
        require_at_least(self, 1, "width")
        require_share(self, "dropout")
        init = nn.initializers.normal(self.width**-0.5)
        self.word = nn.Embed(self.vocabulary_size, self.width, embedding_init=init)
        self.value, self.key = nn.Dense(self.width), nn.Dense(self.width)
        # Not a module: those cannot be called inside a scan.
        square = (self.width, self.width)
        self.query = self.param("query_kernel", nn.initializers.lecun_normal(), square)
        self.first, self.out = nn.Dense(self.width), nn.Dense(self.width)
        self.nothing = self.param("nothing", nn.initializers.normal(1.0), (self.width,))
        self.energy = self.param("energy_kernel", init, (self.width,))
        self.gates = gate_parameters(self, 2 * self.width, self.width, gates=4)
        self.drop = Dropout(self.dropout)

    def logits(
        self, tokens: Tokens, words: Int[Array, "batch word"], train: bool
    ) -> Float[Array, "batch word vocabulary"]:
        """The logits of the word after each of `words`."""
        memory, state = self._begun(tokens)
        vectors = self.drop(self.word(words), train=train)
        step = self._cell(memory)
        _, read = jax.lax.scan(step, state, jnp.swapaxes(vectors, 0, 1))
        return self._scores(jnp.swapaxes(read, 0, 1), train)

    def stepper(self, tokens: Tokens, length: int) -> tuple[Step, Any]:
        """One word after another; the cache holds the state and the projected tokens."""
        module, variables = self.unbind()
        memory, state = self._begun(tokens)

        def step(words: Array, place: Array, cache: Any) -> tuple[Array, Any]:
            logits, state = module.apply(
                variables, cache["memory"], cache["state"], words, method="following"
            )
            return logits, {**cache, "state": state}

        return step, {"memory": memory, "state": state}

    @staticmethod
    def fixed(path: Any) -> bool:
        """The projected tokens."""
        return path[0].key == "memory"

    def following(
        self, memory: Memory, state: State, words: Int[Array, "row"]
    ) -> tuple[Float[Array, "row vocabulary"], State]:
        """The logits of the word after `words`, and the new state."""
        state, read = self._cell(memory)(state, self.word(words))
        return self._scores(read[:, None], False)[:, 0], state

    def _begun(self, tokens: Tokens) -> tuple[Memory, State]:
        mask = jnp.pad(tokens.mask, ((0, 0), (0, 1)), constant_values=True)
        values = clear(self.value(clear(tokens.values, tokens.mask)), tokens.mask)
        nothing = jnp.broadcast_to(self.nothing, (values.shape[0], 1, self.width))
        values = jnp.concatenate([values, nothing.astype(values.dtype)], axis=1)
        state = nn.tanh(self.first(masked_mean(values, mask)))
        return (values, self.key(values), mask), (state, jnp.zeros_like(state))

    def _cell(self, memory: Memory) -> Callable[[State, Array], tuple[State, Array]]:
        """(state, word vectors) -> (new state, [h; context]): a pure function of arrays."""
        values, keys, mask = memory
        query, energy, gates = self.query, self.energy, self.gates

        def step(state: State, word: Array) -> tuple[State, Array]:
            h, c = state
            scores = jnp.einsum("btw,w->bt", nn.tanh(keys + (h @ query)[:, None]), energy)
            context = jnp.einsum("bt,btw->bw", masked_softmax(scores, mask), values)
            x = jnp.concatenate([word, context], axis=1)
            whole = x @ gates["input_kernel"] + h @ gates["recurrent_kernel"] + gates["bias"][None]
            i, f, g, o = jnp.split(whole, 4, axis=1)
            c = nn.sigmoid(f) * c + nn.sigmoid(i) * nn.tanh(g)
            h = nn.sigmoid(o) * nn.tanh(c)
            return (h, c), jnp.concatenate([h, context], axis=1)

        return step

    def _scores(
        self, read: Float[Array, "batch word both"], train: bool
    ) -> Float[Array, "batch word vocabulary"]:
        return self.word.attend(self.drop(nn.tanh(self.out(read)), train=train))
