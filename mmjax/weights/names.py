"""Names of published tensors: what a network adds to them when it is part of a larger one."""

import re
from collections.abc import Collection

from mmjax.errors import UserError

# What a network is called in what reads its tokens.
PREFIXES = ("bert.", "vit.", "transformer.", "model.")
# As the first files of BERT spell a norm's scale and bias, after TensorFlow.
SPELLINGS = {"gamma": "weight", "beta": "bias"}


def renamed(published: Collection[str], known: Collection[str]) -> dict[str, str]:
    """{name: the same as published}, without the prefix under which most known names are found.

    What stands outside of it, such as a head, keeps its name.

    Raises:
        UserError: two names become the same.
    """
    spelled = {name: _spelled(name) for name in published}

    def found(prefix: str) -> int:
        names = (new.removeprefix(prefix) for new in spelled.values() if new.startswith(prefix))
        return sum(name in known for name in names)

    prefix = max(("", *PREFIXES), key=found)
    result: dict[str, str] = {}
    for old, new in spelled.items():
        short = new.removeprefix(prefix)
        if short in result:
            raise UserError(f"{result[short]} and {old} are both {short}")
        result[short] = old
    return result


def _spelled(name: str) -> str:
    return re.sub(r"(?<=LayerNorm\.)(gamma|beta)$", lambda found: SPELLINGS[found[1]], name)
