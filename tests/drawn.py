"""How many examples a property is tried on."""

import os

from hypothesis import settings

EXAMPLES = int(os.environ.get("MMJAX_EXAMPLES", "0"))


def drawn(examples):
    """The same few in every run; MMJAX_EXAMPLES=1000 tries as many new ones."""
    return settings(deadline=None, max_examples=max(EXAMPLES, examples), derandomize=not EXAMPLES)
