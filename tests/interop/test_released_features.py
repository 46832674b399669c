"""Speech to features, codes and conditioning against upstream's own classes, with the same random weights.

The width of the features is upstream's 1024, which its conditioning encoders fix; depth and codec are small, and the
codec is compared at the released size as well.
"""

import pytest
import torch
from safetensors.torch import save_file
from torch.nn.utils.rnn import pad_sequence

from stages.core.model.adapter import load_adapter
from stages.core.model.checkpoint import FROZEN, load_conditioner
from stages.core.model.semantic_codec import load_semantic_codec
from stages.core.model.settings import CodecSettings, read_settings
from tests.interop.upstream import build, needs_upstream, randomise
from tests.interop.upstream_speech import UpstreamSpeech, build_codec
from tests.released_base import UPSTREAM_FEATURES, make_released_base, swelling_noise

pytestmark = [pytest.mark.interop, needs_upstream]

TOLERANCE = 1e-4
SAMPLES = (16000, 16160, 25840, 9120)  # odd and even counts of 10 ms frames
RELEASED_CODEC = {"codebook_size": 8192, "hidden_size": 1024, "codebook_dim": 8, "vocos_dim": 384,
                  "vocos_intermediate_dim": 2048, "vocos_num_layers": 12}
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_released_base(tmp_path_factory.mktemp("released") / "base", features=UPSTREAM_FEATURES)


@pytest.fixture(scope="module")
def upstream(base):
    return UpstreamSpeech(base)


@pytest.fixture(scope="module")
def adapter(base):
    return load_adapter(base, read_settings(base), CPU)


@pytest.fixture(scope="module")
def audio():
    return swelling_noise(SAMPLES)


def assert_near(ours, theirs):
    torch.testing.assert_close(ours, theirs, atol=TOLERANCE, rtol=0.0)


def test_statistics_are_upstreams(upstream, adapter):
    assert torch.equal(adapter.mean, upstream.semantic_mean) and torch.equal(adapter.std, upstream.semantic_std)


def test_features_and_codes_are_upstreams_alone_and_in_a_batch(upstream, adapter, audio):
    together = adapter.analyse_batch(audio)
    for one, in_batch in zip(audio, together, strict=True):
        features = upstream.features(one)
        codes = upstream.codes(features)
        for speech in (adapter.analyse(one), in_batch):
            assert_near(speech.features, features[0])
            assert speech.codes.tolist() == codes.tolist()
    assert len(torch.cat([speech.codes for speech in together]).unique()) > 10


@pytest.mark.parametrize("section", [RELEASED_CODEC, {**RELEASED_CODEC, "codebook_size": 100, "vocos_num_layers": 2}])
def test_the_codec_gives_upstreams_codes_at_the_released_size(section, tmp_path):
    theirs = build_codec(section)
    randomise(theirs, seed=2)
    save_file({name: value.contiguous() for name, value in theirs.state_dict().items()}, tmp_path / "codec.safetensors")
    ours = load_semantic_codec(tmp_path / "codec.safetensors", CodecSettings(**section))
    generator = torch.Generator().manual_seed(3)
    rows = [torch.randn(frames, 1024, generator=generator) for frames in (40, 61, 7)]
    lengths = torch.tensor([len(row) for row in rows])
    with torch.inference_mode():
        batch = ours.quantise(pad_sequence(rows, batch_first=True), lengths)
        for row, in_batch in zip(rows, batch, strict=True):
            wanted = theirs.quantize(row[None])[0][0].tolist()
            assert len(set(wanted)) > 3
            assert ours.quantise(row[None], torch.tensor([len(row)]))[0].tolist() == wanted
            assert in_batch[: len(row)].tolist() == wanted


@torch.no_grad()
def test_voice_and_emotion_of_audio_are_upstreams_alone_and_in_a_batch(base, upstream, adapter, audio):
    settings = read_settings(base)
    theirs = build(settings.gpt)
    stored = torch.load(base / "gpt.pth", weights_only=True)["model"]
    missing, unexpected = theirs.load_state_dict(stored, strict=False)
    assert not unexpected and not [name for name in missing if name.startswith(FROZEN)]
    conditioner = load_conditioner(base, settings)
    features = [one.features for one in adapter.analyse_batch(audio)]
    lengths = torch.tensor([len(one) for one in features])
    padded = pad_sequence(features, batch_first=True)
    voices, emotions = conditioner.voice(padded, lengths), conditioner.emotion(padded, lengths)
    for one, voice, emotion in zip(audio, voices, emotions, strict=True):
        wanted = upstream.features(one)
        length = torch.tensor([wanted.shape[1]])
        assert_near(voice, theirs.get_conditioning(wanted.transpose(1, 2), length)[0])
        assert_near(emotion, theirs.get_emovec(wanted, length)[0])


def test_a_prompt_is_cut_where_upstream_cuts_it(upstream, adapter):
    for seconds in (14.9, 15.0, 15.3):
        audio = torch.randn(int(seconds * adapter.sample_rate_hz))
        kept = audio[: int(15 * adapter.sample_rate_hz)]
        assert torch.equal(upstream.cut(audio, adapter.sample_rate_hz), kept)
