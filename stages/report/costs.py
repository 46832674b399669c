"""What training cost, as finetune measured it; kept apart from the weights, which do not depend on the clock."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

COSTS = Path("data/costs")


class Cost(BaseModel):
    """One phase's costs, and what it was made from; a resumed phase measured its last part only, of `tokens` tokens."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    resumed: bool
    tokens: int
    seconds: float
    tokens_per_second: float | None
    peak_memory_gib: float
    device: str
    processes: int
    threads: int
    torch: str
    git_commit: str
    made_from: dict[str, str]

    @property
    def machine(self) -> str:
        """`cpu, 2 threads`, or accelerators by name."""
        if self.device == "cpu":
            own = f"cpu, {self.threads} thread{'' if self.threads == 1 else 's'}"
            return own if self.processes == 1 else f"{own} in each of {self.processes} processes"
        return self.device if self.processes == 1 else f"{self.processes} × {self.device}"


def tell_costs(costs: Sequence[Cost]) -> str:
    """Time and memory of the whole schedule, in a sentence."""
    beyond = "more than " if any(cost.resumed for cost in costs) else ""
    memory = max(cost.peak_memory_gib for cost in costs)
    machines = "; ".join(dict.fromkeys(cost.machine for cost in costs))
    return (f"Training took {beyond}{write_time(sum(cost.seconds for cost in costs))} and at most {memory:.2g} GiB a "
            f"process ({machines}).")


def write_time(seconds: float) -> str:
    """Seconds, minutes or hours, whichever reads best."""
    if seconds < 100:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 6000 else f"{seconds / 3600:.1f} hours"
