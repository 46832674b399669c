"""The page's tables of what memory is needed: the estimate's error, and the released size on a CPU."""

from collections.abc import Sequence

from benchmarks.markdown import UNMEASURED, of_device, table
from benchmarks.results_folder import Result, is_gpu

COLUMNS = ("shape", "utterances a batch", "approach", "variant", "estimated MiB", "counted MiB", "error",
           "resident MiB", "error")


def model_section(results: Sequence[Result]) -> str:
    """Estimate, what torch held, what the process held."""
    parts = [
        "What `python -m stages.finetune.plan` and the trainer say before a step, against a step at dropout 0.05.\n"
        "Counted: storages that torch holds. Resident: the process over what it held before, pages given back at\n"
        "once; on a GPU allocated memory. Without data: bfloat16 steps on tensors that have a shape and no memory.\n"
    ]
    for result in results:
        measured = [_row(case) for case in result["cases"]]
        weightless = [_row({**case, "shape": f"{case['shape']}, without data"}) for case in result["weightless"]]
        parts += [f"{of_device(result)}; worst error {result['worst_error']:.1%}:\n",
                  table(COLUMNS, [*measured, *weightless])]
    return "\n".join(parts) + ("" if any(map(is_gpu, results)) else f"\nOn a GPU: {UNMEASURED}.\n")


def _row(case: Result) -> tuple[str, ...]:
    def told(name: str) -> tuple[str, str]:
        if f"{name}_mib" not in case:
            return "-", "-"
        return f"{case[f'{name}_mib']:,.0f}", f"{case[f'{name}_error']:+.1%}"

    return (case["shape"], str(case["batch_utterances"]), case["approach"], case["variant"],
            f"{case['estimated_mib']:,.0f}", *told("counted"), *told("resident"))


def released_section(results: Sequence[Result]) -> str:
    """Each part's peak and time at the released size, on a CPU."""
    parts = ["`python -m benchmarks released_step`: 866 M random weights, 12,000 + 8,000 pieces, the preset's LoRA "
             "phase\nwith its teacher and replay; peak is the whole process's resident memory.\n"]
    if not results:
        return "\n".join([*parts, f"{UNMEASURED.capitalize()}.\n"])
    for result in results:
        rows = [(name, f"{part['peak_gb']:.2f}", f"{part['seconds']:.0f}") for name, part in result["parts"].items()]
        met = result["peak_gb"] < result["goal_gb"] and result["seconds"] < result["goal_seconds"]
        rows.append(("in all", f"{result['peak_gb']:.2f}", f"{result['seconds']:.0f}"))
        rows.append(("goal", f"< {result['goal_gb']}", f"< {result['goal_seconds']}: {'met' if met else 'not met'}"))
        trained = result["trained"]
        parts += [f"{of_device(result)}; {trained['trained']:,} of {trained['total']:,} parameters trained "
                  f"({result['precision']}), step estimated at {result['estimated_step_gb']} GB:\n",
                  table(("part", "peak GB", "seconds"), rows)]
    return "\n".join(parts)
