"""Models that a user brings, as transformers writes them: a CTC judge and a speaker encoder, tiny and random."""

from types import SimpleNamespace

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from stages.core.errors import UserError
from stages.core.text.config import standard_config
from stages.core.text.normalise import Normaliser
from stages.evaluate_speech.judge import TextJudge, load_judge, read_as_written
from stages.evaluate_speech.likeness import XVectorEncoder, load_speaker_encoder, similarity
from stages.evaluate_speech.transformers_models import SpeechModel
from tests.tiny_judge import LETTERS, w2v_bert, wav2vec2, write_tokenizer, x_vectors

CPU = torch.device("cpu")
TONE = torch.sin(torch.arange(16000) * 0.1) * 0.3


@pytest.mark.parametrize(("make", "heard"), [(wav2vec2, "ሰ"), (w2v_bert, "ላ")])
def test_a_folder_of_a_ctc_model_judges(tmp_path, make, heard):
    judge = load_judge(str(make(tmp_path / "judge")), tmp_path, None, read_as_written, CPU)
    assert judge.figures == ("character_error_rate", "word_error_rate")
    # every frame says the same letter, which CTC writes once
    assert judge.hear(TONE, 16000) == judge.hear(TONE[:8000], 8000) == [[heard]]
    found = judge.compare(judge.expect("ሰላም ነው.", "am"), judge.hear(TONE, 16000))
    assert (found.symbol_errors, found.symbols, found.word_errors, found.words) == (5, 6, 2, 2)


def saying(text, folder, read):
    """A judge around the real tokenizer whose model says a text, letter by letter, with blanks between."""
    write_tokenizer(folder)
    frames = [frame for letter in text.replace(" ", "|") for frame in (LETTERS.index(letter), LETTERS.index(letter), 0)]
    logits = torch.nn.functional.one_hot(torch.tensor(frames), len(LETTERS))[None].float()
    model = SpeechModel(None, None, transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True))
    object.__setattr__(model, "run", lambda *_: SimpleNamespace(logits=logits))
    return TextJudge(model, read)


def test_repeats_are_merged_and_words_parted_as_ctc_writes_them(tmp_path):
    judge = saying("ሰላም ነው", tmp_path / "judge", read_as_written)
    found = judge.compare(judge.expect("ሰላም ነው!", "am"), judge.hear(TONE, 16000))
    assert (found.symbol_errors, found.word_errors, found.skipped, found.repeated) == (0, 0, 0, 0)


def test_the_judges_spelling_is_read_as_the_corpus_was(tmp_path):
    normalise = Normaliser(standard_config()).normalise
    judge = saying("ሠላም 5", tmp_path / "judge", normalise)
    expected = judge.expect(normalise("ሰላም 5"), "am")
    assert judge.compare(expected, judge.hear(TONE, 16000)).symbol_errors == 0
    plain = saying("ሠላም 5", tmp_path / "judge", read_as_written)
    assert plain.compare(expected, plain.hear(TONE, 16000)).symbol_errors > 0


def test_a_judge_that_writes_nothing_is_heard_as_silence(tmp_path):
    judge = saying("|", tmp_path / "judge", Normaliser(standard_config()).normalise)
    assert judge.hear(TONE, 16000) == []
    assert judge.compare(judge.expect("ሰላም ነው", "am"), []).symbol_errors == 6


def test_a_folder_of_an_x_vector_model_portrays_voices(tmp_path):
    encoder = load_speaker_encoder(str(x_vectors(tmp_path / "encoder")), None, CPU)
    assert isinstance(encoder, XVectorEncoder) and not encoder.is_centred
    one, again, other = (encoder.portray(audio, 16000) for audio in (TONE, TONE, torch.randn(16000)))
    assert one.shape == (12,) and similarity(one, again) == pytest.approx(1)
    assert similarity(one, other) < 0.9999


def test_what_is_no_such_model_is_one_line(tmp_path):
    judge, encoder = wav2vec2(tmp_path / "judge"), x_vectors(tmp_path / "encoder")
    write_tokenizer(encoder)
    cases = [
        (lambda: load_judge(str(tmp_path), tmp_path, None, read_as_written, CPU), "config.json is missing"),
        (lambda: load_judge(str(encoder), tmp_path, None, read_as_written, CPU), "lm_head.bias, lm_head.weight"),
        (lambda: load_speaker_encoder(str(judge), None, CPU), "is it of another task"),
        (lambda: damage(judge) or load_judge(str(judge), tmp_path, None, read_as_written, CPU), "cannot be loaded"),
    ]
    for load, told in cases:
        with pytest.raises(UserError, match=told) as error:
            load()
        assert str(tmp_path) in str(error.value) and "\n" not in str(error.value)


def damage(folder):
    (folder / "model.safetensors").write_bytes(b"damaged")


def test_a_row_that_only_training_uses_may_be_missing(tmp_path):
    folder = wav2vec2(tmp_path / "judge")
    weights = load_file(folder / "model.safetensors")
    del weights["wav2vec2.masked_spec_embed"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    assert load_judge(str(folder), tmp_path, None, read_as_written, CPU).hear(TONE, 16000) == [["ሰ"]]
