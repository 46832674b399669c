"""Known answers: the published coefficients, and the test signals of EBU Tech 3341 that can be generated.

Those signals are stereo with the same sine in both channels, which has twice the power of one: 3.01 dB more.
"""

import math

import pytest
import torch

from stages.prepare_corpus.loudness import PEAK_MAX, bring_to, k_weighting, loudness_lufs, rms_db

STEREO_DB = 10 * math.log10(2)
TECH_3341 = {
    1: [(20, -23.0)],
    2: [(20, -33.0)],
    3: [(10, -36.0), (60, -23.0), (10, -36.0)],
    4: [(10, -72.0), (10, -36.0), (60, -23.0), (10, -36.0), (10, -72.0)],
    5: [(20, -26.0), (20.1, -20.0), (20, -26.0)],
}
EXPECTED_LUFS = {1: -23.0, 2: -33.0, 3: -23.0, 4: -23.0, 5: -23.0}


def tone(parts, rate_hz=48_000, frequency_hz=1000.0):
    """A sine whose peak level, in dB of full scale, holds for so many seconds a part."""
    levels = torch.cat([torch.full((round(seconds * rate_hz),), 10 ** (level / 20)) for seconds, level in parts])
    phase = 2 * math.pi * frequency_hz * torch.arange(len(levels), dtype=torch.float64) / rate_hz
    return (levels * phase.sin()).float()


def test_filters_at_48_khz_are_the_published_ones():
    shelf, high_pass = k_weighting(48_000)
    assert shelf == pytest.approx([1.53512485958697, -2.69169618940638, 1.19839281085285,
                                   1.0, -1.69065929318241, 0.73248077421585], abs=1e-12)
    assert high_pass == pytest.approx([1.0, -2.0, 1.0, 1.0, -1.99004745483398, 0.99007225036621], abs=1e-12)


@pytest.mark.parametrize("case", TECH_3341)
def test_published_signals_have_their_loudness(case):
    assert loudness_lufs(tone(TECH_3341[case]), 48_000) + STEREO_DB == pytest.approx(EXPECTED_LUFS[case], abs=0.1)


@pytest.mark.parametrize("rate_hz", [16_000, 22_050, 24_000, 44_100, 192_000])
def test_a_full_scale_sine_has_its_loudness_at_any_rate(rate_hz):
    assert loudness_lufs(tone([(5, 0.0)], rate_hz, 997.0), rate_hz) == pytest.approx(-3.01, abs=0.05)


@pytest.mark.parametrize("measure, loudness", [
    ("ebu_r128", lambda audio: loudness_lufs(audio, 24_000)), ("rms", rms_db),
])
@pytest.mark.parametrize("level", [-60.0, -20.0, -1.0])
def test_a_sine_comes_out_at_the_target(measure, loudness, level):
    audio = bring_to(tone([(3, level)], 24_000), 24_000, measure, -23.0)
    assert loudness(audio) == pytest.approx(-23.0, abs=0.1)


def test_a_gain_never_clips():
    audio = 0.001 * torch.randn(48_000, generator=torch.Generator().manual_seed(0))
    audio[100] = 0.9
    louder = bring_to(audio, 16_000, "ebu_r128", -23.0)
    assert float(louder.abs().max()) == pytest.approx(PEAK_MAX)
    assert torch.allclose(louder / louder[100], audio / audio[100])


def test_silence_and_less_than_a_block_have_an_answer():
    assert loudness_lufs(torch.zeros(16_000), 16_000) == loudness_lufs(torch.zeros(0), 16_000) == -math.inf
    assert rms_db(torch.zeros(10)) == rms_db(torch.zeros(0)) == -math.inf
    assert torch.equal(bring_to(torch.zeros(100), 16_000, "rms", -23.0), torch.zeros(100))
    assert loudness_lufs(tone([(0.2, -20.0)], 16_000), 16_000) == pytest.approx(-23.0, abs=0.5)
