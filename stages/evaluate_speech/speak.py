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
from pathlib import Path

from torch import Tensor

from stages.core.artifacts.files import output_folder, write_jsonl
from stages.core.artifacts.progress import Progress
from stages.core.audio.files import write_audio
from stages.core.errors import UserError, one_line
from stages.core.params.command import run_command, stage_parser
from stages.core.speaking.config import load_speaking_config
from stages.core.speaking.passage import Span
from stages.core.speaking.prompts import held_out_prompts
from stages.core.speaking.speaker import Said, Speaker, load_speaker
from stages.core.speaking.voices import Voice

CORPUS = Path("data/corpus")
SAMPLING = ("temperature", "top_p", "top_k", "repetition_penalty", "seed")
SETTINGS = (*SAMPLING, "words_max", "pause_seconds")
INDEX_FILE = "index.jsonl"


def main(argv: list[str] | None = None) -> int:
    options = parse_command(argv)
    named = {name: getattr(options, name) for name in SETTINGS if getattr(options, name) is not None}
    speaker = load_speaker(options.model, load_speaking_config(named))
    voice = speaker.model.take_voice(options.prompt or held_out_voice(CORPUS))
    if options.file is None:
        speak_text(speaker, voice, options.text, options.out)
        return 0
    return speak_file(speaker, voice, options.file, options.out)


def parse_command(argv: list[str] | None) -> argparse.Namespace:
    parser = stage_parser("evaluate_speech.speak", __doc__)
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


def held_out_voice(corpus: Path) -> Path:
    """The longest recording of the target language that training never heard.

    Raises:
        UserError: there is none.
    """
    prompts = held_out_prompts(corpus)
    if not prompts:
        raise UserError(f"--prompt: name a recording; {corpus} has no held-out one to take in its place")
    return prompts[0].path


def speak_text(speaker: Speaker, voice: Voice, text: str, out: Path) -> None:
    """Write one audio file."""
    said = speaker.say(speaker.read(text), voice)
    write_whole(out, said.audio, said.sample_rate_hz)
    print(f"{out}: {said.duration_seconds:.2f} s in {len(said.spans)} span(s){told_faults(said)}")


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


def speak_file(speaker: Speaker, voice: Voice, file: Path, out: Path) -> int:
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
            said = speaker.say(spans, voice)
            name = f"{number:04d}.wav"
            write_audio(folder / name, said.audio, said.sample_rate_hz)
            rows.append({
                "line": number, "file": name, "text": text, "text_normalised": said.text_read,
                "duration_seconds": round(said.duration_seconds, 3), "spans": len(spans),
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
            print(f"line {number}: {one_line(error)}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(run_command(main))
