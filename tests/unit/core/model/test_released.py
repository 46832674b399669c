import shutil

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from transformers import Wav2Vec2BertModel

from stages.core.errors import UserError
from stages.core.model.adapter import load_adapter
from stages.core.model.checkpoint import load_conditioner, read_trained_tensors
from stages.core.model.settings import read_settings
from stages.core.model.w2v_bert import LAYERS
from tests.released_base import make_released_base, swelling_noise

CPU = torch.device("cpu")
SAMPLES = (16000, 16160, 32400, 9000, 24080)  # odd and even counts of 10 ms frames


@pytest.fixture(scope="module")
def untouched(tmp_path_factory):
    return make_released_base(tmp_path_factory.mktemp("released") / "base")


@pytest.fixture
def base(untouched, tmp_path):
    return shutil.copytree(untouched, tmp_path / "base")


@pytest.fixture(scope="module")
def adapter(untouched):
    return load_adapter(untouched, read_settings(untouched), CPU)


@pytest.fixture(scope="module")
def audio():
    return swelling_noise(SAMPLES)


def change_config(base, **changes):
    content = yaml.safe_load((base / "config.yaml").read_text())
    (base / "config.yaml").write_text(yaml.safe_dump(content | changes))


def test_a_batch_gives_what_each_utterance_gives_alone(adapter, audio):
    together = adapter.analyse_batch(audio)
    assert len(torch.cat([one.codes for one in together]).unique()) > 10
    for one, speech in zip(audio, together, strict=True):
        alone = adapter.analyse(one)
        assert alone.codes.tolist() == speech.codes.tolist()
        torch.testing.assert_close(speech.features, alone.features, atol=1e-4, rtol=0.0)


def test_codes_and_features_come_at_fifty_a_second(adapter, audio):
    for one, speech in zip(audio, adapter.analyse_batch(audio), strict=True):
        assert len(speech.codes) == len(speech.features) == ((len(one) - 400) // 160 + 2) // 2


def test_the_layers_that_are_left_out_change_nothing(untouched, adapter, audio):
    whole = Wav2Vec2BertModel.from_pretrained(untouched / "w2v-bert-2.0").eval()
    assert len(whole.encoder.layers) > LAYERS == len(adapter.bert.model.encoder.layers)
    inputs = adapter.bert.filters(audio[0].numpy(), sampling_rate=16000, return_tensors="pt")
    with torch.inference_mode():
        wanted = whole(**inputs, output_hidden_states=True).hidden_states[LAYERS]
        states, _ = adapter.bert(audio[:1])
    torch.testing.assert_close(states, wanted, atol=1e-5, rtol=0.0)


def test_an_empty_folder_is_told_everything_that_belongs_there(tmp_path):
    with pytest.raises(UserError) as error:
        read_settings(tmp_path)
    for told in ("config.yaml", "gpt.pth", "bpe.model", "wav2vec2bert_stats.pt", "w2v-bert-2.0/model.safetensors",
                 "semantic_codec/model.safetensors", "IndexTeam/IndexTTS-2", "facebook/w2v-bert-2.0", "amphion"):
        assert told in str(error.value)


def test_all_missing_parts_are_named_at_once(base):
    shutil.rmtree(base / "w2v-bert-2.0")
    (base / "semantic_codec/model.safetensors").unlink()
    (base / "wav2vec2bert_stats.pt").unlink()
    with pytest.raises(UserError, match=r"4 part\(s\)") as error:
        load_adapter(base, read_settings(base), CPU)
    assert str(base / "semantic_codec/model.safetensors") in str(error.value) and "s2mel" not in str(error.value)


@pytest.mark.parametrize("changes,name", [
    ({"version": 2.5}, "IndexTTS 2.5"), ({"version": 1.5}, "IndexTTS 1.5"),
    ({"version": None, "dvae_checkpoint": "dvae.pth"}, "IndexTTS 1.5"),
    ({"gpt": {"condition_type": "conformer_perceiver"}}, "IndexTTS 1.5"),
])
def test_other_releases_are_refused_by_name(base, changes, name):
    change_config(base, **changes)
    with pytest.raises(UserError, match=name):
        read_settings(base)


def test_parts_of_different_widths_are_refused(base):
    torch.save({"mean": torch.zeros(7), "var": torch.ones(7)}, base / "wav2vec2bert_stats.pt")
    with pytest.raises(UserError, match="different feature widths.*wav2vec2bert_stats.pt 7"):
        load_adapter(base, read_settings(base), CPU)


def test_statistics_that_are_something_else_are_refused(base):
    torch.save({"mean": torch.zeros(32), "std": torch.ones(32)}, base / "wav2vec2bert_stats.pt")
    with pytest.raises(UserError, match="must hold `mean` and `var`"):
        load_adapter(base, read_settings(base), CPU)


@pytest.mark.parametrize("file,stranger", [
    ("w2v-bert-2.0/model.safetensors", "encoder.layers.3.stranger"),
    ("semantic_codec/model.safetensors", "encoder.2.weight"),
])
def test_a_key_that_does_not_belong_is_named(base, file, stranger):
    save_file(load_file(base / file) | {stranger: torch.zeros(1)}, base / file)
    with pytest.raises(UserError, match=f"unexpected {stranger}"):
        load_adapter(base, read_settings(base), CPU)


def test_a_shorter_w2v_bert_is_refused(base):
    path = base / "w2v-bert-2.0/config.json"
    path.write_text(path.read_text().replace('"num_hidden_layers": 18', '"num_hidden_layers": 12'))
    with pytest.raises(UserError, match="num_hidden_layers must be at least 17 .got 12"):
        load_adapter(base, read_settings(base), CPU)


def test_every_wrong_key_of_gpt_pth_is_named_whichever_part_is_read(base):
    tensors = torch.load(base / "gpt.pth", weights_only=True)["model"]
    del tensors["mel_head.bias"]
    tensors["emo_layer.bias"] = torch.zeros(3)
    tensors["stranger.weight"] = torch.zeros(2, 2)
    torch.save(tensors, base / "gpt.pth")
    for read in (read_trained_tensors, load_conditioner):
        with pytest.raises(UserError, match=r"3 wrong key\(s\)") as error:
            read(base, read_settings(base))
        for told in ("missing mel_head.bias", "emo_layer.bias has shape", "unexpected stranger.weight"):
            assert told in str(error.value)


def test_weights_of_another_release_are_refused_by_name(base):
    tensors = torch.load(base / "gpt.pth", weights_only=True)["model"]
    older = {name: value for name, value in tensors.items() if not name.startswith("emo")}
    newer = {name: value for name, value in tensors.items() if not name.startswith("conditioning_encoder.")}
    newer["spk_emb_proj.bias"] = torch.zeros(2)
    for held, release in ((older, "IndexTTS 1 or 1.5"), (newer, "IndexTTS 2.5")):
        torch.save(held, base / "gpt.pth")
        with pytest.raises(UserError, match=release):
            read_trained_tensors(base, read_settings(base))


def test_what_repeats_other_keys_is_left_out_and_said(base, capsys):
    tensors = torch.load(base / "gpt.pth", weights_only=True)["model"]
    tensors |= {"inference_model.lm_head.1.weight": torch.zeros(2), "gpt.wte.weight": torch.zeros(2, 2)}
    torch.save(tensors, base / "gpt.pth")
    trained = read_trained_tensors(base, read_settings(base))
    assert not any(name.startswith(("inference_model.", "gpt.wte.", "conditioning_encoder.")) for name in trained)
    told = capsys.readouterr().out
    assert "gpt.wte.*" in told and "inference_model.*" in told and len(told.splitlines()) == 1
