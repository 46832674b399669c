import csv
import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from stages.core.errors import UserError
from stages.core.params.strict import load_section, read_params
from stages.core.tracking import kept
from stages.core.tracking.provenance import INPUTS
from stages.report import __main__ as stage
from stages.report.__main__ import main, write_report
from stages.report.config import Config
from stages.report.gather import gather_findings
from tests.params_file import edit_params


def write(folder: str = "reports") -> str:
    """Write a report of the current project; gives the page."""
    path = Path(folder)
    path.mkdir()
    write_report(gather_findings(read_params()["phases"]), load_section(Config, "report"), path)
    return (path / "index.html").read_text(encoding="utf-8")


def hashes(folder: str) -> dict[str, str]:
    """Hash every file below a folder."""
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(Path(folder).rglob("*")) if path.is_file()}


def table(path: str) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def edit_json(path: str, **changes) -> None:
    content = json.loads(Path(path).read_text()) | changes
    Path(path).write_text(json.dumps(content))


def edit_phases(**changes) -> None:
    edit_params(Path(), lambda params: params.update(phases=changes))


def test_page_shows_every_phase_and_no_leftover(project):
    page = write()
    for name in ("base", "lora", "full", "polish"):
        assert f'<th scope="col" role="columnheader">{name}</th>' in page
    assert "leftover" not in page
    assert not (project / "reports/audio/leftover").exists()


def test_verdict_tells_the_figures_and_what_got_worse(project):
    page = write()
    assert "After lora → full → polish, the judge hears 35.0\u00a0% of the phones wrong" in page
    assert "untouched base 94.0\u00a0%, reference audio 8.0\u00a0%" in page
    assert "The lowest phone error is not the last: 31.0\u00a0% (28.0–34.0\u00a0%) at full." in page
    folded = page.split("<summary>Phase by phase</summary>")[1]
    worse = [part.split("</p>")[0] for part in folded.split("<p>full to polish")[1:]]
    assert [part.split(":")[0] for part in worse] == ["", ", within overlapping intervals"]
    assert "Code cross-entropy 2.55 to 2.75" in worse[0] and "Phone error 31.0\u00a0% to 35.0\u00a0%" in worse[1]
    assert "<dd>base to polish: Base-language cross-entropy 1.97 to 2.11." in page and "base to polish" not in folded
    assert '<small class="worse">worse than full</small>' in page
    assert "Nothing is shown by a test&#39;s figures." in page


def test_text_is_escaped_and_named_in_its_language(project):
    page = write()
    assert "<script" not in page
    escaped = "ሰላም &lt;script&gt;document.title = &#39;run&#39;&lt;/script&gt; &amp; &#34;ዓለም&#34;"
    assert f'<h3 lang="am">{escaped}</h3>' in page


def test_unmeasured_figure_is_called_so(project):
    for name in ("base", "lora", "full", "polish"):
        edit_json(f"data/evaluation/{name}/metrics.json", phone_error_rate=None)
    page = write()
    assert "the phone error of sampled speech is unmeasured" in page
    assert "<i>unmeasured</i> here: " in page and "; Phone error; Character error;" in page
    assert {row["phone_error_rate"] for row in table("reports/metrics.csv")} == {""}


def test_metrics_table_has_a_row_for_the_base_and_each_phase(project):
    write()
    rows = table("reports/metrics.csv")
    assert [row["phase"] for row in rows] == ["base", "lora", "full", "polish"]
    assert [float(row["phone_error_rate"]) for row in rows] == [0.94, 0.41, 0.31, 0.35]
    assert rows[0]["own_figure"] == "3.25" and rows[0]["speaker_similarity"] == ""


def test_curves_count_tokens_over_the_chain_of_phases(project):
    write()
    rows = table("reports/curves.csv")
    ends = {row["phase"]: (int(row["tokens_in_phase"]), int(row["tokens_seen"])) for row in rows}
    assert ends == {"lora": (30_000, 30_000), "full": (20_000, 50_000), "polish": (10_000, 60_000)}
    seen = [int(row["tokens_seen"]) for row in rows]
    assert seen == sorted(seen)


def test_branches_count_the_tokens_of_their_own_chain(project):
    phases = read_params()["phases"]
    edit_phases(full=phases["full"], lora=phases["lora"], polish={**phases["polish"], "start_from": "lora"})
    write()
    ends = {row["phase"]: int(row["tokens_seen"]) for row in table("reports/curves.csv")}
    assert ends == {"lora": 30_000, "full": 50_000, "polish": 40_000}


def test_one_phase_alone_makes_a_report(project):
    edit_phases(lora=read_params()["phases"]["lora"])
    assert "After lora, the judge hears 41.0\u00a0%" in write()


def test_same_inputs_give_the_same_bytes(project):
    write("first")
    write("second")
    assert hashes("first") == hashes("second")
    assert {"index.html", "curves.csv", "metrics.csv", "figures/curves-wide-light.svg",
            "figures/spectrogram-reference.png", "audio/polish/02.flac"} <= hashes("first").keys()


