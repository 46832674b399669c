"""Build the miniature base from texts: codebook, recogniser, tokenizer, pretraining.

data/text/*.txt -> OUTPUT/
    config.yaml  gpt.safetensors  bpe.model  feature_statistics.safetensors  codebook.safetensors
    recogniser.safetensors  metrics.json
"""

import sys
from pathlib import Path

import torch

from stages.build_base.assemble import build
from stages.build_base.config import Config
from stages.core.artifacts.files import read_json
from stages.core.params.command import run_command, stage_parser
from stages.core.params.shared import BaseConfig, SplitsConfig
from stages.core.params.strict import load_section
from stages.core.text.config import TextConfig


def main(argv: list[str] | None = None) -> int:
    parser = stage_parser("build_base", __doc__)
    parser.add_argument("--output", type=Path, default=Path(".pipeline/base"), help="folder for the new base")
    options = parser.parse_args(argv)
    torch.set_num_threads(min(torch.get_num_threads(), 4))
    config, splits = load_section(Config, "build_base"), load_section(SplitsConfig, "splits")
    metrics = build(config, splits, load_section(TextConfig, "text"), options.output)
    print_beside_shipped(metrics, Path(load_section(BaseConfig, "base").path))
    print(f"to ship it: cp -r {options.output}/. {load_section(BaseConfig, 'base').path}/")
    return 0


def print_beside_shipped(metrics: dict[str, float], shipped: Path) -> None:
    """Print the new base's figures beside those of the base in use."""
    path = shipped / "metrics.json"
    old = read_json(path) if path.is_file() else {}
    print(f"{'metric':<36}{'built':>10}{'shipped':>10}")
    for name, value in metrics.items():
        print(f"{name:<36}{value:>10.4g}{old.get(name, float('nan')):>10.4g}")


if __name__ == "__main__":
    sys.exit(run_command(main))
