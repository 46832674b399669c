"""A released model's voice inside upstream's own `IndexTTS2.infer`: what our sampling is asked for, what follows it.

`infer` runs as installed. In the place of what cannot be had without weights stand small ones: the prompt's analysis,
s2mel (a linear layer, a regulator of lengths and a decoder), the codec's table and the vocoder.
"""

import sys
from importlib import import_module
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
import soundfile
import torch
from torch import Tensor, nn

from stages.core.model.checkpoint import load_exactly
from stages.core.model.conditioning import Conditioner
from stages.core.model.sampling import SamplingSettings, sample_codes
from stages.core.model.unified_voice import UnifiedVoice
from stages.core.speaking import upstream as speaking
from stages.core.speaking.passage import Span
from stages.core.speaking.upstream import ReleasedModel
from stages.core.text.tokenizer import Tokenizer
from stages.core.training.batching import Row, collate
from tests.interop import shapes
from tests.interop.upstream import FROZEN, build, needs_upstream, randomise, stored_tensors

pytestmark = [pytest.mark.interop, needs_upstream]

SAMPLES_A_FRAME, FRAMES_A_CODE = 256, 1.72
UNINSTALLED = ("librosa", "librosa.filters", "munch")  # read audio files and settings, which is done here otherwise
SAMPLING = SamplingSettings(temperature=0.8, top_p=0.9, top_k=20, repetition_penalty=2.0, codes_max=50, seed=6)
TEXT = "ABEBE ASKS THEM, WHO IS NOT THERE. HE IS."


def inference_class() -> Any:
    """Upstream's `IndexTTS2`; modules that are not installed are stood in for while it is imported."""
    build(shapes.small_encoders())
    stands = {name: mock.MagicMock() for name in UNINSTALLED if name not in sys.modules}
    sys.modules.update(stands)
    try:
        return import_module("indextts.infer_v2").IndexTTS2
    finally:
        for name in stands:
            del sys.modules[name]


class Recorder:
    """Stands for s2mel and the codec, and keeps what they are given."""

    def __init__(self) -> None:
        self.latents, self.codes, self.frames = Tensor(), Tensor(), 0
        self.models = {"gpt_layer": self.take_latents, "length_regulator": self.stretch,
                       "cfm": SimpleNamespace(inference=self.decode)}
        self.quantizer = SimpleNamespace(vq2emb=self.look_up)

    def take_latents(self, latents: Tensor) -> Tensor:
        self.latents = latents
        return latents[..., :8]

    def look_up(self, codes: Tensor) -> Tensor:
        self.codes = codes
        return torch.zeros(1, 8, codes.shape[-1])

    def stretch(self, states: Tensor, ylens: Tensor, n_quantizers: int, f0: None) -> tuple[Tensor]:
        self.frames = int(ylens)
        return (torch.zeros(1, self.frames, 8),)

    def decode(self, condition: Tensor, lengths: Tensor, *_: Any, **__: Any) -> Tensor:
        return torch.randn(1, 80, condition.shape[1])


def make_inference(gpt: nn.Module, features: Tensor, bpe: str) -> Any:
    """An `IndexTTS2` that was given its parts instead of a folder."""
    tts, recorder = inference_class().__new__(inference_class()), Recorder()
    tts.gpt, tts.device, tts.dtype, tts.stop_mel_token = gpt, "cpu", None, gpt.stop_mel_token
    tts.s2mel, tts.semantic_codec, tts.recorder = recorder, recorder, recorder
    tts.tokenizer = import_module("indextts.utils.front").TextTokenizer(bpe)
    prompt = torch.zeros(1, 4, 8)
    tts._get_speaker_conditioning = lambda *_: (features, torch.zeros(1, 192), prompt, torch.zeros(1, 80, 4))
    tts._get_emotion_conditioning = lambda *_: features
    tts.bigvgan = lambda mel: mel[:, :1].repeat_interleave(SAMPLES_A_FRAME, dim=2).clamp(-1, 1)
    return tts


