"""Row 7: peak memory of rows 1 and 5, and with gradient accumulation and rematerialisation."""

import importlib.util
from collections.abc import Iterator

import peer
import processes
import result
from peer import torch

FUSIONS = {
    "": "1. tutorial's network",
    "cross_attention": "5. cross-attention",
    "bottleneck": "5. MBT",
}
SETTINGS = {
    "": {"accumulate": 1, "remat": False},
    ", accumulate=4": {"accumulate": 4, "remat": False},
    ", remat": {"accumulate": 1, "remat": True},
    ", accumulate=4 and remat": {"accumulate": 4, "remat": True},
}


def run(options: result.Options) -> Iterator[result.Result]:
    """Two steps in a process of their own; the memory of imports is told beside it."""
    for fusion, name in FUSIONS.items():
        if options.fast and fusion:
            continue
        theirs = _theirs(fusion)
        for what, setting in SETTINGS.items():
            if options.fast and what not in ("", ", accumulate=4 and remat"):
                continue
            found = processes.child("memory", "mmjax", {"fusion": fusion, **setting})
            row = result.Result(f"7. memory of {name}{what}", unit="MB", ours=found["peak"])
            row.notes = [
                f"imports {found['before']:.0f} MB",
                f"planned for a step's intermediates {found['planned']:.0f} MB",
            ]
            if theirs is None:
                row.notes.append(peer.MISSING)
            else:
                row.peers["PyTorch"] = result.Peer(theirs["peak"])
                row.notes.append(f"PyTorch's imports {theirs['before']:.0f} MB")
            yield row


def _theirs(fusion: str) -> dict | None:
    if torch is None or (fusion and importlib.util.find_spec("transformers") is None):
        return None
    return processes.child("memory", "PyTorch", {"fusion": fusion, **SETTINGS[""]})