def test_worst_sentences_are_the_last_phases_with_the_reference_beside(project):
    page = write()
    worst = page[page.index('id="worst"'):page.index('id="spectrograms"')]
    assert worst.count("<article>") == 3 and worst.count("<b>reference</b>") == worst.count("<b>polish</b>") == 3
    assert "<b>full</b>" not in worst and "2 errors on 9 phones" in worst
    kept = {path.parent.name for path in Path("reports/audio").rglob("worst-*.flac")}
    assert kept == {"reference", "polish"}


def test_chief_figures_stand_above_all_the_others(project):
    page = write()
    chief, rest = page[page.index('id="phases"'):page.index('id="curves"')].split("<details>")
    assert chief.index("Phone error") < chief.index("Code cross-entropy") and "own figure" not in chief
    assert "Phone error" in rest and "Code top-1" in rest and "the limits of the measurement" in rest
    assert "Phone error of the reference audio" in rest and "Phone error of the reference audio" not in chief


def test_costs_are_told_and_a_resumed_phase_says_what_it_measured(project):
    page = write("first")
    assert "Training took 90 seconds and at most 0.5 GiB a process (cpu, 2 threads)." in page
    assert "1,000 tokens a second" in page and "after a resume" not in page
    edit_json("data/costs/full.json", resumed=True, tokens=5000, seconds=7200, tokens_per_second=None)
    page = write("second")
    assert "Training took more than 2.0 hours" in page and "for the last 5,000 tokens, after a resume" in page


def test_origin_is_told_by_what_the_inputs_were_made_of(project):
    page = write()
    origin = page[page.index('id="origin"'):page.index('id="method"')]
    rows = [row.split("</tr>")[0] for row in origin.split('<tr><th scope="row">')[1:]]
    assert [row.split("<")[0] for row in rows] == ["base", "lora", "full", "polish", "phases.full.epochs"]
    assert "<code>a2a2a2a2a2a2</code>" in rows[2] and "<code>b2b2b2b2b2b2</code>" in rows[2]
    assert "0123456789ab with changes of its own" in rows[2] and "not trained" in rows[0]
    assert "<td>4</td><td>2</td>" in rows[4] and "1 value of the params other than in presets/b.yaml" in origin
    for path, digest in (("base", "e0"), ("features", "f0"), ("corpus", "c0"), ("vocabulary", "d0")):
        assert f"data/{path} <code>{digest * 6}</code>" in origin


def test_origin_of_a_report_outside_dvc_and_presets_is_unknown(project, monkeypatch):
    monkeypatch.delenv(INPUTS)
    shutil.rmtree("presets")
    page = write()
    assert "data/corpus <code>unknown</code>" in page and "beside no preset" in page


def test_params_of_a_preset_are_named_by_it(project):
    shutil.copy("params.yaml", "presets/c.yaml")
    assert "are those of <code>presets/c.yaml</code>" in write()


def test_page_stays_the_same_after_a_commit(project):
    first = write("first")
    for command in ("init -q", "add params.yaml", "-c user.name=n -c user.email=e commit -qm first"):
        subprocess.run(["git", *command.split()], check=True)
    assert write("second") == first


def test_page_names_nothing_outside_itself(project):
    page = write()
    assert "http://" not in page and "https://" not in page and "<link rel=\"stylesheet\"" not in page
    assert all(part.startswith(("data:", "\"")) for part in page.split('src="')[1:])


def test_model_that_says_nothing_is_shown_as_silent(project):
    soundfile.write("data/evaluation/base/samples/00.wav", np.zeros(0), 16_000)
    page = write()
    assert "no sound at all" in page
    assert not Path("reports/audio/base/00.flac").exists()


def test_all_missing_inputs_are_named_in_one_error(project):
    Path("data/vocabulary/metrics.json").unlink()
    shutil.rmtree("data/evaluation/full")
    with pytest.raises(UserError) as error:
        main([])
    for name in ("data/vocabulary/metrics.json", "data/evaluation/full/metrics.json", "full/samples/samples.jsonl"):
        assert name in str(error.value)
    assert not Path("reports").exists()


def test_missing_audio_is_an_error_that_names_the_file(project):
    Path("data/evaluation/full/samples/01.wav").unlink()
    with pytest.raises(UserError, match="data/evaluation/full/samples/01.wav: cannot read audio"):
        write()


def test_sample_without_a_field_is_an_error_that_names_the_line(project):
    path = Path("data/evaluation/full/samples/samples.jsonl")
    path.write_text(path.read_text().replace('"speaker"', '"voice"', 1))
    with pytest.raises(UserError, match=r"samples.jsonl:1: 1 problem(?s:.)*speaker: Field required"):
        write()


def test_sentence_to_draw_must_be_one_of_those_evaluated(project):
    text = Path("params.yaml").read_text()
    Path("params.yaml").write_text(text.replace("spectrogram_sentence: 1", "spectrogram_sentence: 3"))
    with pytest.raises(UserError, match="report.spectrogram_sentence: must be below 3"):
        write()


