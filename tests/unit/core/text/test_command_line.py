"""`python -m stages.core.text`"""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[4]


def run(stdin: bytes, *options: str, cwd: Path = ROOT) -> tuple[int, list[str], list[str]]:
    command = [sys.executable, "-m", "stages.core.text", "--params", str(POLICY), *options]
    done = subprocess.run(command, input=stdin, capture_output=True, cwd=cwd, timeout=60, check=False)
    return done.returncode, done.stdout.decode().splitlines(), done.stderr.decode().splitlines()


POLICY = ROOT / "tests/fixtures/text_policy.yaml"


def test_bad_lines_go_to_stderr_and_the_rest_passes():
    status, out, errors = run("\ufeffዋጋው 25 ብር።\r\nПривет\n".encode() + b"\xff\n" + "ሥራ".encode())
    assert status == 1
    assert out == ["ዋጋው ሀያ አምስት ብር.", "ስራ"]
    assert len(errors) == 2
    assert errors[0].startswith("line 2: outside the output alphabet: U+041F CYRILLIC CAPITAL LETTER PE")
    assert errors[1] == "line 3: not UTF-8: byte 0xff at position 1"


def test_good_lines_end_with_status_zero_and_explain_names_rules():
    status, out, errors = run("ሥራ 5\n".encode(), "--explain")
    assert (status, errors) == (0, [])
    assert out == ["ስራ አምስት", "  homophones: 'ሥራ' -> 'ስራ'", "  numbers: '5' -> 'አምስት'"]


def test_json_rows_hold_line_text_and_changes():
    status, out, _ = run("ሥራ\nЖ\nሰላም\n".encode(), "--json", "--explain")
    assert status == 1
    assert [json.loads(line) for line in out] == [
        {
            "line": 1, "text": "ሥራ", "normalised": "ስራ",
            "changes": [{"rule": "homophones", "before": "ሥራ", "after": "ስራ"}],
        },
        {"line": 3, "text": "ሰላም", "normalised": "ሰላም", "changes": []},
    ]  # fmt: skip


def test_wrong_settings_stop_with_one_clear_message(tmp_path):
    params = tmp_path / "params.yaml"
    params.write_text("text: {colour: red}\n", encoding="utf-8")
    status, out, errors = run(b"", "--params", str(params))
    assert (status, out) == (2, [])
    assert any("text.colour: unknown key" in line for line in errors)
