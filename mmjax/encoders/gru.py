"""GRU encoder, Cho et al. 2014, arXiv:1406.1078."""

from typing import ClassVar, final

from mmjax.encoders.recurrent import Recurrent


@final
class Gru(Recurrent):
    """Text (word numbers) or series (rows of numbers): `Lstm` with a cell of fewer gates.

    An empty sequence has no token.
    """

    cell: ClassVar = "gru"
