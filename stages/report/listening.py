"""The sentences that the page plays, with what the judge heard: some by the corpus, the base and every phase, and the
last phase's worst.
"""

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

from stages.core.artifacts.files import below
from stages.report.gather import CORPUS, Findings, Result, Sample
from stages.report.sounds import Sound, encode_flac, read_sound

REFERENCE = "reference"
MEDIA = {".svg": "image/svg+xml", ".png": "image/png", ".flac": "audio/flac"}


@dataclass(frozen=True)
class Take:
    """A sentence by one speaker or model.

    Attributes:
        audio: data URI, or None where there is no sound.
        heard: runs of phones or words, each with whether it is unlike the expected ones; None where nobody judged.
        note: what is said instead then.
        stopped: whether the utterance ended by itself; None where that is not known.
    """

    name: str
    audio: str | None
    heard: list[tuple[str, bool]] | None = None
    note: str = ""
    errors: str = ""
    stopped: bool | None = None


@dataclass(frozen=True)
class Sentence:
    """A held-out sentence; `number` counts from 1 on the page, `symbols` are what the judge writes."""

    number: int
    text: str
    language: str
    speaker: str
    symbols: str
    expected: str
    takes: list[Take]

    @property
    def script(self) -> str:
        """What a page adds to the language's name where phones are written."""
        return "-fonipa" if self.symbols == "phones" else ""


def choose_sentences(findings: Findings, shown: int, folder: Path) -> list[Sentence]:
    """At most `shown` sentences, evenly apart, for neighbours share a speaker; writes their audio to `folder`."""
    kept = min(shown, len(findings.base.samples))
    indices = [place * len(findings.base.samples) // kept for place in range(kept)]
    return [gather_takes(findings, index, number, folder) for number, index in enumerate(indices, start=1)]


def choose_worst(findings: Findings, folder: Path) -> list[Sentence]:
    """The last phase's worst sentences; writes their audio to `folder`."""
    final = findings.final
    return [tell_sentence(findings, sample, number, [reference_take(sample, folder), model_take(final, sample, folder)])
            for number, sample in enumerate(final.worst, start=1)]


def gather_takes(findings: Findings, index: int, number: int, folder: Path) -> Sentence:
    """One sentence by everyone."""
    sample = findings.base.samples[index]
    takes = [model_take(result, result.samples[index], folder) for result in findings.results]
    return tell_sentence(findings, sample, number, [reference_take(sample, folder), *takes])


def tell_sentence(findings: Findings, sample: Sample, number: int, takes: list[Take]) -> Sentence:
    """A sentence of the corpus with its takes."""
    language = findings.corpus.language_of.get(sample.reference, findings.corpus.target_languages[0])
    return Sentence(number, sample.text, language, sample.speaker, sample.symbols, sample.expected, takes)


def reference_take(sample: Sample, folder: Path) -> Take:
    """The corpus' own reading of a sentence."""
    audio = keep_audio(reference_sound(sample), folder / REFERENCE / f"{Path(sample.file).stem}.flac")
    return Take(REFERENCE, audio, note="the corpus' own audio")


def model_take(result: Result, sample: Sample, folder: Path) -> Take:
    """One sentence by the base or a phase."""
    audio = keep_audio(read_sound(result.audio(sample)), folder / result.name / f"{Path(sample.file).stem}.flac")
    heard = None if sample.heard is None else list(mark_unlike(sample))
    return Take(result.name, audio, heard, "not judged", tell_errors(sample), sample.stopped)


def reference_sound(sample: Sample) -> Sound:
    """The corpus' own reading of a sentence."""
    return read_sound(below(CORPUS, sample.reference))


def keep_audio(sound: Sound, path: Path) -> str | None:
    """Write a FLAC file and give it as a data URI; None, and no file, where there is no sound."""
    if not len(sound.samples):
        return None
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_flac(sound))
    return data_uri(path)


def data_uri(path: Path) -> str:
    """A file as a data URI."""
    return f"data:{MEDIA[path.suffix]};base64,{b64encode(path.read_bytes()).decode()}"


def mark_unlike(sample: Sample) -> Iterator[tuple[str, bool]]:
    """Runs of heard phones or words, each with whether it is unlike the expected ones at its place."""
    expected, heard = sample.expected.split(), (sample.heard or "").split()
    for kind, _, _, start, end in SequenceMatcher(None, expected, heard, autojunk=False).get_opcodes():
        if end > start:
            yield " ".join(heard[start:end]), kind != "equal"


def tell_errors(sample: Sample) -> str:
    """`3 errors on 25 phones`."""
    if sample.errors is None or sample.length is None:
        return "errors unmeasured"
    return f"{sample.errors} error{'' if sample.errors == 1 else 's'} on {sample.length} {sample.symbols}"
