"""Check a base's folder part by part, then run one utterance through it.

python -m stages.extract_features.doctor [--base DIR] [--audio FILE]

Without --base the folder of params.yaml is checked; without --audio a synthesised tone is heard. Exit status: 0 when
all that this project needs is there and right, else 2.
"""

import math
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from stages.core.audio.files import read_audio
from stages.core.errors import UserError, one_line, printable
from stages.core.model.adapter import load_adapter
from stages.core.model.base_files import CODEC_FILE, CONFIG_FILE, RELEASED, W2V_BERT_FOLDER, Part
from stages.core.model.checkpoint import load_conditioner, read_base_tensors, read_tensors
from stages.core.model.recogniser import load_recogniser
from stages.core.model.released import read_statistics
from stages.core.model.semantic_codec import load_semantic_codec
from stages.core.model.settings import BaseSettings, CodecSettings, read_settings
from stages.core.model.w2v_bert import load_w2v_bert, read_config
from stages.core.params.command import run_command, stage_parser
from stages.core.params.shared import BaseConfig
from stages.core.params.strict import load_section
from stages.core.text.tokenizer import Tokenizer

TONE_SECONDS = 3.0


def main(argv: list[str] | None = None) -> int:
    """Print one line a part, then what one utterance gives."""
    parser = stage_parser("extract_features.doctor", __doc__)
    parser.add_argument("--base", type=Path, help="folder to check instead of the one in params.yaml")
    parser.add_argument("--audio", type=Path, help="speech to run through it instead of a tone")
    options = parser.parse_args(argv)
    return run_command(lambda: examine(options.base or Path(load_section(BaseConfig, "base").path), options.audio))


def examine(base: Path, audio: Path | None) -> int:
    """Print the findings; give the exit status.

    Raises:
        UserError: the utterance cannot be read.
    """
    settings = read_settings(base) if (base / CONFIG_FILE).is_file() else None
    checks = part_checks(base, settings) if settings else {}
    findings = [(part, *find(base, part, checks.get(part.path))) for part in (settings.parts if settings else RELEASED)]
    print_table(base, findings)
    wrong = sum(state != "found" for part, state, _ in findings if part.needed)
    if wrong or settings is None:
        print(f"{wrong} part(s) that are needed are missing or wrong; docs/released-model.md says what belongs where")
        return 2
    hear(base, settings, audio)
    return 0


def find(base: Path, part: Part, check: Callable[[], str] | None) -> tuple[str, str]:
    """Whether a part is `found`, `missing` or `wrong`, and what it is or what is wrong with it."""
    if not (base / part.path).exists():
        origin = f", from {part.source}" if part.source else ""
        return "missing", part.role + origin + ("" if part.needed else "; only upstream's own inference reads it")
    try:
        return "found", check() if check else part.role
    except UserError as error:
        return "wrong", str(error)


def print_table(base: Path, findings: list[tuple[Part, str, str]]) -> None:
    """One line a part."""
    print(base)
    width = max(len(part.path) for part, _, _ in findings)
    for part, state, told in findings:
        print(printable(f"  {state:<8} {one_line(part.path):<{width}}  {told}"), flush=True)


def part_checks(base: Path, settings: BaseSettings) -> dict[str, Callable[[], str]]:
    """How each part is read, by its path; each check tells what it found or raises."""
    checks = {
        CONFIG_FILE: lambda: "the miniature" if settings.miniature else "IndexTTS2",
        settings.dataset.bpe_model: lambda: check_tokenizer(base, settings),
        settings.gpt_checkpoint: lambda: tell_size(read_base_tensors(base, settings)),
    }
    if own := settings.miniature:
        return checks | {
            own.codebook: lambda: tell_size(read_tensors(base / own.codebook)),
            own.feature_statistics: lambda: tell_size(read_tensors(base / own.feature_statistics)),
            own.recogniser: lambda: f"{len(load_recogniser(base / own.recogniser, own.mel_channels).phones)} phones",
        }
    bert, codec = base / W2V_BERT_FOLDER, settings.semantic_codec or CodecSettings()
    return checks | {
        settings.w2v_stat or "": lambda: f"{len(read_statistics(base / str(settings.w2v_stat))[0])} features",
        f"{W2V_BERT_FOLDER}/config.json": lambda: f"{read_config(bert / 'config.json').hidden_size} features",
        f"{W2V_BERT_FOLDER}/model.safetensors": lambda: tell_size(load_w2v_bert(bert).state_dict()),
        CODEC_FILE: lambda: tell_size(load_semantic_codec(base / CODEC_FILE, codec).state_dict()),
    }


def check_tokenizer(base: Path, settings: BaseSettings) -> str:
    """Count the pieces.

    Raises:
        UserError: the model has rows for another number.
    """
    pieces = len(Tokenizer(base / settings.dataset.bpe_model))
    if pieces != settings.gpt.number_text_tokens:
        raise UserError(f"{pieces} pieces, but gpt.number_text_tokens is {settings.gpt.number_text_tokens}")
    return f"{pieces} pieces"


def tell_size(tensors: dict[str, Tensor]) -> str:
    """`665 tensors, 866.0 M parameters`."""
    return f"{len(tensors)} tensors, {sum(value.numel() for value in tensors.values()) / 1e6:.1f} M parameters"


@torch.inference_mode()
def hear(base: Path, settings: BaseSettings, path: Path | None) -> None:
    """Run one utterance through adapter and conditioner; print shapes, codes and seconds."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    adapter, conditioner = load_adapter(base, settings, device), load_conditioner(base, settings).to(device)
    rate = adapter.sample_rate_hz
    audio = read_audio(path, rate) if path else gliding_tone(rate)
    began = time.perf_counter()
    speech = adapter.analyse(audio)
    lengths = torch.tensor([len(speech.features)], device=speech.features.device)
    voice = conditioner.voice(speech.features[None], lengths)[0]
    emotion = conditioner.emotion(speech.features[None], lengths)[0]
    seconds = time.perf_counter() - began
    print(f"{path or 'a gliding tone'}: {len(audio) / rate:.2f} s of audio in {seconds:.2f} s on {device}")
    for name, value in (("features", speech.features), ("codes", speech.codes), ("voice", voice), ("emotion", emotion)):
        print(f"  {name:<9} {list(value.shape)}")
    print(f"  {len(speech.codes) / (len(audio) / rate):.1f} codes a second, {len(speech.codes.unique())} different: "
          f"{' '.join(map(str, speech.codes[:16].tolist()))} ...")
    if not all(bool(value.isfinite().all()) for value in (speech.features, voice, emotion)):
        raise UserError(f"{base}: gives numbers that are not finite")


def gliding_tone(rate_hz: int) -> Tensor:
    """A tone [S] from 120 Hz upwards that swells and fades."""
    seconds = torch.arange(int(TONE_SECONDS * rate_hz)) / rate_hz
    return 0.3 * torch.sin(2 * math.pi * (120 + 40 * seconds) * seconds) * torch.sin(4 * seconds)


if __name__ == "__main__":
    sys.exit(main())
