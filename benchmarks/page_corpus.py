"""The section on corpora at scale of benchmarks/results/README.md."""

from collections.abc import Sequence

from benchmarks.markdown import UNMEASURED, of_device, table
from benchmarks.results_folder import Result

HEADER = ("size", "utterances kept", "hours of audio", "seconds", "hours a second", "processor s",
          "MiB at most in the first third", "MiB at most")


def corpus_section(results: Sequence[Result]) -> str:
    """Time and memory as a corpus grows, and what an hour more costs."""
    parts = ["`python -m benchmarks corpus_scale`: prepare_corpus with the settings of the released preset. Sizes in "
             "hours are\nsegments of 6 s of long recordings, sizes in rows utterances of 0.6 s. Memory is that of all "
             "processes\ntogether; of each row some hashes and figures are held, to judge the corpus as a whole.\n"]
    if not results:
        return "\n".join([*parts, f"{UNMEASURED.capitalize()}.\n"])
    for result in results:
        hours, rows = result["by_hours"], result["by_rows"]
        parts += [f"{of_device(result)}; load average beforehand {result['load_average_before']}:\n",
                  table(HEADER, [*(_row(f"{case['hours']:g} h", case) for case in hours),
                                 *(_row(f"{case['rows']:,} rows", case) for case in rows)]),
                  "".join(f"- {_growth(cases, name)}\n" for cases, name in ((hours, "hours"), (rows, "rows")))]
        if result["growth"]:
            parts.append(_added(result["growth"]))
    return "\n".join(parts)


def _row(size: str, case: Result) -> tuple[str, ...]:
    return (size, f"{case['utterances']:,}", f"{case['audio_hours']:.2f}", f"{case['seconds']:.0f}",
            f"{case['audio_hours'] / case['seconds']:.3f}", f"{case['cpu_seconds']:.0f}",
            f"{case['mib_peak_first_third']:,.0f}", f"{case['mib_peak']:,.0f}")


def _growth(cases: Sequence[Result], name: str) -> str:
    """How time and memory grow from the smallest to the largest."""
    first, last = cases[0], cases[-1]
    return (f"{last[name] / first[name]:g} times the {name}: "
            f"{last['seconds'] / first['seconds']:.2f} times the seconds, "
            f"{last['cpu_seconds'] / first['cpu_seconds']:.2f} times the processor time, "
            f"{last['mib_peak'] - first['mib_peak']:+,.0f} MiB")


def _added(growth: Result) -> str:
    first, again = growth["dvc_first"], growth["dvc_again"]
    return (f"{growth['hours_added']:g} h more, in new files, behind {growth['hours_before']:g} h:\n\n" + table(
        ("", "before", "made or read again"), [
            ("shards", f"{growth['shards_before']:,}", f"{growth['shards_made']:,}"),
            ("rows", f"{growth['utterances'] - growth['rows_added']:,}", f"{growth['rows_made']:,} for "
             f"{growth['rows_added']:,} new ones"),
            ("files of the corpus' audio", f"{growth['audio_files_before']:,}",
             f"{growth['audio_files_before'] - growth['audio_files_untouched']:,}"),
            ("files that DVC hashed", f"{first['files']:,}", f"{again['files']:,}"),
            ("MB that DVC hashed", f"{first['bytes'] / 1e6:,.0f}", f"{again['bytes'] / 1e6:,.0f}"),
            ("seconds", "", f"{growth['seconds']:.0f}"),
        ]))
