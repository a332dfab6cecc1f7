"""LSTM encoder, Sutskever et al. 2014, arXiv:1409.3215."""

from typing import ClassVar, final

from mmjax.encoders.recurrent import Recurrent


@final
class Lstm(Recurrent):
    """Text (word numbers) or series (rows of numbers): LSTM layers; any length, padding anywhere.

    An empty sequence has no token.
    """

    cell: ClassVar = "lstm"
