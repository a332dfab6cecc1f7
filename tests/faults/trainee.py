"""A small training in processes of its own, to be killed, stopped and held against another."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np

from mmjax.runs import checkpoint_reader, log

ROOT = Path(__file__).parents[2]
STEPS = 60
# Dropout, an average of the parameters and running statistics: all that a resumption can lose.
FLAGS = f"""--steps {STEPS} --eval-every 10 --log-every 5 --batch-size 16 --ema 0.9
    --model.encoders.image.features 4 --model.encoders.text.dropout 0.2
    --model.encoders.text.dim 16 --model.modality-dropout 0.2""".split()
CLOCK = ("seconds", "examples_per_second")


@dataclass
class Trainee:
    """experiments/digits_match.py in `run`; several processes meet on a port of this machine."""

    run: Path
    data_dir: str
    flags: tuple[str, ...] = ()
    processes: int = 1
    timeout: int = 60  # of the processes for each other
    environment: dict[str, str] = field(default_factory=dict)
    script: str = "experiments/digits_match.py"

    def start(self, only: tuple[int, ...] | None = None) -> "Trainee":
        """Start all processes, or `only` some of them."""
        port = free_port()
        self.started = time.monotonic()
        self.all = [
            self._process(index, port)
            for index in range(self.processes)
            if only is None or index in only
        ]
        return self

    def _process(self, index: int, port: int) -> subprocess.Popen:
        command = [sys.executable, self.script, "--workdir", str(self.run), *FLAGS]
        command += ["--data.data-dir", self.data_dir, *self.flags]
        # Running statistics of a batch are refused where it comes in parts.
        command += [f"model.imputation:{'learned' if '--accumulate' in self.flags else 'mean'}"]
        if self.processes > 1:
            command += ["--distributed", "--coordinator", f"localhost:{port}"]
            command += ["--num-processes", str(self.processes), "--process-id", str(index)]
            command += ["--timeout", str(self.timeout)]
        environment = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"} | self.environment
        environment |= {"PYTHONPATH": str(ROOT), "FAULT_PROCESS": str(index)}
        return subprocess.Popen(
            command, cwd=ROOT, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    @property
    def process(self) -> subprocess.Popen:
        return self.all[0]

    def kill(self) -> None:
        """SIGKILL to all of them."""
        for process in self.all:
            process.kill()

    def wait_for(self, *, logged: int, saved: int, within: float = 240) -> None:
        """Until the log shows one step and there is a checkpoint of another, or of a later one."""
        deadline = time.monotonic() + within
        path = self.run / log.FILE
        while time.monotonic() < deadline and self.process.poll() is None:
            found = path.exists() and f'"step": {logged},' in path.read_text()
            if found and any(step >= saved for step in checkpoint_reader.steps(self.run)):
                return
            time.sleep(0.005)
        self.kill()
        raise AssertionError(f"step {logged} was not reached: {self.process.communicate()}")

    def end(self, within: float = 240) -> list[tuple[int, str, str]]:
        """Exit code, output and errors of each process; whoever hangs is killed."""
        deadline = time.monotonic() + within
        found = []
        for process in self.all:
            try:
                out, err = process.communicate(timeout=max(deadline - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                process.kill()
                out, err = process.communicate()
                err += "\n(hung)"
            found.append((process.returncode, out, err))
        return found

    def finish(self) -> None:
        """Run to the end; AssertionError with the output where that fails."""
        for code, _, err in self.start().end():
            assert code == 0, err

    def seconds(self) -> float:
        return time.monotonic() - self.started


def fast(cache: str, devices: int) -> dict[str, str]:
    """An environment of so many devices in which little is compiled, and nothing twice."""
    flags = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    return {
        "XLA_FLAGS": f"{flags} --xla_force_host_platform_device_count={devices}",
        "JAX_COMPILATION_CACHE_DIR": cache,
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("localhost", 0))
        return found.getsockname()[1]


def outcome(run: Path) -> tuple[Any, ...]:
    """All that must be the same, bit for bit: the last checkpoint, the log without its clock."""
    last = checkpoint_reader.steps(run)[-1]
    arrays = [checkpoint_reader.arrays(run, last, item) for item in ("variables", "training")]
    records = [
        {name: value for name, value in record.items() if name not in CLOCK}
        for record in log.read(run / log.FILE)
    ]
    metrics = json.loads((run / "results.json").read_text())["metrics"]
    return arrays, last, repr(records), metrics


def same(found: tuple[Any, ...], expected: tuple[Any, ...]) -> bool:
    """Whether two outcomes are the same to the last bit."""
    trees = found[0], expected[0]
    if jax.tree.structure(trees[0]) != jax.tree.structure(trees[1]):
        return False
    equal = jax.tree.map(lambda a, b: np.array_equal(a, b), *trees)
    return all(jax.tree.leaves(equal)) and found[1:] == expected[1:]


def wait_until_gone(process: subprocess.Popen, number: signal.Signals) -> float:
    """Send a signal; seconds until the process has ended."""
    began = time.monotonic()
    process.send_signal(number)
    process.wait(timeout=120)
    return time.monotonic() - began
