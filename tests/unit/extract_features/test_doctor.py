from pathlib import Path

import pytest
import torch

from stages.core.audio.files import write_audio
from stages.extract_features.doctor import main
from tests.released_base import make_released_base
from tests.tiny_base import make_base


@pytest.fixture
def base(tmp_path):
    return make_released_base(tmp_path / "base")


def states(printed: str) -> dict[str, str]:
    """What the table says of each part."""
    rows = [line.split() for line in printed.splitlines() if line.startswith("  ")]
    return {row[1]: row[0] for row in rows if row[0] in ("found", "missing", "wrong")}


def test_a_whole_released_base_is_heard(base, capsys):
    assert main(["--base", str(base)]) == 0
    printed = capsys.readouterr().out
    assert set(states(printed).values()) == {"found"} and len(states(printed)) == 11
    assert "features  [149, 32]" in printed and "codes     [149]" in printed and "3.00 s of audio in" in printed


def test_a_file_is_heard_instead_of_the_tone(base, capsys, tmp_path):
    write_audio(tmp_path / "voice.wav", 0.1 * torch.randn(24000), 24000)
    assert main(["--base", str(base), "--audio", str(tmp_path / "voice.wav")]) == 0
    assert "voice.wav: 1.00 s of audio" in capsys.readouterr().out


def test_what_is_missing_and_what_is_wrong_is_listed_and_nothing_is_run(base, capsys):
    (base / "semantic_codec/model.safetensors").unlink()
    (base / "wav2vec2bert_stats.pt").write_bytes(b"nothing")
    (base / "feat1.pt").unlink()
    assert main(["--base", str(base)]) == 2
    printed = capsys.readouterr().out
    told = states(printed)
    assert told["semantic_codec/model.safetensors"] == "missing" and "amphion/MaskGCT" in printed
    assert told["wav2vec2bert_stats.pt"] == "wrong" and told["feat1.pt"] == "missing" and told["gpt.pth"] == "found"
    assert "2 part(s)" in printed and "codes a second" not in printed


def test_parts_that_only_upstream_reads_may_be_missing(base, capsys):
    (base / "s2mel.pth").unlink()
    assert main(["--base", str(base)]) == 0
    assert states(capsys.readouterr().out)["s2mel.pth"] == "missing"


def test_an_empty_folder_is_told_the_layout(tmp_path, capsys):
    assert main(["--base", str(tmp_path)]) == 2
    assert set(states(capsys.readouterr().out).values()) == {"missing"}


def test_the_miniature_passes(tmp_path, capsys):
    assert main(["--base", str(make_base(Path(tmp_path) / "tiny"))]) == 0
    assert states(capsys.readouterr().out)["codebook.safetensors"] == "found"
