"""Bases, judges and exports that a stranger made: each is one error that names the file, and gives nothing away."""

import json
import os
import shutil
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from stages.core.artifacts.foreign import LARGEST, MOST_LAYERS
from stages.core.errors import UserError
from stages.core.model.adapter import load_adapter
from stages.core.model.checkpoint import load_base, load_conditioner, read_base_tensors, read_tensors
from stages.core.model.recogniser import load_recogniser
from stages.core.model.released import read_statistics
from stages.core.model.settings import read_settings
from stages.core.model.w2v_bert import load_w2v_bert
from stages.core.params.command import run_command
from stages.core.text.exported import read_text_settings
from stages.core.text.tokenizer import Tokenizer
from stages.evaluate_speech.transformers_models import load_speech_model
from stages.export_model.contents import SUMS, take_over
from stages.export_model.registered import add_large_files, kept_files, read_sums
from tests.released_base import write_w2v_bert
from tests.tiny_base import make_base
from tests.tiny_judge import wav2vec2, x_vectors

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    make_base(folder / "base")
    write_w2v_bert(folder / "w2v-bert-2.0", 32)
    wav2vec2(folder / "judge")
    return folder


@pytest.fixture
def base(made, tmp_path, monkeypatch):
    """A base in the current folder, with a secret beside it."""
    monkeypatch.chdir(tmp_path)
    Path("secret").write_text("key")
    return shutil.copytree(made / "base", Path("base"))


@pytest.fixture
def refused(capsys):
    """Read something, and give the error of which each line was told."""
    def read_it(read):
        assert run_command(read) == 2
        return capsys.readouterr().err
    return read_it


@pytest.mark.parametrize("target", ["../secret", "/etc/hostname", "/proc/self/environ", "..", "nowhere/../../secret"])
@pytest.mark.parametrize("name", ["README.txt", "sub/part.pth", ".hidden"])
def test_a_link_out_of_a_base_is_refused_by_its_name_before_anything_is_read(base, refused, name, target):
    (base / "sub").mkdir()
    (base / name).symlink_to(target if "/" not in name or target.startswith("/") else f"../{target}")
    said = refused(lambda: take_over(base, read_settings(base), Path("export"), "link"))
    assert said.startswith(f"error: base/{name}: a link in a base must lead to a file of the base")
    assert os.path.realpath(base / name) in said and len(said.splitlines()) == 1
    assert not Path("export").exists()


def test_links_about_in_a_base_and_into_dvcs_cache_are_taken(base):
    kept = Path(".dvc/cache/files/md5/00/11")
    kept.parent.mkdir(parents=True)
    kept.write_text("s2mel")
    (base / "s2mel.pth").symlink_to(kept.absolute())
    (base / "same.pth").symlink_to("s2mel.pth")
    shutil.move(base, "elsewhere")
    base.symlink_to("elsewhere")
    take_over(base, read_settings(base), Path("export"), "copy")
    assert Path("export/s2mel.pth").read_text() == Path("export/same.pth").read_text() == "s2mel"


@pytest.mark.parametrize("name", ["a\nb", "a\rb", "a\x85b", "a\u2028b", "a\x1b[2J", "not UTF-8: \udcff"])
def test_a_name_that_could_end_a_line_is_refused(base, refused, name):
    (base / name).touch()
    assert refused(lambda: read_settings(base)) == \
        f"error: base: the names of its files must be printable (got {name!r})\n"


@pytest.mark.parametrize("name", ["/etc/passwd", "../secret", "voices/../../secret"])
def test_sums_that_name_a_file_elsewhere_are_refused_by_all_who_follow_them(tmp_path, name):
    folder = tmp_path / "models/m-1/artifacts/export"
    folder.mkdir(parents=True)
    (folder / SUMS).write_text(f"{'0' * 64}  a\n{'0' * 64}  {name}\n")
    model = SimpleNamespace(artifact_location=(tmp_path / "models/m-2/artifacts").as_uri())
    for follow in (lambda: read_sums(folder), lambda: add_large_files(model, folder, "other"),
                   lambda: kept_files(tmp_path / "models/m-2/artifacts", "export")):
        with pytest.raises(UserError, match="a file that it lists must lie in it"):
            follow()
    assert not (tmp_path / "models/m-2").exists()


def test_a_line_of_sums_ends_where_sha256sum_ends_it(tmp_path):
    (tmp_path / SUMS).write_text(f"{'0' * 64}  a\u2028{'1' * 64}  b\n{'2' * 64}  c\n")
    assert [name for _, name in read_sums(tmp_path)] == [f"a\u2028{'1' * 64}  b", "c"]


