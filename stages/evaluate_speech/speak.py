"""Speak Amharic with an exported model.

python -m stages.evaluate_speech.speak --model data/export --prompt voice.wav --text "..." --out out.wav
python -m stages.evaluate_speech.speak --model data/export --prompt voice.wav --file lines.txt --out folder/

    out.wav        the text, its sentences parted by short pauses
    folder/        a line of the file each: 0001.wav, ..., and index.jsonl, which tells text, readings and lengths

Text is read as the model's training text was (text_settings.json of the export). A text that cannot be read is refused
with the reason; of a file the other lines are spoken and the exit status is 1. The same seed gives the same audio. What
the command line leaves out is taken from params.yaml. A released model needs upstream's package.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from stages.core.artifacts.files import output_folder, read_jsonl, write_jsonl
from stages.core.artifacts.progress import Progress
from stages.core.audio.files import write_audio
from stages.core.errors import UserError
from stages.core.model.sampling import SamplingSettings
from stages.core.model.settings import BaseSettings, read_settings
from stages.core.params.command import run_command
from stages.core.params.strict import load_section, parse_section, read_params
from stages.core.text.exported import read_text_settings
from stages.core.text.normalise import Normaliser
from stages.core.text.tokenizer import Tokenizer
from stages.evaluate_speech.config import Config, SpeakConfig
from stages.evaluate_speech.passage import Span, join_audio, read_passage
from stages.evaluate_speech.upstream import ReleasedVoice
from stages.evaluate_speech.voices import MiniatureVoice, Voice, limit_codes

CORPUS = Path("data/corpus")
SAMPLING = ("temperature", "top_p", "top_k", "repetition_penalty", "seed")
INDEX_FILE = "index.jsonl"


@dataclass(frozen=True)
class Said:
    """One text spoken.

    Attributes:
        audio: [S].
        cut: spans that no stop token ended.
        silent: spans for which nothing was drawn.
    """

    audio: Tensor
    spans: list[Span]
    cut: int
    silent: int


@dataclass(frozen=True)
class Speaker:
    """A model, a voice and settings, ready for any text."""

    voice: Voice
    normaliser: Normaliser
    tokenizer: Tokenizer
    settings: BaseSettings
    config: Config
    pauses: SpeakConfig

    def read(self, text: str) -> list[Span]:
        """Spans of a text.

        Raises:
            UserError: it cannot be read.
        """
        held = self.settings.gpt.max_text_tokens
        return read_passage(text, self.normaliser.normalise, self.tokenizer, self.pauses.words_max, held)

    def say(self, spans: list[Span]) -> Said:
        """Speak spans; the seed counts up by one from span to span."""
        spoken = []
        for place, span in enumerate(spans):
            config, most = self.config, self.settings.gpt.max_mel_tokens
            sampling = SamplingSettings(config.temperature, config.top_p, config.top_k, config.repetition_penalty,
                                        most, config.seed + place)
            spoken.append(self.voice.say(span, limit_codes(sampling, span, config.codes_per_text_token_max)))
        audio = join_audio([one.audio for one in spoken], spans, self.pauses.pause_seconds, self.voice.sample_rate_hz)
        return Said(audio, spans, sum(not one.stopped for one in spoken), sum(not len(one.audio) for one in spoken))


def main(argv: list[str] | None = None) -> int:
    options = parse_command(argv)
    speaker = make_speaker(options)
    if options.file is None:
        speak_text(speaker, options.text, options.out)
        return 0
    return speak_file(speaker, options.file, options.out)


def parse_command(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m stages.evaluate_speech.speak", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="folder that export_model wrote")
    parser.add_argument("--prompt", type=Path, help="recording of the voice; without it a held-out one of data/corpus")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--text", help="what to say")
    what.add_argument("--file", type=Path, help="UTF-8 file, a text a line")
    parser.add_argument("--out", type=Path, required=True, help="audio file (.wav, .flac); with --file a new folder")
    for name in SAMPLING:
        kind = int if name in ("top_k", "seed") else float
        parser.add_argument(f"--{name}", f"--{name.replace('_', '-')}", type=kind, help=f"evaluate_speech.{name}")
    parser.add_argument("--words-max", type=int, help="a longer sentence is cut (speak.words_max)")
    parser.add_argument("--pause-seconds", type=float, help="between sentences (speak.pause_seconds)")
    return parser.parse_args(argv)


def make_speaker(options: argparse.Namespace) -> Speaker:
    """Load everything.

    Raises:
        UserError: the folder is no export, or a setting, the prompt or the text settings are wrong.
    """
    config = with_options(Config, "evaluate_speech", options, SAMPLING)
    pauses = with_options(SpeakConfig, "speak", options, ("words_max", "pause_seconds"))
    prompt_seconds_max = float(read_params()["extract_features"]["prompt_seconds_max"])
    settings, text = read_settings(options.model), read_text_settings(options.model)
    prompt = options.prompt or held_out_voice(CORPUS)
    make_voice = ReleasedVoice if settings.miniature is None else MiniatureVoice
    return Speaker(make_voice(options.model, prompt, prompt_seconds_max), Normaliser(text),
                   Tokenizer(options.model / settings.dataset.bpe_model), settings, config, pauses)


def with_options(model: Any, section: str, options: argparse.Namespace, names: tuple[str, ...]) -> Any:
    """A section of params.yaml with what the command line names put in its place."""
    named = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    return parse_section(model, {**load_section(model, section).model_dump(), **named}, "command line", section)


def held_out_voice(corpus: Path) -> Path:
    """The longest recording of the target language that training never heard.

    Raises:
        UserError: there is none.
    """
    manifest = corpus / "manifest.jsonl"
    rows = read_jsonl(manifest) if manifest.is_file() else []
    rows = [row for row in rows if row["role"] == "target" and row["split"] == "test"]
    if not rows:
        raise UserError(f"--prompt: name a recording; {manifest} has no held-out one to take in its place")
    return corpus / str(max(rows, key=lambda row: (row["duration_seconds"], row["id"]))["audio"])


def speak_text(speaker: Speaker, text: str, out: Path) -> None:
    """Write one audio file."""
    said = speaker.say(speaker.read(text))
    write_whole(out, said.audio, speaker.voice.sample_rate_hz)
    seconds = len(said.audio) / speaker.voice.sample_rate_hz
    print(f"{out}: {seconds:.2f} s in {len(said.spans)} span(s){told_faults(said)}")


def told_faults(said: Said) -> str:
    told = f"; {said.cut} did not end by itself and was cut" if said.cut else ""
    return told + (f"; nothing was drawn for {said.silent}: try another --seed" if said.silent else "")


def write_whole(path: Path, audio: Tensor, sample_rate_hz: int) -> None:
    """Write an audio file that appears whole or not at all.

    Raises:
        UserError: the file's ending names no audio format, or the disk refuses.
    """
    scratch = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_audio(scratch, audio, sample_rate_hz)
        scratch.replace(path)
    except (OSError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{path}: cannot write: {error}") from None
    finally:
        scratch.unlink(missing_ok=True)


def speak_file(speaker: Speaker, file: Path, out: Path) -> int:
    """Speak each line into a new folder; 1 when a line was refused, else 0.

    Raises:
        UserError: the file cannot be read or holds no line that can be spoken, or the folder holds files already.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"--out: {out} exists and is not empty; with --file it names a new folder")
    lines = read_lines(file)
    readings = list(read_each(speaker, lines))
    if not readings:
        raise UserError(f"{file}: no line that can be spoken")
    progress, rows = Progress("lines", len(readings)), []
    with output_folder(out) as folder:
        for number, text, spans in readings:
            said = speaker.say(spans)
            name = f"{number:04d}.wav"
            write_audio(folder / name, said.audio, speaker.voice.sample_rate_hz)
            rows.append({
                "line": number, "file": name, "text": text, "text_normalised": " ".join(span.text for span in spans),
                "duration_seconds": round(len(said.audio) / speaker.voice.sample_rate_hz, 3), "spans": len(spans),
                "cut": said.cut, "silent": said.silent,
            })
            progress.advance()
        write_jsonl(folder / INDEX_FILE, rows)
    print(f"{out}: {len(rows)} of {len(lines)} lines")
    return 0 if len(rows) == len(lines) else 1


def read_lines(file: Path) -> list[tuple[int, str]]:
    """Numbers and texts of the lines that are not blank."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: cannot read as UTF-8 text: {error}") from None
    return [(number, line) for number, line in enumerate(lines, 1) if line.strip()]


def read_each(speaker: Speaker, lines: list[tuple[int, str]]) -> Iterator[tuple[int, str, list[Span]]]:
    """Lines with their spans; one that cannot be read goes to stderr with the reason."""
    for number, text in lines:
        try:
            yield number, text, speaker.read(text)
        except UserError as error:
            print(f"line {number}: {error}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(run_command(main))
