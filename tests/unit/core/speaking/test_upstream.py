"""The way through upstream's package, with a stand-in for it: what it is given, and what is said when it is missing."""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch

from stages.core.errors import UserError
from stages.core.model.conditioning import Conditioner
from stages.core.model.sampling import SamplingSettings, sample_codes
from stages.core.model.unified_voice import UnifiedVoice
from stages.core.speaking import upstream
from stages.core.speaking.passage import Span
from tests.tiny import SETTINGS

SAMPLING = SamplingSettings(temperature=1.0, top_p=0.9, top_k=0, repetition_penalty=1.0, codes_max=9, seed=5)
SPAN = Span("ሰላም ነው.", [7, 8, 9], True)


class Gpt(torch.nn.Module):
    """Names and calls of upstream's class, around our modules."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.voice, self.conditioner = UnifiedVoice(SETTINGS), Conditioner(SETTINGS)

    def state_dict(self):
        return {**self.voice.state_dict(), **self.conditioner.state_dict(), "gpt.wte.weight": torch.zeros(1)}

    def get_conditioning(self, features, lengths):
        return self.conditioner.voice(features.transpose(1, 2), lengths)

    def merge_emovec(self, features):
        return self.conditioner.emotion(features, torch.tensor([features.shape[1]]))

    def forward(self, voice):
        return voice.sum()


class IndexTTS2:
    """Upstream's inference: asks its GPT for codes and makes a sample of each."""

    def __init__(self, model_dir):
        self.model_dir, self.gpt = model_dir, Gpt()
        self.tokenizer = SimpleNamespace(normalizer="a text normaliser")
        self.asked = []

    @torch.no_grad()
    def infer(self, prompt, text, output_path, max_text_tokens_per_segment):
        self.asked.append((prompt, text, output_path, self.tokenizer.normalizer, max_text_tokens_per_segment))
        features = torch.linspace(-1, 1, 300).reshape(1, 30, 10)
        codes, voice = self.gpt.inference_speech(
            features, torch.tensor([SPAN.ids], dtype=torch.int32), features, cond_lengths=torch.tensor([30]),
            emo_cond_lengths=torch.tensor([30]), emo_vec=self.gpt.merge_emovec(features), do_sample=True, num_beams=3,
        )
        assert self.gpt(voice) == voice.sum()
        return 22050, (codes[0].numpy() * 1000).astype(np.int16)[:, None]


@pytest.fixture
def package(monkeypatch):
    module = ModuleType("indextts")
    module.IndexTTS2 = IndexTTS2
    monkeypatch.setitem(sys.modules, "indextts", module)
    monkeypatch.setattr(upstream, "read_settings", lambda _: SimpleNamespace(gpt=SETTINGS))
    return module


@pytest.fixture
def voice(package, tmp_path):
    soundfile.write(tmp_path / "voice.wav", np.sin(np.arange(16000) / 30), 16000)
    return upstream.ReleasedModel(tmp_path, 15.0).take_voice(tmp_path / "voice.wav")


def test_upstream_gets_normalised_text_and_neither_normalises_nor_cuts_it(voice):
    voice.say(SPAN, SAMPLING)
    [(prompt, text, output, normaliser, segment)] = voice.whole.speaker.asked
    assert prompt.endswith("voice.wav") and text == SPAN.text
    assert (output, normaliser) == (None, None) and segment >= 600


def test_codes_are_drawn_by_our_sampler_from_upstreams_weights(voice):
    spoken = voice.say(SPAN, SAMPLING)
    gpt = Gpt()
    features = torch.linspace(-1, 1, 300).reshape(1, 30, 10)
    with torch.no_grad():
        conditioning = gpt.get_conditioning(features.transpose(1, 2), torch.tensor([30]))
        conditioning = conditioning + gpt.merge_emovec(features)[:, None]
    [(codes, stopped)] = sample_codes(gpt.voice.eval(), conditioning, [torch.tensor(SPAN.ids)], SAMPLING)
    drawn = (spoken.audio * 32767 / 1000).round().int().tolist()
    assert drawn == codes.tolist() + [SETTINGS.stop_mel_token] * stopped
    assert (spoken.stopped, voice.sample_rate_hz) == (stopped, 22050)


def test_the_weights_are_shared_not_copied(voice):
    theirs, ours = voice.whole.gpt._theirs.state_dict(), voice.whole.gpt._ours.state_dict()
    assert all(ours[name].data_ptr() == theirs[name].data_ptr() for name in ours)


def test_a_missing_package_is_told_with_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "indextts", None)
    with pytest.raises(UserError, match=r"python -m pip install 'indextts2-inference==2\.1\.1'"):
        upstream.load_upstream(tmp_path)


def test_a_folder_that_upstream_cannot_load_is_told(package, tmp_path):
    def refuse(model_dir):
        raise FileNotFoundError(2, "No such file", "s2mel.pth")

    package.IndexTTS2 = refuse
    with pytest.raises(UserError, match=r"cannot load it: .*s2mel\.pth"):
        upstream.load_upstream(tmp_path)
