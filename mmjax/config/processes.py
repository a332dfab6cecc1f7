"""Distributed training: number of processes, and the address where they meet."""

import dataclasses

from mmjax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Processes:
    """Start the same command on every machine, with the same --workdir.

    Attributes:
        distributed: train in several processes; JAX detects them under Slurm, Open MPI, Kubernetes
            and on Cloud TPU
        coordinator: host:port of process 0, where JAX cannot detect it
        num_processes: number of processes, where JAX cannot detect it
        process_id: index of this process, from 0, where JAX cannot detect it
        timeout: seconds that a process waits for the others; then it exits with an error
    """

    distributed: bool = False
    coordinator: str | None = None
    num_processes: int | None = None
    process_id: int | None = None
    timeout: int = 300

    def __post_init__(self) -> None:
        explicit = (self.coordinator, self.num_processes, self.process_id)
        if any(part is not None for part in explicit):
            if None in explicit:
                raise UserError(
                    "--coordinator, --num-processes and --process-id: give all three or none"
                )
            if not self.distributed:
                raise UserError("--coordinator: only goes with --distributed")
        if self.timeout < 1:
            raise UserError(f"--timeout: expected at least 1 second, got {self.timeout}")
