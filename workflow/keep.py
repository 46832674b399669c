"""Puts the outputs of a stage that just ran into DVC's run cache; `dvc repro` leaves out those with `cache: false`.

python -m workflow.keep ADDRESS
"""

import sys

from dvc.repo import Repo, lock_repo


def main(address: str) -> int:
    """Keep the outputs of the stage, unless the stage changed since: those of other inputs are nobody's."""
    repo = Repo(".", _wait_for_lock=True)
    with lock_repo(repo):
        [stage] = repo.stage.collect(address)
        if not stage.status():
            repo.stage_cache.save(stage)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
