"""An export of a tiny base with random weights, made in a second: a folder that `speak` takes."""

from pathlib import Path

from stages.core.model.checkpoint import WEIGHTS_FILE, load_base, save_tensors
from stages.core.text.config import standard_config
from stages.core.text.exported import write_text_settings
from stages.core.text.syllabary import AMHARIC_LETTERS
from stages.core.text.tokenizer import Tokenizer
from stages.export_model.contents import write_model
from stages.train_vocabulary.surgery import append_pieces, extend_tables
from tests.tiny_base import make_base


def make_export(folder: Path, base: Path | None = None) -> Path:
    """Write `folder`/export, of a base that is given or of one in `folder`/base; returns the former."""
    checkpoint, vocabulary, export = (folder / name for name in ("phase", "vocabulary", "export"))
    base = base or make_base(folder / "base")
    for path in (checkpoint, vocabulary, export):
        path.mkdir()
    old = Tokenizer(base / "bpe.model").processor
    (vocabulary / "bpe.model").write_bytes(append_pieces((base / "bpe.model").read_bytes(), AMHARIC_LETTERS))
    tensors = extend_tables(dict(load_base(base).state_dict()), AMHARIC_LETTERS, old, "romanised")
    save_tensors(checkpoint / WEIGHTS_FILE, tensors)
    write_model(base, checkpoint, vocabulary, export, "copy")
    write_text_settings(export, standard_config())
    return export
