"""Small stand-ins for what evaluation reads."""

from types import SimpleNamespace

import torch

from stages.evaluate_speech.config import Config

STYLE = {"variant": "m1", "pitch": 30, "pitch_range": 20, "rate_words_per_minute": 130}


class Features:
    """Utterances `speaker-text` of a corpus in which every speaker reads every text."""

    def __init__(self, names):
        self.utterances = [SimpleNamespace(id=f"{speaker}-{text}", speaker=f"s{speaker}") for speaker, text in names]
        self.texts = [torch.tensor([3, text]) for _, text in names]

    def text(self, index):
        return self.texts[index]


def features(texts, speakers):
    return Features([(speaker, text) for speaker in range(speakers) for text in range(texts)])


def config(**changes):
    return Config.model_validate({
        "sentences_max": 4, "speakers_max": 1, "draws": 1, "base_sentences_max": 2, "drift_utterances_max": 9,
        "shown_utterances": 2, "worst_utterances": 2, "judge": "own", "base_judge": "own", "speaker_encoder": "own",
        "phone_voice": "am", "duration_ratio_min": 0.67, "duration_ratio_max": 1.5, "emotion_sentences_max": 2,
        "emotion_styles": [STYLE, {**STYLE, "pitch": 70, "rate_words_per_minute": 200}], "temperature": 0.0,
        "top_p": 1.0, "top_k": 0, "repetition_penalty": 1.0, "codes_per_text_token_max": 3.0, "seed": 1, **changes,
    })
