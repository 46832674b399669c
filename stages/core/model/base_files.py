"""Which files a base's folder must hold, by the names that its config.yaml gives them, and where each comes from."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stages.core.errors import UserError

CONFIG_FILE = "config.yaml"
DVC_CACHE = Path(".dvc/cache")
W2V_BERT_FOLDER = "w2v-bert-2.0"
CODEC_FILE = "semantic_codec/model.safetensors"
INDEXTTS2, W2V_BERT, MASKGCT = "IndexTeam/IndexTTS-2", "facebook/w2v-bert-2.0", "amphion/MaskGCT"


@dataclass(frozen=True)
class Part:
    """One file or folder of a base.

    Attributes:
        path: below the base's folder.
        role: what it is.
        source: the public repository that holds it; empty for the miniature, which ships whole.
        needed: by this project; the others serve upstream's own inference.
    """

    path: str
    role: str
    source: str = INDEXTTS2
    needed: bool = True


RELEASED = (
    Part(CONFIG_FILE, "settings"),
    Part("bpe.model", "tokenizer"),
    Part("gpt.pth", "GPT and conditioning encoders"),
    Part("wav2vec2bert_stats.pt", "mean and variance of the features"),
    Part(f"{W2V_BERT_FOLDER}/config.json", "settings of w2v-BERT 2.0", W2V_BERT),
    Part(f"{W2V_BERT_FOLDER}/model.safetensors", "weights of w2v-BERT 2.0", W2V_BERT),
    Part(CODEC_FILE, "semantic codec", MASKGCT),
    Part("s2mel.pth", "codes to mel spectrogram", needed=False),
    Part("feat1.pt", "speaker matrix", needed=False),
    Part("feat2.pt", "emotion matrix", needed=False),
    Part("qwen0.6bemo4-merge", "emotion of a text", needed=False),
)


def base_files(base: Path) -> list[str]:
    """Names of a base's files, relative to it, in order; hidden ones are no part of it.

    Links may lead about in the base, and into DVC's cache, as `cache.type symlink` has it.

    Raises:
        UserError: a link leads elsewhere, or a name holds what could end a line of a list of files.
    """
    rooms = [os.path.realpath(base), os.path.realpath(DVC_CACHE)]
    for path in base.rglob("*"):
        name, target = path.relative_to(base).as_posix(), os.path.realpath(path)
        if not name.isprintable():
            raise UserError(f"{base}: the names of its files must be printable (got {name!r})")
        if path.is_symlink() and not any(Path(target).is_relative_to(room) for room in rooms):
            raise UserError(f"{path}: a link in a base must lead to a file of the base (got {target!r})")
    names = (path.relative_to(base) for path in sorted(base.rglob("*")) if path.is_file())
    return [name.as_posix() for name in names if not any(part.startswith(".") for part in name.parts)]


def missing_parts(base: Path, parts: Sequence[Part]) -> list[Part]:
    """The needed parts that are not there."""
    return [part for part in parts if part.needed and not (base / part.path).exists()]


def require_parts(base: Path, parts: Sequence[Part]) -> None:
    """Check that a base's folder is whole.

    Raises:
        UserError: lists every missing part with its place and its source; or the base is a file.
    """
    if base.is_file():
        raise UserError(f"{base}: must be the base's folder, unpacked (got a file)")
    if missing := missing_parts(base, parts):
        lines = [f"  {base / part.path}: missing: {part.role}{', from ' + part.source if part.source else ''}"
                 for part in missing]
        guide = "; docs/released-model.md says how to get them" if any(part.source for part in missing) else ""
        raise UserError(f"{base}: {len(missing)} part(s) of the base are missing{guide}\n" + "\n".join(lines))