@pytest.mark.parametrize(("field", "value"), [
    ("gpt.model_dim", 10**30), ("gpt.model_dim", 10**10), ("gpt.layers", 10**9), ("gpt.number_text_tokens", 10**20),
    ("gpt.max_mel_tokens", 10**12), ("gpt.start_mel_token", -5),
    ("gpt.condition_module.num_blocks", 10**9), ("miniature.mel_channels", 10**9), ("miniature.frames_per_code", 10**6),
    ("miniature.sample_rate_hz", 10**9), ("gpt_checkpoint", "a" * 5000), ("gpt_checkpoint", "a\0b"),
    ("dataset.bpe_model", "a\n.model"),
])
def test_a_config_out_of_all_bounds_is_refused_by_its_field(base, refused, field, value):
    change_config(base, field, value)
    first, told = refused(lambda: read_settings(base)).splitlines()
    assert first == "error: base/config.yaml: 1 problem(s)" and told.startswith(f"  {field}: ")


@pytest.mark.parametrize(("field", "value", "rule"), [
    ("gpt.model_dim", 17, "gpt: model_dim must be a multiple of heads (got 17 and 2)"),
    ("gpt.heads", 7, "gpt: model_dim must be a multiple of heads (got 16 and 7)"),
    ("gpt.condition_module.attention_heads", 3,
     "gpt.condition_module: output_size must be a multiple of attention_heads (got 8 and 3)"),
    ("gpt.stop_mel_token", 34, "gpt: stop_mel_token must be below the number of rows, 34 (got 34)"),
    ("gpt.stop_text_token", 61, "gpt: stop_text_token must be below the number of rows, 61 (got 61)"),
    ("miniature.window_samples", 600, "miniature: window_samples must be at most fft_samples (got 600 and 512)"),
])
def test_a_config_at_odds_with_itself_is_refused(base, refused, field, value, rule):
    change_config(base, field, value)
    assert refused(lambda: read_settings(base)).splitlines()[1:] == [f"  {rule}"]


def test_a_model_larger_than_its_weights_is_never_built(base, refused):
    for field in ("gpt.model_dim", "gpt.condition_module.output_size", "gpt.condition_module.linear_units"):
        change_config(base, field, 16_384)
    change_config(base, "gpt.layers", 200)
    for read in (lambda: load_base(base), lambda: load_conditioner(base, read_settings(base))):
        first, *_ = refused(read).splitlines()
        assert first.startswith("error: base/gpt.safetensors: ") and first.endswith("wrong key(s)")


def change_config(base, field, value):
    content = json.loads(json.dumps(yaml.safe_load((base / "config.yaml").read_text())))  # without aliases
    *sections, key = field.split(".")
    place = content
    for section in sections:
        place = place[section]
    place[key] = value
    (base / "config.yaml").write_text(yaml.safe_dump(content))


def write_pickle(path, pickled):
    """A weights file whose pickle is these bytes."""
    torch.save({"a": torch.ones(1)}, path)
    with zipfile.ZipFile(path) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in held.items():
            archive.writestr(name, pickled if name.endswith("data.pkl") else content)


@pytest.mark.parametrize("pickled", [
    b"", b"\x80\x02", b"\x80\x02R.", b"\x80\x02h\x05.", b"\x80\x02J\x01.", b"\x80\x02}(KaKbu.",
    b"\x80\x02X\x02\x00\x00\x00\xff\xff.", b"\x80\x02]q\x00(K\x01u.",
])
def test_a_broken_pickle_is_one_line(tmp_path, monkeypatch, refused, pickled):
    monkeypatch.chdir(tmp_path)
    write_pickle("gpt.pth", pickled)
    [line] = refused(lambda: read_tensors(Path("gpt.pth"))).splitlines()
    assert line.startswith("error: gpt.pth: ")


@pytest.mark.parametrize("tensor", [
    torch.ones(1, dtype=torch.float16).expand(10**12), torch.empty(10**12, device="meta"), torch.ones(2).to_sparse(),
    torch.empty(2, device="meta"),
])
def test_a_tensor_without_its_numbers_takes_no_memory_and_is_one_line(tmp_path, monkeypatch, refused, tensor):
    monkeypatch.chdir(tmp_path)
    torch.save({"mean": tensor, "var": tensor}, "stats.pt")
    [line] = refused(lambda: read_statistics(Path("stats.pt"))).splitlines()
    assert line.startswith("error: stats.pt: not a weights file: ")


def test_tensors_that_share_their_numbers_are_read_as_upstream_stores_them(tmp_path):
    table = torch.randn(1000, 10)
    torch.save({"gpt.wte.weight": table, "mel_embedding.weight": table, "other": table[:500]}, tmp_path / "gpt.pth")
    assert read_tensors(tmp_path / "gpt.pth")["other"].equal(table[:500])


def test_weights_under_numbers_instead_of_names_are_one_line(base, refused):
    torch.save({1: torch.ones(1)}, base / "gpt.pth")
    change_config(base, "gpt_checkpoint", "gpt.pth")
    [line] = refused(lambda: read_base_tensors(base, read_settings(base))).splitlines()
    assert line == "error: base/gpt.pth: not a weights file: no tensor under 1"


