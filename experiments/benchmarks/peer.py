"""PyTorch, given its best: all threads, fused Adam, eager and compiled. None where it is missing.

torch = peer.torch
if torch is None: ...  # say peer.MISSING, and go on without
"""

import os
from collections.abc import Callable, Mapping
from typing import Any

try:
    import torch as torch  # pyright: ignore[reportMissingImports]

    if hasattr(os, "sched_getaffinity"):  # as many as ours
        torch.set_num_threads(len(os.sched_getaffinity(0)))
except ImportError:
    torch = None

MISSING = "PyTorch is not installed, nothing is compared (pip install torch)"


def trainer(network: Any, loss_of: Callable[[Any], Any], lr: float = 1e-3) -> Callable[[], float]:
    """A training step on one batch: forward, backward and Adam's update; returns the loss."""
    assert torch is not None
    learned = [p for p in network.parameters() if p.requires_grad]
    adam = torch.optim.Adam(learned, lr, fused=True)

    def step() -> float:
        adam.zero_grad(set_to_none=True)
        loss = loss_of(network)
        loss.backward()
        adam.step()
        return float(loss.detach())

    return step


def compiled(network: Any, call: Callable[[Any], Any]) -> tuple[Any | None, str]:
    """The network under `torch.compile`, tried by `call`, or None and the reason why not."""
    assert torch is not None
    try:
        faster = torch.compile(network)
        call(faster)
    except Exception as error:  # whatever the compiler stumbles over: eager counts then
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        return None, f"torch.compile failed: {first[:100]}"
    return faster, ""


def arrays(network: Any) -> Mapping[str, Any]:
    """Its tensors as NumPy arrays, by their names."""
    return {
        name: x.detach().numpy().copy() for name, x in network.state_dict(keep_vars=True).items()
    }
