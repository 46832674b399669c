"""What a run was made from: the git commit, and DVC's hashes of the stage's data."""

import json
import os
import subprocess

UNKNOWN = "unknown"
INPUTS = "STAGE_INPUTS"  # in the environment: a JSON object, path -> hash


def git_commit() -> str:
    """Give the commit of the working tree, with '+changes' where tracked files differ from it; dvc.lock aside, which
    every run writes.
    """
    try:
        commit = run_git("rev-parse", "HEAD")
        changes = run_git("status", "--porcelain", "--untracked-files=no", "--", ".", ":(exclude,top)dvc.lock")
        return commit + ("+changes" if changes else "")
    except (OSError, subprocess.SubprocessError):
        return UNKNOWN


def run_git(*arguments: str) -> str:
    """Give the output of a git command, stripped."""
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True, timeout=30)
    return done.stdout.strip()


def data_hashes() -> dict[str, str]:
    """Map each data dep of this stage to DVC's hash of it, as it was when the stage began.

    A folder that several stages write to goes by what each wrote. Empty where DVC did not start this process.
    """
    return dict(json.loads(os.environ.get(INPUTS, "{}")))
