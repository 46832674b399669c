"""What the page offers: models that speak, voices to speak in, one model held in memory at a time."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock

from stages.core.errors import UserError
from stages.core.model.checkpoint import WEIGHTS_FILE
from stages.core.params.phases import BASE
from stages.core.params.shared import BaseConfig
from stages.core.params.strict import load_section, parse_section, read_params
from stages.core.speaking.config import SpeakingConfig, load_speaking_config
from stages.core.speaking.prompts import held_out_prompts, own_voices, take_prompt
from stages.core.speaking.speaker import Said, Speaker, load_speaker
from stages.core.speaking.voices import Voice
from stages.core.text.config import TextConfig
from stages.core.text.exported import write_text_settings
from stages.export_model.__main__ import CHECKPOINTS, CORPUS, OUTPUT, VOCABULARY, check_text_settings
from stages.export_model.contents import write_model

EXPORT = "export"
SCRATCH = Path(".pipeline")
VOICES_MAX = 50


@dataclass(frozen=True)
class Wish:
    """What is to be said.

    Attributes:
        model: a key of `Studio.models`.
        voice: a key of `Studio.voices`, or empty where there is a prompt.
        prompt: base64 of an audio file, or empty.
    """

    text: str
    model: str
    voice: str
    prompt: str
    seed: int


class Studio:
    """Models and voices of the project in the current folder."""

    def __init__(self) -> None:
        self.config = load_speaking_config({})
        self.models = find_models()
        self.voices = find_voices()
        self._lock = Lock()
        self._loaded: tuple[str, Speaker] | None = None

    def say(self, wish: Wish) -> Said:
        """Speak, one wish at a time.

        Raises:
            UserError: the text cannot be read, there is no such model or voice, or the prompt is no recording.
        """
        config = parse_section(SpeakingConfig, {**self.config.model_dump(), "seed": wish.seed}, "the page")
        with self._lock, TemporaryDirectory() as scratch:
            speaker = self.load(wish.model).with_config(config)
            spans = speaker.read(wish.text)
            return speaker.say(spans, self.take_voice(speaker, wish, Path(scratch)))

    def take_voice(self, speaker: Speaker, wish: Wish, scratch: Path) -> Voice:
        """The voice that is wished for."""
        if wish.prompt:
            return take_prompt(speaker.model, wish.prompt, scratch)
        if wish.voice not in self.voices:
            raise UserError("no voice chosen: take one of the list or a recording of your own")
        return speaker.model.take_voice(self.voices[wish.voice])

    def load(self, model: str) -> Speaker:
        """A model, from memory if it was the last one."""
        if model not in self.models:
            raise UserError(f"no model {model!r}; there are {', '.join(self.models)}")
        if self._loaded is None or self._loaded[0] != model:
            self._loaded = None
            speaker = load_speaker(OUTPUT, self.config) if model == EXPORT else load_checkpoint(model, self.config)
            self._loaded = (model, speaker)
        return self._loaded[1]


def find_models() -> dict[str, str]:
    """Key -> label of every model there is: the export, the phases from the last back to the first, the base.

    Raises:
        UserError: there is none.
    """
    phases = read_params()["phases"]
    found = {EXPORT: "exported model"} if OUTPUT.is_dir() else {}
    for name in (*reversed(phases), BASE):
        if (CHECKPOINTS / name / WEIGHTS_FILE).is_file():
            found[name] = f"checkpoint: {name}" + (" (before training)" if name == BASE else "")
    if not found:
        raise UserError(f"nothing can speak: neither {OUTPUT} nor {CHECKPOINTS} is there; first: make run")
    return found


def find_voices() -> dict[str, Path]:
    """Name -> recording: held-out ones of the corpus, or where there are none those of the export."""
    held_out = {prompt.speaker: prompt.path for prompt in held_out_prompts(CORPUS)[:VOICES_MAX]}
    return held_out or own_voices(OUTPUT)


def load_checkpoint(phase: str, config: SpeakingConfig) -> Speaker:
    """A phase's checkpoint, laid out as an export while it is loaded."""
    text, base = load_section(TextConfig, "text"), Path(load_section(BaseConfig, "base").path)
    check_text_settings(text, CHECKPOINTS / phase)
    SCRATCH.mkdir(exist_ok=True)
    with TemporaryDirectory(dir=SCRATCH) as scratch:
        write_model(base, CHECKPOINTS / phase, VOCABULARY, Path(scratch), "link")
        write_text_settings(Path(scratch), text)
        return load_speaker(Path(scratch), config)
