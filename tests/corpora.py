"""Corpora in every layout that prepare_corpus reads: real speech by espeak-ng in files as their tools write them.

Each `write_<kind>` lays a corpus out in `data/recordings/<name>` under a project's folder and gives its params.
"""

import csv
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import soundfile

from stages.core.audio.espeak import synthesise
from stages.core.params.shared import SpeakerConfig
from tests.tiny_project import WORDS

PAUSE_SECONDS = 0.3
COMMON_VOICE_COLUMNS = ["client_id", "path", "sentence_id", "sentence", "up_votes", "down_votes", "age", "gender"]


@dataclass(frozen=True)
class Reading:
    """A sentence, and the espeak-ng variant that reads it."""

    name: str
    text: str
    speaker: str

    def samples(self) -> tuple[np.ndarray, int]:
        return _speak(self.text, self.speaker)


def readings(count: int = len(WORDS), speakers: tuple[str, ...] = ("m2", "f4")) -> list[Reading]:
    """The first `count` sentences of the tiny project, each read by every speaker."""
    return [Reading(f"{speaker}_{index:03d}", f"{WORDS[index]} ሰው በመብትም እኩል ነው።", speaker)
            for speaker in speakers for index in range(count)]


@cache
def _speak(text: str, variant: str) -> tuple[np.ndarray, int]:
    return synthesise(text, "am", SpeakerConfig(variant=variant, pitch=50, pitch_range=50, rate_words_per_minute=160))


