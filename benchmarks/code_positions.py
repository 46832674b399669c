"""What it costs a trained model to meet its codes one position on, as upstream's cached sampling gives them.

tests/interop/test_positions.py shows that difference between upstream's sampling and its training; here it is applied
to the last schedule's exported phase, on the test utterances of the target language.
"""

from pathlib import Path
from typing import Any

from benchmarks.device import Machine
from stages.core.model.checkpoint import WEIGHTS_FILE, load_phase
from stages.core.model.settings import read_settings
from stages.core.params.strict import read_params
from stages.core.training.features import INDEX_FILE, FeatureSet
from stages.evaluate_speech.cross_entropy import nats, predict_codes, rows_of
from stages.evaluate_speech.figures import Measured, make_figure

CHECKPOINTS, FEATURES = Path("data/checkpoints"), Path("data/features")
FIGURES = ("phase", "at_training_positions", "one_position_on", "difference")
SEED = 1


def measure(machine: Machine) -> dict[str, Any]:
    """Cross-entropies in nats a code with 95 % intervals, and their difference; none before `make run`."""
    params = read_params()
    phase = params["export_model"]["phase"]
    if not (CHECKPOINTS / phase / WEIGHTS_FILE).is_file() or not (FEATURES / INDEX_FILE).is_file():
        return dict.fromkeys(FIGURES)
    model = load_phase(CHECKPOINTS / phase, read_settings(Path(params["base"]["path"])).gpt).eval()
    test = rows_of(FeatureSet(FEATURES, lambda row: row.role == "target" and row.split == "test"))
    before = predict_codes(model, test)
    table = model.mel_pos_embedding.emb.weight.data
    table[1:-1] = table[2:].clone()
    after = predict_codes(model, test)
    pairs = list(zip(before, after, strict=True))
    return dict(zip(FIGURES, (
        phase,
        make_figure(nats(before), SEED),
        make_figure(nats(after), SEED),
        make_figure([Measured(one.sentence, two.cross_entropy_sum - one.cross_entropy_sum, one.codes)
                     for one, two in pairs], SEED),
    ), strict=True))
