"""How many processes train together, and where they meet."""

import dataclasses

from mmjax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Processes:
    """One command on every machine; each of them needs the same --workdir.

    Attributes:
        distributed: train in several processes; under Slurm, Open MPI, Kubernetes and on Cloud TPU
            JAX finds them by itself
        coordinator: host:port of process 0, where JAX cannot know it
        num_processes: how many there are, likewise
        process_id: which this one is, from 0, likewise
        timeout: seconds without a step, or without the other processes at the start, after which
            a process ends with an error
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
