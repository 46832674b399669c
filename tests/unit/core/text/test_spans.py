
import pytest

from stages.core.errors import UserError
from stages.core.params.shared import SplitsConfig
from stages.core.text.spans import read_spans

SPLITS = SplitsConfig(seed=1, validation_share=0.2, test_share=0.2, test_speakers_share=0.0)


def plain(text):
    return text.replace("፡", " ").replace("።", ".").replace("፣", ",")


def test_spans_keep_what_was_written_beside_what_is_read(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("ማንም፡ሰው፣፡በመብት፡እኩል፡ነው። ሁሉም፡ሰው።\n")
    assert [(span.text, span.text_normalised) for span in read_spans(path, plain, 3, SPLITS)] == [
        ("ማንም ሰው፣", "ማንም ሰው,"), ("በመብት እኩል ነው።", "በመብት እኩል ነው."), ("ሁሉም ሰው።", "ሁሉም ሰው."),
    ]


def test_a_training_span_that_also_stands_in_a_held_out_sentence_is_rejected(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("\n".join(f"same start here {number} and then more words follow." for number in range(40)))
    spans = read_spans(path, lambda text: text, 3, SPLITS)
    held_out = {span.text_normalised for span in spans if span.split != "train"}
    training = {span.text_normalised for span in spans if span.split == "train" and not span.rejected}
    assert "same start here" in held_out and not held_out & training
    assert any(span.rejected for span in spans)


def test_a_folder_in_the_place_of_a_text_is_one_clear_error(tmp_path):
    with pytest.raises(UserError, match="cannot be read: Is a directory"):
        read_spans(tmp_path, plain, 3, SPLITS)