def test_other_sentences_than_the_bases_are_refused(project):
    path = Path("data/evaluation/full/samples/samples.jsonl")
    path.write_text("".join(path.read_text().splitlines(keepends=True)[::-1]))
    with pytest.raises(UserError, match="data/evaluation/full/samples: not the sentences of"):
        write()


def test_run_writes_the_report_and_gives_it_to_the_schedules_parent_run(project):
    from mlflow.tracking import MlflowClient

    assert main([]) == 0
    client = MlflowClient(f"sqlite:///{project}/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("schedule").experiment_id])
    by_name = {run.info.run_name: run for run in runs}
    parent = by_name["lora > full > polish"]
    assert by_name["report"].data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert parent.data.metrics["phone_error_rate"] == 0.35
    assert "speaker_similarity" not in parent.data.metrics
    held = {file.path for file in client.list_artifacts(parent.info.run_id)}
    assert held == {"index.html", "curves.csv", "metrics.csv", "figures", "audio"}


def test_a_store_that_goes_away_in_mid_report_costs_nothing_and_gets_the_results_later(project, monkeypatch):
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    def fail(*_, **__):
        raise MlflowException("away")

    with monkeypatch.context() as patch:
        def lose_store(*given):
            for name in ("get_experiment_by_name", "search_runs", "log_batch", "set_tag", "log_artifact",
                         "log_artifacts", "set_terminated"):
                patch.setattr(MlflowClient, name, fail)
            return write_report(*given)

        patch.setattr(stage, "write_report", lose_store)
        assert main([]) == 0
    assert kept.main() == 0
    client = MlflowClient(f"sqlite:///{project}/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("schedule").experiment_id])
    [parent] = [run for run in runs if run.info.run_name == "lora > full > polish"]
    assert parent.data.metrics["phone_error_rate"] == 0.35 and {run.info.status for run in runs} == {"FINISHED"}
    held = {file.path for file in client.list_artifacts(parent.info.run_id)}
    assert held == {"index.html", "curves.csv", "metrics.csv", "figures", "audio"}


def test_a_base_that_cannot_speak_leaves_a_page_that_says_so(project):
    for name in ("base", "lora", "full", "polish"):
        samples = Path(f"data/evaluation/{name}/samples")
        shutil.rmtree(samples)
        samples.mkdir()
        for file in ("samples.jsonl", "worst.jsonl"):
            (samples / file).write_text("")
        edit_json(f"data/evaluation/{name}/metrics.json", phone_error_rate=None, codes_phone_error_rate=None,
                  reference_phone_error_rate=None, speaker_similarity=None)
    assert main([]) == 0
    page = Path("reports/index.html").read_text(encoding="utf-8")
    assert "the phone error of sampled speech is unmeasured" in page and "No audio: this base brings no decoder" in page
    assert "<audio" not in page and 'id="spectrograms"' not in page
    assert "Code cross-entropy on held-out text" in page


def test_a_judge_of_words_is_told_in_characters_and_its_words_are_marked(project):
    for name in ("base", "lora", "full", "polish"):
        edit_json(f"data/evaluation/{name}/metrics.json", phone_error_rate=None, character_error_rate=0.25,
                  reference_character_error_rate=0.05, word_error_rate=0.5)
        path = Path(f"data/evaluation/{name}/samples/samples.jsonl")
        lines = [json.loads(line) | {"symbols": "characters", "expected": "ሰላም ነው", "heard": "ሰላም ነገ"}
                 for line in path.read_text().splitlines()]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    page = write()
    assert "the judge hears 25.0\u00a0% of the characters wrong" in page and "reference audio 5.0\u00a0%" in page
    assert '<span lang="am">ሰላም <mark>ነገ</mark> </span>' in page and "2 errors on 9 characters" in page


def test_samples_that_nobody_judged_are_played_without_a_word_on_errors(project):
    for name in ("base", "lora", "full", "polish"):
        path = Path(f"data/evaluation/{name}/samples/samples.jsonl")
        path.with_name("worst.jsonl").write_text("")
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        kept = [{key: value for key, value in line.items() if key not in ("expected", "heard", "errors", "length")}
                for line in lines]
        path.write_text("".join(json.dumps(line) + "\n" for line in kept))
    page = write()
    assert 'id="worst"' not in page
    assert "<audio" in page and "not judged" in page and "Expected:" not in page and "nothing heard" not in page


def test_emotion_path_and_drift_are_told_where_they_were_measured(project):
    page = write("without")
    assert "The emotion vector" not in page and "The latents" not in page
    for name in ("base", "lora", "full", "polish"):
        edit_json(f"data/evaluation/{name}/metrics.json", emotion_code_change=0.55, seed_code_change=0.6,
                  emotion_duration_ratio=1.0, intended_emotion_duration_ratio=0.56, latent_relative_l2=0.7,
                  base_language_phone_error_rate=0.68)
    page = write("with")
    assert "changes 55.0\u00a0% of the codes, another seed 60.0\u00a0%; speech becomes 1.00 times as long" in page
    assert "the readings themselves are 0.56 times" in page
    assert "moved by 70.0\u00a0% of their length" in page
    assert "Base-language phone error of sampled speech: 68.0\u00a0% before, 68.0\u00a0% after" in page
