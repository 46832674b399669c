"""kill -9 at random moments of every stage, on real processes: the next run ends in the bytes of an undisturbed one."""

import time
from collections import Counter

import pytest

from tests.faults.kills import COMPARISON, SCHEDULE, Kill, plan_kills, plan_late_kills, run_through
from tests.faults.outputs import outputs

SEED = time.time_ns() % 10_000
STAND_IN_SECONDS = 0.6
AS_STARTED_BY_THE_RUNNER = {"STAGE_SECONDS": str(STAND_IN_SECONDS), "GUARDED": "1"}


def told(kills: list[Kill], struck: list[str]) -> str:
    counts = ", ".join(f"{victim} {count}" for victim, count in sorted(Counter(struck).items()))
    return f"{len(struck)} of {len(kills)} kills struck ({counts}), seed {SEED}; the same bytes"


def strike_stand_ins(project, finished, kills: list[Kill], **environment) -> list[str]:
    """Kill, run on, and hold the outputs against those of an undisturbed run; gives whom the kills struck."""
    print(f"seed {SEED}")
    struck = run_through(project, kills, dict.fromkeys(SCHEDULE, STAND_IN_SECONDS), **environment)
    assert outputs(project.folder) == outputs(finished.folder)
    assert project.is_clean() and project.snakemake("--cores 2 all") == []
    return struck


@pytest.mark.faults("kill -9 of a stage, dvc, snakemake or all, at a random moment of every stage (stand-in stages)",
                    "the next run ends in the bytes of an undisturbed one; no lock needs a human")
def test_stand_in_schedule_killed_ends_in_the_same_bytes(fresh_project, finished_project, full, seen):
    kills = plan_kills(SEED, 2) if full else plan_kills(SEED, 1)[SEED % 3 :: 3]
    struck = strike_stand_ins(fresh_project, finished_project, kills, **AS_STARTED_BY_THE_RUNNER)
    assert len(struck) >= len(kills) * 3 // 4, "most kills must strike"
    seen(told(kills, struck), len(struck))


@pytest.mark.full
@pytest.mark.faults("kill -9 of a stage, dvc, snakemake or all, at a random moment of every stage of a comparison "
                    "(stand-in stages)", "the next run ends in the bytes of an undisturbed one; no lock needs a human")
def test_stand_in_comparison_killed_ends_in_the_same_bytes(finished_project, tmp_path, seen):
    print(f"seed {SEED}")
    undisturbed, killed = (finished_project.copy(tmp_path / name) for name in ("undisturbed", "killed"))
    undisturbed.snakemake("--cores 2 compare")
    kills = plan_kills(SEED, 1, COMPARISON)
    struck = run_through(killed, kills, dict.fromkeys(COMPARISON, STAND_IN_SECONDS), "compare",
                         **AS_STARTED_BY_THE_RUNNER)
    assert len(struck) >= len(kills) * 3 // 4, "most kills must strike"
    assert outputs(killed.folder) == outputs(undisturbed.folder)
    assert killed.is_clean("compare/dvc.yaml") and killed.snakemake("--cores 2 compare") == []
    seen(told(kills, struck), len(struck))


@pytest.mark.full
@pytest.mark.faults("kill -9 of dvc or all while DVC records what a stage made (stand-in stages)",
                    "the next run ends in the bytes of an undisturbed one; no lock needs a human")
def test_schedule_killed_while_its_results_are_recorded_ends_in_the_same_bytes(fresh_project, finished_project, seen):
    kills = plan_late_kills(SEED)
    struck = strike_stand_ins(fresh_project, finished_project, kills)
    assert len(struck) >= len(kills) // 2, "half of the kills must strike"
    seen(told(kills, struck), len(struck))


@pytest.mark.full
@pytest.mark.faults("kill -9 of a stage, dvc, snakemake or all, at a random moment of every stage (real stages)",
                    "the next run ends in the bytes of an undisturbed one; no lock needs a human")
def test_real_schedule_killed_ends_in_the_same_bytes(undisturbed, tmp_path, seen):
    print(f"seed {SEED}")
    killed = undisturbed.fresh.copy(tmp_path / "killed")
    kills = plan_kills(SEED, 3)
    struck = run_through(killed, kills, undisturbed.seconds)
    assert len(struck) >= 20
    result = outputs(undisturbed.finished.folder)
    assert outputs(killed.folder) == result and len(result) > 100
    assert killed.is_clean() and killed.plan() == []
    seen(f"{told(kills, struck)} in {len(result)} files", len(struck))
