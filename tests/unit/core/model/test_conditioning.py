import torch

from stages.core.model.conditioning import Conditioner
from tests.tiny import SETTINGS


def test_a_padded_prompt_gives_what_it_gives_alone():
    torch.manual_seed(0)
    conditioner = Conditioner(SETTINGS).eval()
    short, long = torch.randn(21, 10), torch.randn(40, 10)
    batch = torch.nn.utils.rnn.pad_sequence([short, long], batch_first=True)
    lengths = torch.tensor([21, 40])
    # float32 through softmax and norms: 1e-5 is some hundred roundings
    torch.testing.assert_close(conditioner.voice(batch, lengths)[0], conditioner.voice(short[None], lengths[:1])[0],
                               atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(conditioner.emotion(batch, lengths)[0], conditioner.emotion(short[None], lengths[:1])[0],
                               atol=1e-5, rtol=1e-4)


def test_shapes_follow_the_settings():
    conditioner = Conditioner(SETTINGS)
    features, lengths = torch.randn(2, 30, 10), torch.tensor([30, 30])
    assert conditioner.voice(features, lengths).shape == (2, 3, 16)
    assert conditioner.emotion(features, lengths).shape == (2, 16)
