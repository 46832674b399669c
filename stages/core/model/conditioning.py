"""The frozen part of the model: voice and emotion of a speech prompt, run once at feature time.

Shapes: B batch, T feature frames, F feature width, N conditioning latents, D model width.
"""

from torch import Tensor, nn

from stages.core.model.conformer import ConformerEncoder
from stages.core.model.perceiver import PerceiverResampler
from stages.core.model.settings import GptSettings


class Conditioner(nn.Module):
    """Conformer and perceiver for the voice, another pair for the emotion (upstream's parameter names)."""

    def __init__(self, settings: GptSettings):
        super().__init__()
        voice, emotion = settings.condition_module, settings.emo_condition_module
        self.conditioning_encoder = ConformerEncoder(settings.feature_dim, voice)
        self.perceiver_encoder = PerceiverResampler(
            settings.model_dim, voice.output_size, settings.condition_num_latent, voice.attention_heads,
            settings.perceiver_head_dim, voice.perceiver_mult,
        )
        self.emo_conditioning_encoder = ConformerEncoder(settings.feature_dim, emotion)
        self.emo_perceiver_encoder = PerceiverResampler(
            settings.emotion_dim, emotion.output_size, 1, emotion.attention_heads,
            settings.perceiver_head_dim, emotion.perceiver_mult,
        )
        self.emovec_layer = nn.Linear(settings.emotion_dim, settings.model_dim)
        self.emo_layer = nn.Linear(settings.model_dim, settings.model_dim)

    def voice(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Features [B, T, F] with lengths [B] to speaker conditioning [B, N, D]."""
        return self.perceiver_encoder(*self.conditioning_encoder(features, lengths))

    def emotion(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Features [B, T, F] with lengths [B] to the emotion vector [B, D]."""
        latent = self.emo_perceiver_encoder(*self.emo_conditioning_encoder(features, lengths))[:, 0]
        return self.emo_layer(self.emovec_layer(latent))