@pytest.mark.parametrize(("name", "tensors"), [
    ("codebook.safetensors", {"other": torch.ones(1)}), ("codebook.safetensors", {"centroids": torch.ones(32, 5)}),
    ("feature_statistics.safetensors", {"mean": torch.ones(160)}),
    ("feature_statistics.safetensors", {"mean": torch.ones(160), "std": torch.ones(1, 1)}),
])
def test_a_codebook_or_statistics_of_another_shape_are_refused_by_their_keys(base, refused, name, tensors):
    save_file(tensors, base / name)
    first, *_ = refused(lambda: load_adapter(base, read_settings(base), CPU)).splitlines()
    assert first.startswith(f"error: base/{name}: ") and first.endswith("wrong key(s)")


@pytest.mark.parametrize("phones", ["[", "{}", "3", "[" * 100_000, '["a"]'])
def test_a_recogniser_that_is_none_is_refused(base, refused, phones):
    weights = load_file(base / "recogniser.safetensors") | {"front.0.bias": torch.zeros(200_000)}
    save_file(weights, base / "recogniser.safetensors", metadata={"phones": phones})
    first, *_ = refused(lambda: load_recogniser(base / "recogniser.safetensors", 80)).splitlines()
    assert first.startswith("error: base/recogniser.safetensors: ")


@pytest.mark.parametrize("content", [b"", b"[]", b"3", b"\xff", b"[" * 100_000, b'{"text": 1}', b'{"text": {"a": 1}}'])
@pytest.mark.parametrize("read", [read_text_settings, lambda folder: Tokenizer(folder / "text_settings.json")])
def test_text_settings_and_a_tokenizer_that_are_none_are_refused(tmp_path, monkeypatch, refused, content, read):
    monkeypatch.chdir(tmp_path)
    Path("text_settings.json").write_bytes(content)
    assert refused(lambda: read(Path("."))).startswith("error: text_settings.json: ")


CONFIGS = [
    {"num_attention_heads": 0}, {"hidden_size": "x"}, {"hidden_size": 10**12}, {"hidden_size": LARGEST + 1},
    {"num_attention_heads": 10**400}, {"conv_dim": [10**9]}, {"sub": {"num_hidden_layers": MOST_LAYERS + 1}},
    {"quantization_config": {"quant_method": "mxfp4"}},
]


@pytest.mark.parametrize("change", [*CONFIGS, {"torch_dtype": "float4"}, {"position_embeddings_type": "x"},
                                    {"num_hidden_layers": "9" * 5000}, {"num_hidden_layers": None}], ids=str)
def test_a_w2v_bert_that_is_none_is_one_line(made, tmp_path, monkeypatch, refused, change):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(made / "w2v-bert-2.0", "w2v")
    change_json("w2v/config.json", change)
    [line] = refused(lambda: load_w2v_bert(Path("w2v"))).splitlines()
    assert line.startswith("error: w2v/config.json: not the config of ")


def test_a_layer_of_w2v_bert_without_a_number_is_one_line(made, tmp_path, monkeypatch, refused):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(made / "w2v-bert-2.0", "w2v")
    save_file({"encoder.layers.x.weight": torch.ones(1)}, "w2v/model.safetensors")
    [line] = refused(lambda: load_w2v_bert(Path("w2v"))).splitlines()
    assert line.startswith("error: w2v/model.safetensors: not a weights file: ")


@pytest.mark.parametrize("change", [*CONFIGS, {"conv_dim": []}, {"model_type": 3}, {"hidden_act": "x"}], ids=str)
def test_a_judge_that_is_none_is_one_line(made, tmp_path, monkeypatch, refused, change):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(made / "judge", "judge")
    change_json("judge/config.json", change)
    [line] = refused(lambda: load_speech_model(Path("judge"), "AutoModelForCTC", CPU, False)).splitlines()
    assert line.startswith("error: judge")


@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation", "experts_implementation"])
def test_no_kernel_is_asked_of_the_hub_whatever_a_config_says(made, tmp_path, monkeypatch, key):
    asked = {key: "kernels-community/flash-attn2"}
    shutil.copytree(made / "w2v-bert-2.0", tmp_path / "w2v")
    shutil.copytree(made / "judge", tmp_path / "judge")
    x_vectors(tmp_path / "encoder")
    for name in ("w2v", "judge", "encoder"):
        change_json(tmp_path / name / "config.json", asked)
    requests = []
    monkeypatch.setattr("transformers.modeling_utils.lazy_import_flash_attention", lambda *a, **k: requests.append(a))
    monkeypatch.setattr("transformers.modeling_utils.load_and_register_attn_kernel", lambda *a, **k: requests.append(a),
                        raising=False)
    models = [load_w2v_bert(tmp_path / "w2v").model,
              load_speech_model(tmp_path / "judge", "AutoModelForCTC", CPU, False).model,
              load_speech_model(tmp_path / "encoder", "AutoModelForAudioXVector", CPU, False).model]
    assert [model.config._attn_implementation for model in models] == ["sdpa", "sdpa", "eager"] and not requests


def change_json(path, changes):
    content = json.loads(Path(path).read_text())
    Path(path).write_text(json.dumps(content | changes))
