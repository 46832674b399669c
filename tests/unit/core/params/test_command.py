import errno
import os

import pytest

from stages.core.params.command import run_command


def failing(number):
    def main():
        raise OSError(number, os.strerror(number), "data/corpus/manifest.jsonl")

    return main


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_disk_without_room_is_one_line(number, capsys):
    assert run_command(failing(number)) == 2
    assert capsys.readouterr().err == f"error: data/corpus/manifest.jsonl: cannot write: {os.strerror(number)}\n"


def test_other_failures_of_the_system_are_faults():
    with pytest.raises(OSError):
        run_command(failing(errno.EIO))
