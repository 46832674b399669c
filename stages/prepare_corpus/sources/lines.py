"""Lines of text files that users wrote: no line, however bad, stops the rest or fills the memory."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from stages.prepare_corpus.sources.common import BadRow, RecordedSource, listed_file
from stages.prepare_corpus.utterance import Rejected, Utterance

LINE_BYTES_MAX = 1 << 20
EXCERPT_CHARACTERS = 200
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Line:
    """A line of a text file.

    Attributes:
        where: file and line, as "metadata.csv:17".
        text: without its line end; an excerpt where there is a problem.
        problem: why it cannot be read, or empty.
    """

    where: str
    text: str
    problem: str = ""


def read_lines(source: RecordedSource, name: str) -> Iterator[Line]:
    """The lines of a UTF-8 file of a source, with or without BOM, ended by LF or CRLF; blank ones are left out."""
    with open(listed_file(source, name), "rb") as file:
        number = 0
        while content := file.readline(LINE_BYTES_MAX):
            number += 1
            line = _decode(content, f"{name}:{number}")
            if not content.endswith(b"\n") and _skip_rest(file):
                line = Line(line.where, excerpt(line.text), f"line too long: more than {LINE_BYTES_MAX} bytes")
            if line.text.strip():
                yield line


def _skip_rest(file: BinaryIO) -> bool:
    """Go to the end of a line that was read in part; whether there was more of it."""
    rest = content = file.readline(LINE_BYTES_MAX)
    while content and not content.endswith(b"\n"):
        content = file.readline(LINE_BYTES_MAX)
    return bool(rest)


def _decode(content: bytes, where: str) -> Line:
    content = content.removeprefix(BOM).rstrip(b"\r\n")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        return Line(where, excerpt(content[: 4 * EXCERPT_CHARACTERS].decode("utf-8", "replace")),
                    f"not UTF-8: byte {error.start + 1} of the line")
    if "\0" in text:
        return Line(where, excerpt(text), f"NUL character: at {text.index(chr(0)) + 1} of the line")
    return Line(where, text)


def excerpt(text: str) -> str:
    """The beginning of a bad text, fit to be shown."""
    return text[:EXCERPT_CHARACTERS].replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def read_rows(
    source: RecordedSource, name: str, parse: Callable[[Line], Utterance], skip: int = 0
) -> Iterator[Utterance | Rejected]:
    """Parse the lines of a file after the first `skip`; one that `parse` refuses by BadRow is rejected."""
    for index, line in enumerate(read_lines(source, name)):
        if index >= skip:
            yield _row(line, parse)


def _row(line: Line, parse: Callable[[Line], Utterance]) -> Utterance | Rejected:
    try:
        if line.problem:
            raise BadRow(line.problem)
        return parse(line)
    except BadRow as error:
        return Rejected(line.where, excerpt(line.text), str(error))


def header_problems(source: RecordedSource, name: str, split: Callable[[Line], list[str]], *columns: str) -> list[str]:
    """What is wrong with the first line of a table that must name its columns, one line a problem."""
    path = Path(source.path, name)
    line = next(read_lines(source, name), Line("", "", "holds no line"))
    try:
        if line.problem:
            raise BadRow(line.problem)
        found = split(line)
    except BadRow as error:
        return [f"{path}: its first line must name the columns: {error}"]
    return [f"{path}: must have one column {column!r} (got {', '.join(found)})" for column in columns
            if found.count(column) != 1]
