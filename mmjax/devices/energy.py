"""Energy that a computation takes, where the machine counts it.

Processors: the counters of Intel's and AMD's packages (RAPL, David et al. 2010,
doi:10.1145/1840845.1840883), which Linux lets root alone read by default. GPUs of NVIDIA: their own
counter, by the package nvidia-ml-py. Neither counts memory, disks, fans and power supplies.
"""

import contextlib
from pathlib import Path
from typing import Any

RAPL = Path("/sys/class/powercap")


class EnergyMeter:
    """Joules since it was made; what else runs on the machine is counted too."""

    def __init__(self, rapl: Path = RAPL) -> None:
        self._packages = [
            folder
            for folder in sorted(rapl.glob("intel-rapl:*"))
            if folder.name.count(":") == 1 and _number(folder / "energy_uj") is not None
        ]
        self._gpus = _gpus()
        self._joules = dict.fromkeys(self.sources, 0.0)
        self._last = self._counters()

    @property
    def sources(self) -> list[str]:
        """What is counted, such as `intel-rapl:0` and `nvidia 0`; empty: nothing."""
        gpus = [f"nvidia {number}" for number in range(len(self._gpus))]
        return [folder.name for folder in self._packages] + gpus

    def read(self) -> float | None:
        """Joules so far; None where nothing is counted. Call it at least every few minutes.

        A package's counter begins again after some 260 kJ.
        """
        now = self._counters()
        for name, joules in now.items():
            gone = joules - self._last[name]
            self._joules[name] += gone if gone >= 0 else gone + self._range(name)
        self._last = now
        return sum(self._joules.values()) if self._joules else None

    def _counters(self) -> dict[str, float]:
        found = {p.name: (_number(p / "energy_uj") or 0.0) / 1e6 for p in self._packages}
        for number, (library, gpu) in enumerate(self._gpus):
            found[f"nvidia {number}"] = library.nvmlDeviceGetTotalEnergyConsumption(gpu) / 1e3
        return found

    def _range(self, name: str) -> float:
        for folder in self._packages:
            if folder.name == name:
                return (_number(folder / "max_energy_range_uj") or 0.0) / 1e6
        return 0.0


def _number(path: Path) -> float | None:
    with contextlib.suppress(OSError, ValueError):
        return float(path.read_text())
    return None


def _gpus() -> list[tuple[Any, Any]]:
    """NVIDIA's library and a handle for each GPU that counts energy."""
    try:
        import pynvml
    except ModuleNotFoundError:
        return []
    found = []
    with contextlib.suppress(pynvml.NVMLError):
        pynvml.nvmlInit()
        for number in range(pynvml.nvmlDeviceGetCount()):
            gpu = pynvml.nvmlDeviceGetHandleByIndex(number)
            pynvml.nvmlDeviceGetTotalEnergyConsumption(gpu)  # since Volta
            found.append((pynvml, gpu))
    return found
