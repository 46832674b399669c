import io

import pytest
import soundfile
import torch

from stages.core.audio.files import encode_flac, write_audio


@pytest.mark.parametrize("samples", [1, 16_000])
def test_flac_in_memory_has_the_bytes_of_a_written_file(tmp_path, samples):
    audio = torch.randn(samples, generator=torch.Generator().manual_seed(1))
    write_audio(tmp_path / "a.flac", audio, 16_000)
    content = encode_flac(audio, 16_000)
    assert content == (tmp_path / "a.flac").read_bytes()
    read, rate_hz = soundfile.read(io.BytesIO(content), dtype="float32")
    assert rate_hz == 16_000 and torch.allclose(torch.from_numpy(read), audio.clamp(-1, 1), atol=2**-14)
