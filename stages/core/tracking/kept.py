"""What a store did not take while its run went on, kept until it does.

.resume/tracking/<time>.jsonl    the store, then an entry a line
.resume/tracking/<time>/         copies of the artifacts that they name

Every stage sends it before it opens a run of its own. Where no stage is to come:

python -m stages.core.tracking.kept    send it now
"""

import shutil
import sys
import time
from pathlib import Path
from typing import Any

from filelock import FileLock

from stages.core.artifacts.files import read_jsonl, write_jsonl
from stages.core.params.command import run_command
from stages.core.params.shared import TrackingConfig
from stages.core.params.strict import load_section
from stages.core.tracking.delivery import Entry, reason_of, send_all
from stages.core.tracking.mlflow_store import UNRECORDED, open_store, store_failures

KEPT = Path(".resume/tracking")
SEND_COMMAND = "python -m stages.core.tracking.kept"


def keep(uri: str, entries: list[Entry]) -> Path:
    """Write entries, and copies of the files that they name, or nothing; give the file."""
    file = KEPT / f"{time.time_ns()}.jsonl"
    copies = file.with_suffix("")
    try:
        KEPT.mkdir(parents=True, exist_ok=True)
        with_copies = [{**entry, "path": copy_artifact(Path(entry["path"]), copies / str(number))}
                       if entry["do"] == "artifact" else entry for number, entry in enumerate(entries)]
        write_jsonl(file, [{"uri": uri}, *with_copies])
    except OSError:
        shutil.rmtree(copies, ignore_errors=True)
        raise
    return file


def copy_artifact(path: Path, folder: Path) -> str:
    """Copy a file or a folder, which a later run may replace; give the copy."""
    folder.mkdir(parents=True)
    if path.is_dir():
        shutil.copytree(path, folder / path.name)
    elif path.exists():
        shutil.copyfile(path, folder / path.name)
    return str(folder / path.name)


def send_kept(client: Any, uri: str) -> int:
    """Send what is kept for a store, the oldest first; gives the number of entries. Raises what mlflow raises."""
    if not KEPT.is_dir():
        return 0
    sent = 0
    with FileLock(KEPT / "lock"):
        for file in sorted(KEPT.glob("*.jsonl")):
            head, *entries = read_jsonl(file)
            if head["uri"] == uri:
                sent += len(entries)
                send_all(client, entries, tell_refused)
                file.unlink()
                shutil.rmtree(file.with_suffix(""), ignore_errors=True)
    return sent


def try_to_send_kept(client: Any, uri: str) -> None:
    """Send what is kept for a store; what cannot be sent yet stays, and is told."""
    try:
        send_kept(client, uri)
    except Exception as error:  # mlflow lets its backends' own exception types through
        print(f"MLflow: {uri} does not take what earlier runs left for it: {reason_of(error)}; {KEPT} holds it, and "
              f"the next stage or `{SEND_COMMAND}` tries again", file=sys.stderr)


def tell_refused(entry: Entry, reason: str) -> None:
    """The store refuses it for good, as it does points of a deleted run."""
    print(f"MLflow: a kept entry is refused and dropped, {entry['do']}: {reason}", file=sys.stderr)


def main() -> int:
    """Send what is kept for the store of params.yaml, and tell how much."""
    tracking = load_section(TrackingConfig, "tracking")
    if tracking.uri == UNRECORDED:
        print(f"MLflow: nothing is recorded, for tracking.uri is {UNRECORDED}")
    else:
        with store_failures(tracking):
            sent = send_kept(open_store(tracking)[0], tracking.uri)
        print(f"MLflow: {sent} kept entries sent to {tracking.uri}")
    for file in sorted(KEPT.glob("*.jsonl")):
        print(f"MLflow: {file} is for another store, {read_jsonl(file)[0]['uri']}")
    return 0


if __name__ == "__main__":
    sys.exit(run_command(main))
