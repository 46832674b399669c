"""A project folder with nothing but params and an MLflow store of its own."""

from pathlib import Path

import yaml

from stages.core.params.shared import TrackingConfig

PARAMS = {
    "phases": {"full": {"start_from": "lora"}, "lora": {"start_from": "base"}},
    "tracking": {"uri": "sqlite:///mlflow.db", "experiment": "schedule"},
}


def lay_out(folder, monkeypatch):
    """Write params with a store of its own, by a full path: one process keeps one store for each URI."""
    tracking = {"uri": f"sqlite:///{folder}/mlflow.db", "experiment": "schedule"}
    monkeypatch.chdir(folder)
    Path("params.yaml").write_text(yaml.safe_dump({**PARAMS, "tracking": tracking}, sort_keys=False))
    return TrackingConfig(**tracking)


def runs(client):
    experiment = client.get_experiment_by_name("schedule").experiment_id
    return client.search_runs([experiment])