def write_sound(path: Path, reading: Reading) -> None:
    """Write a reading in the format of the path's suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, *reading.samples())


def source(kind: str, root: Path, name: str = "", **params: Any) -> tuple[Path, dict[str, Any]]:
    """A new folder for a corpus, and the params that every kind has."""
    name = name or kind
    folder = root / "data/recordings" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder, {"kind": kind, "name": name, "role": "target", "language": "am",
                    "path": f"data/recordings/{name}", **params}


def write_lines(path: Path, lines: list[str]) -> None:
    """Write a text file, a line each."""
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def write_kaldi(root: Path, corpus: list[Reading], name: str = "") -> dict[str, Any]:
    """A file an utterance."""
    folder, params = source("kaldi", root, name)
    for reading in corpus:
        write_sound(folder / f"wav/{reading.name}.wav", reading)
    write_lines(folder / "wav.scp", [f"{reading.name} wav/{reading.name}.wav" for reading in corpus])
    _write_kaldi_tables(folder, corpus)
    return params


def write_kaldi_segments(root: Path, corpus: list[Reading], name: str = "kaldi_segments") -> dict[str, Any]:
    """A long file a speaker, with pauses between the utterances."""
    folder, params = source("kaldi", root, name)
    segments = []
    speakers = list(dict.fromkeys(reading.speaker for reading in corpus))
    for speaker in speakers:
        pieces, start, rate = [], 0, 0
        for reading in corpus:
            if reading.speaker != speaker:
                continue
            samples, rate = reading.samples()
            segments.append(f"{reading.name} {speaker} {start / rate:.3f} {(start + len(samples)) / rate:.3f}")
            pieces += [samples, np.zeros(int(PAUSE_SECONDS * rate), np.float32)]
            start += len(samples) + len(pieces[-1])
        soundfile.write(folder / f"{speaker}.flac", np.concatenate(pieces), rate)
    write_lines(folder / "wav.scp", [f"{speaker} {speaker}.flac" for speaker in speakers])
    write_lines(folder / "segments", segments)
    _write_kaldi_tables(folder, corpus)
    return params


def _write_kaldi_tables(folder: Path, corpus: list[Reading]) -> None:
    write_lines(folder / "text", [f"{reading.name} {reading.text}" for reading in corpus])
    write_lines(folder / "utt2spk", [f"{reading.name} {reading.speaker}" for reading in corpus])


def write_fleurs(root: Path, corpus: list[Reading], name: str = "") -> dict[str, Any]:
    """Tables train and dev, without a header; a sentence has the same number whoever reads it."""
    folder, params = source("fleurs", root, name, tables=["train", "dev"])
    numbers = {text: number for number, text in enumerate(dict.fromkeys(reading.text for reading in corpus))}
    rows: dict[str, list[str]] = {"train": [], "dev": []}
    for reading in corpus:
        table = "dev" if numbers[reading.text] % 4 == 3 else "train"
        file = f"{10**18 + len(rows[table])}{numbers[reading.text]}.wav"
        write_sound(folder / "audio" / table / file, reading)
        bare = reading.text.rstrip("።")
        rows[table].append("\t".join([
            str(numbers[reading.text]), file, reading.text, bare, " ".join(bare.replace(" ", "|")),
            str(len(reading.samples()[0])), "FEMALE" if reading.speaker.startswith("f") else "MALE",
        ]))
    for table, lines in rows.items():
        write_lines(folder / f"{table}.tsv", lines)
    return params


def write_common_voice(root: Path, corpus: list[Reading], name: str = "") -> dict[str, Any]:
    """validated.tsv and mp3 clips."""
    folder, params = source("common_voice", root, name, table="validated.tsv")
    lines = ["\t".join(COMMON_VOICE_COLUMNS)]
    for reading in corpus:
        file = f"common_voice_am_{reading.name}.mp3"
        write_sound(folder / "clips" / file, reading)
        lines.append("\t".join([reading.speaker * 64, file, "", reading.text, "2", "0", "", ""]))
    write_lines(folder / "validated.tsv", lines)
    return params


def write_ljspeech(root: Path, corpus: list[Reading], name: str = "") -> dict[str, Any]:
    """metadata.csv with the speaker in its fourth column."""
    folder, params = source("ljspeech", root, name, speaker_column=4)
    for reading in corpus:
        write_sound(folder / f"wavs/{reading.name}.wav", reading)
    write_lines(folder / "metadata.csv",
                [f"{reading.name}|{reading.text}|{reading.text}|{reading.speaker}" for reading in corpus])
    return params


def write_spreadsheet(root: Path, corpus: list[Reading], name: str = "") -> dict[str, Any]:
    """As Excel saves it: BOM, CRLF, semicolons, quotation marks where a cell needs them."""
    folder, params = source("spreadsheet", root, name, table="recordings.csv", delimiter="semicolon",
                            audio_column="file", text_column="sentence", speaker_column="who")
    with open(folder / "recordings.csv", "w", encoding="utf-8-sig", newline="") as file:
        table = csv.writer(file, delimiter=";", lineterminator="\r\n")
        table.writerow(["file", "who", "sentence", "remark"])
        for reading in corpus:
            write_sound(folder / f"{reading.name}.wav", reading)
            table.writerow([f"{reading.name}.wav", reading.speaker, reading.text, 'as "agreed"; second take'])
    return params


def write_jsonl(root: Path, corpus: list[Reading], name: str = "") -> dict[str, Any]:
    """manifest.jsonl and ogg files."""
    folder, params = source("jsonl", root, name, manifest="manifest.jsonl")
    lines = []
    for reading in corpus:
        write_sound(folder / f"{reading.speaker}/{reading.name}.ogg", reading)
        samples, rate = reading.samples()
        row = {"audio": f"{reading.speaker}/{reading.name}.ogg", "text": reading.text, "speaker": reading.speaker,
               "duration": round(len(samples) / rate, 3)}
        lines.append(json.dumps(row, ensure_ascii=False))
    write_lines(folder / "manifest.jsonl", lines)
    return params


def write_parquet(root: Path, corpus: list[Reading], name: str = "", row_group_rows: int = 5) -> dict[str, Any]:
    """Two files as Hugging Face's datasets write them: audio is a struct of bytes and path."""
    folder, params = source("parquet", root, name, files="data/train-*.parquet", audio_column="audio",
                            text_column="transcription", speaker_column="speaker_id")
    (folder / "data").mkdir(exist_ok=True)
    half = len(corpus) // 2
    for number, part in enumerate((corpus[:half], corpus[half:])):
        rows = [{"audio": {"bytes": _file_content(folder, reading), "path": f"{reading.name}.wav"},
                 "transcription": reading.text, "speaker_id": reading.speaker} for reading in part]
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), row_group_size=row_group_rows,
                                    where=folder / f"data/train-{number:05d}-of-00002.parquet")
    return params


def _file_content(folder: Path, reading: Reading) -> bytes:
    path = folder / f".{reading.name}.wav"
    write_sound(path, reading)
    content = path.read_bytes()
    path.unlink()
    return content


WRITERS = {
    "kaldi": write_kaldi, "kaldi_segments": write_kaldi_segments, "fleurs": write_fleurs,
    "common_voice": write_common_voice, "ljspeech": write_ljspeech, "spreadsheet": write_spreadsheet,
    "jsonl": write_jsonl, "parquet": write_parquet,
}
