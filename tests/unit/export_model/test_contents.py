import os
import subprocess

import pytest
import torch
import yaml
from safetensors.torch import load_file

from stages.core.artifacts.files import output_folder, write_text
from stages.core.errors import UserError
from stages.core.model.checkpoint import FROZEN, read_tensors
from stages.core.text.tokenizer import Tokenizer
from stages.export_model.contents import SUMS, checksums, is_licence, with_pieces, write_model
from stages.train_vocabulary.surgery import append_pieces


def write(place, folder, untouched="copy"):
    with output_folder(folder) as scratch:
        write_model(place.base, place.checkpoint, place.vocabulary, scratch, untouched)
    return folder


def rename_weights(base, name):
    """The base's weights under another name, a pickle as upstream's."""
    tensors = load_file(base / "gpt.safetensors")
    (base / "gpt.safetensors").unlink()
    torch.save({"model": tensors}, base / name)
    config = base / "config.yaml"
    config.write_text(config.read_text().replace("gpt.safetensors", name))


def test_the_export_holds_trained_and_frozen_weights_and_the_new_vocabulary(place, tmp_path):
    folder = write(place, tmp_path / "export")
    exported, base = read_tensors(folder / "gpt.safetensors"), read_tensors(place.base / "gpt.safetensors")
    trained = read_tensors(place.checkpoint / "model.safetensors")
    assert set(exported) == set(base)
    assert all(exported[name].equal(base[name] if name.startswith(FROZEN) else trained[name]) for name in exported)
    assert (folder / "bpe.model").read_bytes() == (place.vocabulary / "bpe.model").read_bytes()
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["gpt"]["number_text_tokens"] == len(Tokenizer(folder / "bpe.model")) == 72
    assert config["dataset"]["bpe_model"] == "bpe.model"
    assert (folder / "codebook.safetensors").read_bytes() == (place.base / "codebook.safetensors").read_bytes()


def test_a_pickle_stays_a_pickle_of_tensors_alone(place, tmp_path):
    rename_weights(place.base, "gpt.pth")
    folder = write(place, tmp_path / "export")
    written = torch.load(folder / "gpt.pth", weights_only=True)
    assert written.keys() == read_tensors(place.base / "gpt.pth").keys()
    assert not (folder / "gpt.safetensors").exists()


@pytest.mark.parametrize("untouched", ["copy", "link"])
def test_other_files_are_taken_whole_whatever_their_folder_and_hidden_ones_are_not(place, tmp_path, untouched):
    (place.base / "qwen/sub").mkdir(parents=True)
    (place.base / "qwen/sub/model.bin").write_bytes(b"emotion")
    (place.base / ".cache").mkdir()
    (place.base / ".cache/lock").write_bytes(b"")
    (place.base / "LICENSE.txt").write_text("terms")
    (place.base / "blob").write_bytes(b"s2mel")
    (place.base / "s2mel.pth").symlink_to("blob")
    folder = write(place, tmp_path / "export", untouched)
    assert (folder / "qwen/sub/model.bin").read_bytes() == b"emotion"
    assert (folder / "LICENSE.txt").read_text() == "terms"
    assert (folder / "s2mel.pth").read_bytes() == b"s2mel" and not (folder / "s2mel.pth").is_symlink()
    assert not (folder / ".cache").exists()
    shared = untouched == "link"
    assert os.path.samefile(folder / "qwen/sub/model.bin", place.base / "qwen/sub/model.bin") == shared
    assert os.path.samefile(folder / "s2mel.pth", place.base / "blob") == shared
    assert not os.path.samefile(folder / "LICENSE.txt", place.base / "LICENSE.txt")


def test_linked_files_outlive_the_base_and_a_move(place, tmp_path):
    wanted = (place.base / "codebook.safetensors").read_bytes()
    folder = write(place, tmp_path / "export", "link")
    (place.base / "codebook.safetensors").unlink()
    moved = folder.rename(tmp_path / "elsewhere")
    assert (moved / "codebook.safetensors").read_bytes() == wanted


def test_where_no_link_can_be_made_the_file_is_copied_and_said(place, tmp_path, monkeypatch, capsys):
    def refuse(*_):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    folder = write(place, tmp_path / "export", "link")
    assert (folder / "codebook.safetensors").is_file()
    assert "codebook.safetensors: cannot be linked" in capsys.readouterr().out


def test_the_adapter_stands_beside_the_merged_weights(place, tmp_path):
    (place.checkpoint / "adapter").mkdir()
    (place.checkpoint / "adapter/adapter_config.json").write_text("{}")
    (place.checkpoint / "adapter/README.md").write_text("[More Information Needed]")
    folder = write(place, tmp_path / "export") / "adapter"
    assert [path.name for path in folder.iterdir()] == ["adapter_config.json"]


def test_an_export_of_an_export_takes_none_of_its_papers(place, tmp_path):
    for name in ("MODEL_CARD.md", "SHA256SUMS", "text_settings.json"):
        (place.base / name).write_text("old")
    folder = write(place, tmp_path / "export")
    assert not any((folder / name).exists() for name in ("MODEL_CARD.md", "SHA256SUMS", "text_settings.json"))


def break_rows(place):
    (place.vocabulary / "bpe.model").write_bytes((place.base / "bpe.model").read_bytes())


def break_base(place):
    text = (place.base / "bpe.model").read_bytes()
    (place.base / "bpe.model").write_bytes(append_pieces(text, ["ቐ"]))


def break_checkpoint(place):
    (place.checkpoint / "model.safetensors").unlink()


def break_weights(place):
    (place.base / "gpt.safetensors").write_bytes(b"no weights")


@pytest.mark.parametrize(("break_it", "told"), [
    (break_rows, "73 text rows"), (break_base, "made for another base"),
    (break_checkpoint, "missing weights"), (break_weights, "not a weights file"),
])
def test_what_does_not_belong_together_is_one_error_and_leaves_no_file(place, tmp_path, break_it, told):
    break_it(place)
    with pytest.raises(UserError, match=told):
        write(place, tmp_path / "export")
    assert not [path for path in tmp_path.iterdir() if "export" in path.name]


@pytest.mark.parametrize("layout", [
    "# top\ngpt:\n    number_text_tokens: 60   # rows\n    lr: 1e-5\n",
    "gpt: {model_dim: 8, number_text_tokens: 60}\n",
    "gpt:\n  number_text_tokens: 60\nother: {number_text_tokens: 60}\n",
])
def test_config_changes_in_its_one_number_only(tmp_path, layout):
    path = tmp_path / "config.yaml"
    path.write_text(layout)
    wanted = yaml.safe_load(layout)
    wanted["gpt"]["number_text_tokens"] = 8000
    written = with_pieces(path, 8000)
    assert yaml.safe_load(written) == wanted
    if "other" not in layout:
        assert written == layout.replace("60", "8000")


def test_sums_are_what_sha256sum_checks(tmp_path):
    (tmp_path / "a b.txt").write_text("one")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/c").write_text("two")
    write_text(tmp_path / SUMS, checksums(tmp_path))
    said = subprocess.run(["sha256sum", "--check", SUMS], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert said.stdout.splitlines() == ["a b.txt: OK", "sub/c: OK"]


def test_licences_are_known_by_name():
    assert all(map(is_licence, ("LICENSE", "licence.txt", "LICENSE_ZH.txt", "NOTICE", "COPYING.md", "DISCLAIMER")))
    assert not any(map(is_licence, ("README.md", "qwen/LICENSE", "config.yaml")))
