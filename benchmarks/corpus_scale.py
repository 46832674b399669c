"""prepare_corpus at scale: time and memory as a corpus grows, and what one more hour costs.

hours   a Kaldi corpus of 2.5 h and 10 h: segments of 6 s, one starting a little after the other, of long recordings of
        real speech by espeak-ng; every second is decoded, resampled, trimmed, made equally loud and written as FLAC
growth  the larger one, and then an hour more in new files of the same folder: shards and files that are made anew, and
        bytes that DVC hashes again for the stage's input and output
rows    a JSONL corpus of 30,000 and 120,000 utterances of 0.6 s

Everything runs by `python -m stages prepare_corpus` in a temporary project with the settings of presets/indextts2.yaml.
Memory: anonymous and shared pages of all its processes together, each page counted once, twice a second. Processor time
is theirs alone, so it tells how time grows even where other programs run.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from benchmarks.corpus_project import NEW_SECONDS, Project
from benchmarks.device import BYTES_PER_MIB, Machine
from stages.core.artifacts.files import read_json
from stages.core.errors import UserError

HOURS = (2.5, 10.0)
GROWTH_HOURS = 1.0
ROWS = (30_000, 120_000)
SAMPLE_SECONDS = 0.5
CARRIED_ON = re.compile(r"goes on; (\d+) of (\d+) rows are there")


def measure(
    machine: Machine, hours: tuple[float, ...] = HOURS, growth_hours: float = GROWTH_HOURS, rows: tuple[int, ...] = ROWS
) -> dict[str, Any]:
    """Both corpora at each size, the larger one of hours once more with an hour added."""
    load, by_hours = os.getloadavg()[0], []
    for size in hours:
        with tempfile.TemporaryDirectory() as folder:
            project = Project(Path(folder))
            project.write_segments(size)
            by_hours.append({"hours": size, **prepare(project.folder)})
            growth = measure_growth(project, size, growth_hours) if size == max(hours) else {}
    by_rows = []
    for count in rows:
        with tempfile.TemporaryDirectory() as folder:
            project = Project(Path(folder))
            project.write_rows(count)
            by_rows.append({"rows": count, **prepare(project.folder)})
    return {"by_hours": by_hours, "growth": growth, "by_rows": by_rows,
            "load_average_before": round(load, 1)}


def prepare(folder: Path) -> dict[str, Any]:
    """Run the stage; seconds, memory, and what came out.

    Raises:
        UserError: it failed; with the end of what it said.
    """
    command = [sys.executable, "-W", "ignore", "-m", "stages", "prepare_corpus"]
    started, watched = time.monotonic(), Watched()
    with open(folder / "said", "w+", encoding="utf-8") as said:
        process = subprocess.Popen(command, cwd=folder, stdout=said, stderr=subprocess.STDOUT,
                                   env=Project.environment())
        while process.poll() is None:
            watched.look(process.pid)
            time.sleep(SAMPLE_SECONDS)
        seconds = time.monotonic() - started
        said.seek(0)
        words = said.read()
    if process.returncode:
        raise UserError(f"prepare_corpus in {folder}: exit {process.returncode}\n{words[-2000:]}")
    summary = read_json(folder / "data/corpus/summary.json")
    carried_on = CARRIED_ON.search(words)
    return {
        "seconds": round(seconds, 1), "cpu_seconds": round(sum(watched.cpu_seconds.values()), 1),
        "utterances": summary["utterances"], "quarantined": summary["quarantined"],
        "audio_hours": round(sum(summary["hours"].values()), 3),
        "rows_made": int(carried_on[2]) - int(carried_on[1]) if carried_on else None,
        "mib_peak_first_third": round(max(watched.mib[: len(watched.mib) // 3]), 1),
        "mib_peak": round(max(watched.mib), 1),
    }


class Watched:
    """What a process and all that it started hold and use, at each look.

    Attributes:
        mib: anonymous and shared memory of all together, each page counted once; one figure a look.
        cpu_seconds: by process, as last seen.
    """

    def __init__(self) -> None:
        self.mib: list[float] = []
        self.cpu_seconds: dict[int, float] = {}

    def look(self, pid: int) -> None:
        """Add a figure."""
        total = 0
        with suppress(psutil.NoSuchProcess):
            root = psutil.Process(pid)
            for process in (root, *root.children(recursive=True)):
                with suppress(psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
                    total += held_bytes(process.pid)
                    times = process.cpu_times()
                    self.cpu_seconds[process.pid] = times.user + times.system
        self.mib.append(total / BYTES_PER_MIB)


def held_bytes(pid: int) -> int:
    """Anonymous and shared memory of a process, a page that n processes share counted as an n-th."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(("Pss_Anon:", "Pss_Shmem:")))


def measure_growth(project: Project, hours: float, more: float) -> dict[str, Any]:
    """Let DVC take a finished corpus, add recordings, run again, let DVC take that."""
    first = project.commit()
    shards, audio = set(project.shards()), project.audio_inodes()
    project.write_segments(more, before=hours)
    run = prepare(project.folder)
    new_shards, grown = set(project.shards()) - shards, project.audio_inodes()
    untouched = [name for name, inode in audio.items() if grown.get(name) == inode]
    again = project.commit()
    return {
        "hours_before": hours, "hours_added": more, **run, "rows_added": round(more * 3600 / NEW_SECONDS),
        "shards_before": len(shards), "shards_made": len(new_shards),
        "audio_files_before": len(audio), "audio_files_untouched": len(untouched),
        "dvc_first": first, "dvc_again": again,
    }
