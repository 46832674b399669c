from stages.core.model.unified_voice import UnifiedVoice
from stages.core.training.optimiser import build_optimiser
from tests.tiny import SETTINGS


def test_norms_biases_and_embeddings_have_no_decay_and_everything_else_has():
    parameters = dict(UnifiedVoice(SETTINGS).named_parameters())
    names = {id(value): name for name, value in parameters.items()}
    decay = {names[id(value)]: group["weight_decay"]
             for group in build_optimiser(parameters, 0.1).param_groups for value in group["params"]}
    assert set(decay) == set(parameters)
    decayed = {name for name, value in decay.items() if value}
    kinds = {name.split(".", 3)[-1] for name in decayed if name.startswith("gpt.h.")}
    assert kinds == {"attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight"}
    assert decayed - {name for name in decayed if name.startswith("gpt.h.")} == {"mel_head.weight"}
