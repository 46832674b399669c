import os

import pytest

from stages.core.errors import UserError
from workflow import cores, stamps


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_only_a_lost_cache_counts_as_such():
    lost = {"changed outs": {"data/a": "not in cache"}}
    assert stamps.lost_only_its_cache([lost])
    assert not stamps.lost_only_its_cache([])
    assert not stamps.lost_only_its_cache([lost, "changed command"])
    assert not stamps.lost_only_its_cache([lost, {"changed deps": {"data/b": "modified"}}])
    assert not stamps.lost_only_its_cache([{"changed outs": {"data/a": "not in cache", "data/b": "modified"}}])


@pytest.mark.parametrize("name, then", [
    ("dvc.yaml", "what the outputs are not made from then runs"),
    ("compare/dvc.lock", "what the outputs are not made from then runs"),
    ("data/recordings/home.dvc", "then `dvc checkout data/recordings/home.dvc`"),
])
def test_a_merge_that_was_not_ended_is_named_with_what_to_do(folder, name, then):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("outs:\n")
    stamps.refuse_conflicts()
    path.write_text("outs:\n<<<<<<< HEAD\n- md5: 1.dir\n=======\n- md5: 2.dir\n>>>>>>> theirs\n")
    with pytest.raises(UserError) as told:
        stamps.refuse_conflicts()
    assert str(told.value) == (f"{name}: holds conflict markers of a merge; take either side whole, such as by "
                               f"`git checkout --ours {name}`: {then}")


def test_paths_overlap_when_one_lies_in_the_other():
    assert stamps.overlaps("/a/b", "/a/b/c") and stamps.overlaps("/a/b/c", "/a/b") and stamps.overlaps("/a", "/a")
    assert not stamps.overlaps("/a/b", "/a/bc")


def test_cores_never_exceed_what_the_process_may_use(monkeypatch, tmp_path):
    assert 1 <= cores.usable_cores() <= len(os.sched_getaffinity(0))
    quota = tmp_path / "cpu.max"
    quota.write_text("150000 100000\n")
    monkeypatch.setattr(cores, "CGROUP_QUOTA", quota)
    assert cores.usable_cores() == 1


@pytest.mark.parametrize("arguments, pipelines", [
    (["--cores", "8", "all"], ["dvc.yaml"]), (["-n"], ["dvc.yaml"]),
    (["--cores", "8", "compare"], ["dvc.yaml", "compare/dvc.yaml"]),
    (["-n", ".pipeline/stamps/compare_strategies@full-small-1"], ["dvc.yaml", "compare/dvc.yaml"]),
])
def test_the_comparison_is_looked_at_only_where_something_of_it_is_asked_for(arguments, pipelines):
    assert list(stamps.asked_pipelines(arguments)) == pipelines


@pytest.mark.parametrize("arguments, tells", [
    (["-n", "all"], True), (["-np"], True), (["-nq"], True), (["-nf"], True), (["--dry-run"], True),
    (["--dag=dot"], True), (["--summary", "all"], True), (["--cores", "8", "all"], False), (["-call"], False),
    (["-c", "8", "-k"], False), (["--notemp", "-j1"], False), (["--unlock"], False), (["-Fp", "all"], False),
    (["--report", "page.html"], True), (["--report", "page.html", "--report-after-run"], False),
])
def test_a_plan_is_told_from_a_run(arguments, tells):
    assert stamps.only_tells(arguments) == tells
