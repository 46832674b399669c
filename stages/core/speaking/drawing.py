"""How the codes of a text are drawn under the params of speech."""

from stages.core.model.sampling import SamplingSettings
from stages.core.model.settings import GptSettings
from stages.core.speaking.config import SamplingConfig

SLACK_TOKENS = 8


def settings_for(config: SamplingConfig, text_tokens: int, model: GptSettings, seed: int) -> SamplingSettings:
    """How a text is drawn, and the length at which it is cut: by its tokens, and by what the model holds."""
    most = int((text_tokens + SLACK_TOKENS) * config.codes_per_text_token_max)
    return SamplingSettings(config.temperature, config.top_p, config.top_k, config.repetition_penalty,
                            min(most, model.max_mel_tokens), seed)