@pytest.fixture(scope="module")
def gpt():
    model = build(shapes.small_encoders().model_copy(update={"number_text_tokens": 160})).requires_grad_(False)
    randomise(model, seed=21)
    model.mel_head.bias[model.start_mel_token] = -100.0
    return model


@pytest.fixture
def voice(gpt, tmp_path, monkeypatch):
    features = torch.randn(1, 40, 1024, generator=torch.Generator().manual_seed(22))
    soundfile.write(tmp_path / "voice.wav", torch.randn(16000).clamp(-1, 1).numpy() / 4, 16000)
    tts = make_inference(gpt, features, str(shapes.BASE / "bpe.model"))
    monkeypatch.setattr(speaking, "load_upstream", lambda _: tts)
    settings = SimpleNamespace(gpt=shapes.small_encoders().model_copy(update={"number_text_tokens": 160}))
    monkeypatch.setattr(speaking, "read_settings", lambda _: settings)
    voice = ReleasedModel(tmp_path, 15.0).take_voice(tmp_path / "voice.wav")
    voice.features = features
    return voice


def expected(gpt: nn.Module, features: Tensor, ids: list[int], stop: bool) -> tuple[Tensor, Tensor]:
    """Our codes [M] and the latents [1, M, D] of our own model."""
    settings = shapes.small_encoders().model_copy(update={"number_text_tokens": 160})
    ours, conditioner = UnifiedVoice(settings).eval(), Conditioner(settings).eval()
    stored = stored_tensors(gpt)
    load_exactly(ours, {name: value for name, value in stored.items() if not name.startswith(FROZEN)}, "upstream")
    load_exactly(conditioner, {name: value for name, value in stored.items() if name.startswith(FROZEN)}, "upstream")
    lengths, text = torch.tensor([features.shape[1]]), torch.tensor(ids)
    with torch.no_grad():
        conditioning = conditioner.voice(features, lengths) + conditioner.emotion(features, lengths)[:, None]
        [(codes, stopped)] = sample_codes(ours, conditioning, [text], SAMPLING)
        _, states = ours(collate([Row("row", text, codes, conditioning[0])], settings))
    assert stopped == stop
    return codes, states[:-1][None]


@pytest.mark.parametrize("stop", [True, False])
def test_infer_speaks_our_codes_with_the_latents_of_training(voice, gpt, stop):
    gpt.mel_head.bias[gpt.stop_mel_token] = 1.0 if stop else -100.0
    ids = Tokenizer(shapes.BASE / "bpe.model").encode(TEXT)
    spoken = voice.say(Span(TEXT, ids, True), SAMPLING)
    codes, latents = expected(gpt, voice.features, ids, stop)
    given = voice.whole.speaker.recorder
    assert len(codes) > 1 and given.codes.flatten().tolist() == codes.tolist() and spoken.stopped == stop
    torch.testing.assert_close(given.latents, latents, atol=1e-4, rtol=0.0)
    assert voice.sample_rate_hz == 22050
    assert len(spoken.audio) == int(len(codes) * FRAMES_A_CODE) * SAMPLES_A_FRAME
    assert spoken.audio.abs().max() > 0


def test_the_same_seed_speaks_the_same_audio(voice, gpt):
    gpt.mel_head.bias[gpt.stop_mel_token] = -100.0
    ids = Tokenizer(shapes.BASE / "bpe.model").encode(TEXT)
    one, two = (voice.say(Span(TEXT, ids, True), SAMPLING).audio for _ in range(2))
    assert torch.equal(one, two)


def test_a_text_for_which_no_code_is_drawn_is_silence_not_a_fault(voice, gpt):
    gpt.mel_head.bias[gpt.stop_mel_token] = 1000.0
    ids = Tokenizer(shapes.BASE / "bpe.model").encode(TEXT)
    spoken = voice.say(Span(TEXT, ids, True), SAMPLING)
    assert (len(spoken.audio), spoken.stopped, voice.sample_rate_hz) == (0, True, 22050)
