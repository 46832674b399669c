"""An export as an MLflow pyfunc model: a table of texts in, audio out. MLflow runs this file when it loads the model.

    text                   what to say
    voice      optional    one of the recordings in the export's voices/, by name; without it the first one
    prompt     optional    in its place: an audio file of a voice, base64
 -> audio                  WAV file, mono, 16 bit, base64
    sample_rate_hz  duration_seconds
    text_read              the text as it was spoken, normalised
    cut  silent            spans that no stop token ended; spans for which nothing was drawn

Settings of speech are params of the request; what it leaves out is as it was when the model was exported. A request
holds content and names, never a path: whoever may ask a server must not read its files. It is answered whole or refused
with everything that is wrong with it.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

import mlflow
import pandas
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.pyfunc import PythonModel
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

from stages.core.errors import UserError
from stages.core.params.strict import parse_section
from stages.core.speaking.config import SpeakingConfig
from stages.core.speaking.passage import Span
from stages.core.speaking.prompts import own_voices, take_prompt
from stages.core.speaking.speaker import Said, Speaker, load_speaker
from stages.core.speaking.voices import Voice

EXPORT = "export"
SETTINGS = {
    "seed": "long", "temperature": "double", "top_p": "double", "top_k": "long", "repetition_penalty": "double",
    "words_max": "long", "pause_seconds": "double",
}


def signature(config: SpeakingConfig) -> ModelSignature:
    """What a request and its answer hold."""
    given = [ColSpec("string", "text"), *(ColSpec("string", name, required=False) for name in ("voice", "prompt"))]
    answered = {"audio": "string", "sample_rate_hz": "long", "duration_seconds": "double", "text_read": "string",
                "cut": "long", "silent": "long"}
    params = [ParamSpec(name, kind, getattr(config, name)) for name, kind in SETTINGS.items()]
    return ModelSignature(Schema(given), Schema([ColSpec(kind, name) for name, kind in answered.items()]),
                          ParamSchema(params))


@dataclass(frozen=True)
class Row:
    """One row of a request, read."""

    spans: list[Span]
    voice: Voice


class SpeechService(PythonModel):
    """A speaker behind a table; one request at a time."""

    def load_context(self, context: Any) -> None:
        """Load the export beside this file, with the settings that it was logged with."""
        folder = Path(context.artifacts[EXPORT])
        self.config = parse_section(SpeakingConfig, dict(context.model_config), "model_config")
        self.speaker = load_speaker(folder, self.config)
        self.voices = own_voices(folder)
        self.lock = Lock()

    # MLflow takes type hints here for a signature of its own
    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
        """Speak each row of a table.

        Raises:
            MlflowException: a setting, a text, a voice or a prompt is wrong; a server answers with status 400.
        """
        with self.lock, TemporaryDirectory() as scratch:
            try:
                speaker = self.speaker.with_config(self.settings(params or {}))
                rows = self.read_table(speaker, model_input, Path(scratch))
            except UserError as error:
                raise MlflowException(str(error), error_code=INVALID_PARAMETER_VALUE) from None
            return pandas.DataFrame([answer(speaker.say(row.spans, row.voice)) for row in rows])

    def settings(self, params: Mapping[str, Any]) -> SpeakingConfig:
        """The export's settings with those of a request in their place."""
        return parse_section(SpeakingConfig, {**self.config.model_dump(), **params}, "params")

    def read_table(self, speaker: Speaker, table: Any, scratch: Path) -> list[Row]:
        """Rows ready to be spoken.

        Raises:
            UserError: names every row that cannot be.
        """
        rows, problems = [], []
        for number, record in enumerate(table.to_dict("records"), 1):
            given = {name: value for name, value in record.items() if isinstance(value, str)}
            try:
                spans = speaker.read(given.get("text", ""))
                rows.append(Row(spans, self.find_voice(given.get("voice"), given.get("prompt"), scratch)))
            except UserError as error:
                problems.append(f"row {number}: {error}")
        if problems:
            raise UserError("; ".join(problems))
        return rows

    def find_voice(self, voice: str | None, prompt: str | None, scratch: Path) -> Voice:
        """The voice that a row asks for.

        Raises:
            UserError: it names none that there is, or its prompt is no recording that can be used.
        """
        if prompt is not None and voice is not None:
            raise UserError("voice and prompt: give one of them")
        if prompt is not None:
            return take_prompt(self.speaker.model, prompt, scratch)
        if not self.voices:
            raise UserError("prompt: missing; this model has no voices of its own")
        if voice is not None and voice not in self.voices:
            raise UserError(f"voice: must be one of {', '.join(self.voices)} (got {voice[:40]!r})")
        return self.speaker.model.take_voice(self.voices[voice or next(iter(self.voices))])


def answer(said: Said) -> dict[str, Any]:
    """One row of the answer."""
    return {
        "audio": base64.b64encode(said.wav()).decode(), "sample_rate_hz": said.sample_rate_hz,
        "duration_seconds": round(said.duration_seconds, 3), "text_read": said.text_read, "cut": said.cut,
        "silent": said.silent,
    }


mlflow.models.set_model(SpeechService())
