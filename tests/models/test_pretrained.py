"""Pretrained encoders: stages give what the library's own forward pass gives, and are stages like others.

The library is given each utterance by itself, as its own feature extractor prepares it, and where it masks
padding also the ragged batch. Networks without a mask (wav2vec 2.0 base and its like: `group` norm over
time) depend on the padding there, so that one utterance at a time is what is meant; Data2VecAudio's stack of
convolutions sees the padding in spite of the mask, near an utterance's end, and is compared alone too.
"""

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from networks import blstm_ctc
from networks import make as network_of
from torch import Tensor, nn
from toy_pretrained import TOYS, save, transformers

from asr_topdown import config as configuration
from asr_topdown import layers, pretrained_folder
from asr_topdown.build import build_model, fresh_model
from asr_topdown.models.pretrained.sound import LogMel, StackedFbank
from asr_topdown.models.recognizer import Recognizer
from asr_topdown.runs import lora
from asr_topdown.runs.initialise import published_layers
from asr_topdown.weights import load_weights, save_state

SIZES = (9000, 16000, 4321, 1234)
# Whisper's windows have one second here: an utterance of three.
WINDOWED = (9000, 16000, 4321, 37000)
MASKED = ("wav2vec2_large", "hubert_large", "wavlm_large", "wav2vec2_bert")


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("published")
    return {name: save(name, root / name) for name in TOYS}


def make(folder: Path, seed: int = 0, **settings: Any) -> Recognizer:
    torch.manual_seed(seed)
    network = build_model(parsed(folder, **settings), 6)
    assert isinstance(network, Recognizer)
    return network


def parsed(folder: Path, **settings: Any) -> configuration.Config:
    encoder = [{"kind": "pretrained", "path": str(folder), **settings}]
    return configuration.parse({"features": {"kind": "waveform"}, "model": {"encoder": encoder, "ctc": {}}})


def sounds(sizes: tuple[int, ...] = SIZES) -> list[np.ndarray]:
    generator = np.random.default_rng(3)
    return [0.1 * generator.standard_normal(size).astype(np.float32) for size in sizes]


def padded(waves: list[np.ndarray]) -> tuple[Tensor, Tensor]:
    """A batch whose padding is noise."""
    batch = 7.0 * torch.randn(len(waves), max(map(len, waves)) + 500, 1)
    for row, wave in enumerate(waves):
        batch[row, : len(wave), 0] = torch.from_numpy(wave)
    return batch, torch.tensor([len(wave) for wave in waves])


def library(folder: Path, waves: list[np.ndarray]) -> tuple[list[Tensor], Tensor]:
    """What the frontend and each layer give, the last one normalised, and the frames of each utterance."""
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    inputs = extractor(waves, sampling_rate=16000, return_tensors="pt", padding=True)
    model = model.encoder if model.config.model_type == "whisper" else model
    if model.config.model_type == "whisper":
        inputs = {"input_features": extractor(waves, sampling_rate=16000, return_tensors="pt").input_features}
    if model.config.model_type == "wav2vec2-bert":
        # The layers are compared on the same energies; those have a test of their own, to 1e-4: the library
        # computes them in float64.
        batch, lengths = padded(waves)
        preprocessor = json.loads((folder / "preprocessor_config.json").read_text())
        energies, counts = StackedFbank(preprocessor)(batch[..., 0], lengths)
        for row, count in enumerate(counts.tolist()):
            inputs["input_features"][row, :count] = energies[row, :count]
    with torch.no_grad():
        out = model(**inputs, output_hidden_states=True)
    frames = torch.full((len(waves),), out.last_hidden_state.shape[1])
    if "attention_mask" in inputs and model.config.model_type == "wav2vec2-bert":
        frames = inputs["attention_mask"].sum(1)
    elif "attention_mask" in inputs:
        frames = model._get_feat_extract_output_lengths(inputs["attention_mask"].sum(1))
    # The library lists what each layer reads; the last one's output is given by itself.
    return [*out.hidden_states[:-1], out.last_hidden_state], frames


def each_layer(model: Recognizer, waves: list[np.ndarray]) -> list[tuple[Tensor, Tensor]]:
    batch, lengths = padded(waves)
    with torch.no_grad():
        return [
            model.eval().encode(batch, lengths, stop=stop) for stop in range(1, len(model.stage_names) + 1)
        ]


@pytest.mark.parametrize("name", [name for name in TOYS if name != "whisper"])
def test_each_layer_of_a_ragged_batch_is_the_librarys_of_each_utterance_alone(
    published: dict[str, Path], name: str
) -> None:
    waves = sounds()
    ours = each_layer(make(published[name]), waves)
    for row, wave in enumerate(waves):
        theirs, counts = library(published[name], [wave])
        count = int(counts[0])
        assert len(ours) == len(theirs) == 4
        for (frames, lengths), wanted in zip(ours, theirs, strict=True):
            assert lengths[row] == count
            torch.testing.assert_close(frames[row, :count], wanted[0, :count], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", MASKED)
def test_each_layer_of_a_ragged_batch_is_the_librarys_of_that_batch(
    published: dict[str, Path], name: str
) -> None:
    ours = each_layer(make(published[name]), sounds())
    theirs, counts = library(published[name], sounds())
    for (frames, lengths), wanted in zip(ours, theirs, strict=True):
        assert lengths.tolist() == counts.tolist()
        for row, count in enumerate(counts.tolist()):
            torch.testing.assert_close(frames[row, :count], wanted[row, :count], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", TOYS)
def test_float16_gives_the_same_but_for_rounding(published: dict[str, Path], name: str) -> None:
    """A layer that reads float16 masks the padding with a number that float16 has."""
    model, waves = make(published[name]), sounds()
    wanted, lengths = each_layer(model, waves)[-1]
    with torch.autocast("cpu", torch.float16):
        found, _ = each_layer(model, waves)[-1]
    for row, count in enumerate(lengths.tolist()):
        torch.testing.assert_close(found[row, :count].float(), wanted[row, :count], atol=0.05, rtol=0.0)


def test_whispers_windows_are_the_librarys_and_what_fills_them_is_cut_off(published: dict[str, Path]) -> None:
    waves = sounds(WINDOWED)
    model = make(published["whisper"])
    ours = each_layer(model, waves)
    counts = [-(-len(wave) // 320) for wave in waves]
    for row, wave in enumerate(waves):
        parts = [wave[first : first + 16000] for first in range(0, len(wave), 16000)]
        theirs, _ = library(published["whisper"], parts)
        for (frames, lengths), wanted in zip(ours, theirs, strict=True):
            assert lengths.tolist() == counts
            whole = wanted.flatten(0, 1)[: counts[row]]
            torch.testing.assert_close(frames[row, : counts[row]], whole, atol=1e-5, rtol=1e-5)
    assert ours[-1][0].shape[1] == max(counts)
    assert ours[0][0].shape[1] == 3 * 50


def test_log_mel_energies_are_the_feature_extractors() -> None:
    waves = sounds()
    extractor = transformers.WhisperFeatureExtractor(chunk_length=1)
    wanted = extractor(waves, sampling_rate=16000, return_tensors="pt").input_features
    samples, lengths = padded(waves)
    found = LogMel(settings={"chunk_length": 1})(samples[:, :16000, 0], lengths)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)
    extractor = transformers.SeamlessM4TFeatureExtractor()
    batch = extractor(waves, sampling_rate=16000, return_tensors="pt")
    found, counts = StackedFbank({})(samples[..., 0], lengths)
    assert counts.tolist() == batch["attention_mask"].sum(1).tolist()
    for row, count in enumerate(counts.tolist()):
        # Theirs are computed in float64; how ours are rounded depends on the processor.
        torch.testing.assert_close(
            found[row, :count], batch["input_features"][row, :count], atol=1e-4, rtol=1e-5
        )


@pytest.mark.parametrize("name", TOYS)
def test_tensors_are_in_one_layer_and_lengths_are_as_promised(published: dict[str, Path], name: str) -> None:
    model = make(published[name], dropout=0.1, output="all", mix="weighted")
    layers.check_partition(model)
    assert layers.layer_names(model) == ("frontend", "enc.0", "enc.1", "enc.2", "mix", "softmax")
    for _, lengths in each_layer(model, sounds()):
        assert lengths.tolist() == model.output_lengths(torch.tensor(SIZES)).tolist()
    short = torch.tensor([300, 0])
    _, lengths = model.encode(torch.randn(2, 300, 1), short)
    assert lengths.tolist() == model.output_lengths(short).tolist()


@pytest.mark.parametrize("name", TOYS)
def test_the_encoder_in_two_parts_is_the_encoder(published: dict[str, Path], name: str) -> None:
    model = make(published[name]).eval()
    batch, lengths = padded(sounds())
    with torch.no_grad():
        whole, _ = model.encode(batch, lengths)
        for cut in (1, 2, 3):
            below = model.encode(batch, lengths, stop=cut)
            above, _ = model.encode(*below, start=cut)
            assert torch.equal(above, whole)


@pytest.mark.parametrize("name", TOYS)
def test_gradients_reach_each_layer_from_a_frozen_top_and_none_below_a_frozen_bottom(
    published: dict[str, Path], name: str
) -> None:
    batch, lengths = padded(sounds())
    for frozen, trained in ((("enc.1", "enc.2", "softmax"), "enc.0"), (("frontend", "enc.0"), "enc.1")):
        model = make(published[name])
        layers.freeze(model, frozen, dropout=False)
        memory, _ = model.encode(batch, lengths)
        memory.square().mean().backward()
        for layer, tensors in layers.tensors_by_layer(model).items():
            found = [one.grad is not None for one in tensors.values() if isinstance(one, nn.Parameter)]
            assert any(found) == (layer not in frozen and layer != "softmax"), layer
            assert layer != trained or all(found)


@pytest.mark.parametrize("name", ["wav2vec2_base", "wavlm_base", "wav2vec2_bert", "whisper"])
def test_adapters_begin_as_nothing_and_every_one_is_trained(published: dict[str, Path], name: str) -> None:
    pytest.importorskip("peft")
    batch, lengths = padded(sounds())
    model = make(published[name]).eval()
    with torch.no_grad():
        before, _ = model.encode(batch, lengths)
    layers.freeze(model, ("enc.0", "enc.1"), dropout=False)
    lora.adapt(model, ("enc.0", "enc.1"), rank=2, seed=1)
    after, _ = model.encode(batch, lengths)
    torch.testing.assert_close(after, before, atol=1e-5, rtol=0)
    after.square().mean().backward()
    adapters = {key: one for key, one in model.named_parameters() if "lora_B" in key}
    assert len(adapters) >= 12
    assert all(one.grad is not None and one.grad.abs().sum() > 0 for one in adapters.values())


def test_layers_side_by_side_and_their_sum(published: dict[str, Path]) -> None:
    folder, waves = published["wavlm_base"], sounds()
    alone = [frames for frames, _ in each_layer(make(folder), waves)]
    beside = make(folder, output=[0, 2, 3], mix="concat")
    assert beside.stage_names == ("frontend", "enc.0", "enc.1", "enc.2")
    found = each_layer(beside, waves)[-1][0]
    torch.testing.assert_close(found, torch.cat([alone[0], alone[2], alone[3]], -1))
    added = make(folder, output="all", mix="weighted")
    with torch.no_grad():
        added.get_submodule("stages.mix").weights.copy_(torch.tensor([0.0, 1.0, -1.0, 2.0]))
    shares = torch.tensor([0.0, 1.0, -1.0, 2.0]).softmax(0)
    wanted = sum(share * one for share, one in zip(shares, alone, strict=True))
    torch.testing.assert_close(each_layer(added, waves)[-1][0], wanted)
    lower = make(folder, output=[2])
    assert lower.stage_names == ("frontend", "enc.0", "enc.1")
    torch.testing.assert_close(each_layer(lower, waves)[-1][0], alone[2])


def test_a_lower_layers_output_has_not_the_last_ones_norm(published: dict[str, Path]) -> None:
    folder = published["wav2vec2_large"]
    assert isinstance(make(folder, output=[2]).get_submodule("stages.enc.1.norm"), nn.Identity)
    assert isinstance(make(folder).get_submodule("stages.enc.2.norm"), nn.LayerNorm)


def test_the_highest_layers_may_begin_with_random_weights_of_the_seed(published: dict[str, Path]) -> None:
    folder = published["wav2vec2_large"]
    given, one, same, other = (
        layers.tensors_by_layer(make(folder, seed, random=random))
        for seed, random in ((1, 0), (1, 1), (1, 1), (2, 1))
    )
    for layer in ("frontend", "enc.0", "enc.1", "enc.2"):
        for key, tensor in given[layer].items():
            assert torch.equal(one[layer][key], same[layer][key])
            assert torch.equal(one[layer][key], tensor) == (layer != "enc.2"), key
    key = "stages.enc.2.block.layer.attention.q_proj.weight"
    assert not torch.equal(one["enc.2"][key], other["enc.2"][key])


def test_published_are_the_layers_with_the_folders_weights_and_none_above_them(
    published: dict[str, Path],
) -> None:
    def names(path: str, **settings: Any) -> tuple[str, ...]:
        encoder = [{"kind": "pretrained", "path": path, **settings}, {"kind": "transformer", "d_model": 16}]
        encoder[1] |= {"num_layers": 2, "num_heads": 2, "ffn_dim": 8}
        model = {"encoder": encoder, "ctc": {}}
        network = build_model(configuration.parse({"features": {"kind": "waveform"}, "model": model}), 6)
        found = layers.layer_names(network)
        assert found == ("frontend", *(f"enc.{index}" for index in range(len(found) - 2)), "softmax")
        return published_layers(network)

    folder = str(published["wavlm_base"])
    assert names(folder) == ("frontend", "enc.0", "enc.1", "enc.2")
    assert names(folder, output=[2]) == ("frontend", "enc.0", "enc.1")
    assert names(folder, random=2) == ("frontend", "enc.0")
    read = pretrained_folder.read(folder)
    assert names("", architecture=read.architecture, preprocessor=read.preprocessor) == ()
    assert published_layers(network_of(blstm_ctc(1, 4))) == ()


@pytest.mark.parametrize("name", ["wav2vec2_base", "wavlm_large", "whisper"])
def test_new_layers_begin_alike_with_the_folder_and_without_it(published: dict[str, Path], name: str) -> None:
    whole = parsed(published[name], random=1)
    saved = configuration.parse(yaml.safe_load(configuration.dump(whole)))
    assert saved.identity() == whole.identity()
    one, other = (layers.tensors_by_layer(fresh_model(config, 6, init_seed=3)) for config in (whole, saved))
    for layer in ("enc.2", "softmax"):
        assert one[layer]
        assert all(torch.equal(tensor, other[layer][key]) for key, tensor in one[layer].items())
    assert not all(torch.equal(tensor, other["enc.1"][key]) for key, tensor in one["enc.1"].items())


def test_a_saved_configuration_is_whole_without_the_folder(published: dict[str, Path]) -> None:
    whole = parsed(published["hubert_large"], output="all", mix="weighted")
    saved = configuration.dump(whole)
    assert str(published["hubert_large"]) not in saved
    read = configuration.parse(yaml.safe_load(saved))
    assert read.hash_of("model") == whole.hash_of("model")
    network = fresh_model(read, 6, init_seed=0)
    state = fresh_model(whole, 6, init_seed=0).state_dict()
    network.load_state_dict(state)


def test_the_name_is_of_the_weights_and_not_of_the_folder(tmp_path: Path) -> None:
    one, moved, other = (save("wav2vec2_base", tmp_path / name) for name in ("one", "moved", "other"))
    weights = transformers.Wav2Vec2Model.from_pretrained(other)
    with torch.no_grad():
        weights.encoder.layers[1].layer_norm.bias[0] += 1e-3
    weights.save_pretrained(other)
    names = [parsed(folder).identity() for folder in (one, moved, other)]
    assert names[0] == names[1] != names[2]
    network = make(other)
    key = "stages.enc.1.block.layer.layer_norm.bias"
    assert torch.equal(network.state_dict()[key], weights.encoder.layers[1].layer_norm.bias)


def test_a_checkpoint_of_another_head_and_pytorchs_own_format(tmp_path: Path) -> None:
    """Weights of Wav2Vec2ForCTC, saved with torch.save and the names that older versions had."""
    folder = save("wav2vec2_base", tmp_path / "ctc")
    wanted = make(folder).state_dict()
    encoder = transformers.Wav2Vec2Model.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    old = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    state = {}
    for key, tensor in encoder.state_dict().items():
        for new, name in old.items():
            key = key.replace(new, name)
        state[f"wav2vec2.{key}"] = tensor.half() if key.endswith("q_proj.weight") else tensor
    state["lm_head.weight"] = torch.zeros(5, 16)
    torch.save(state, folder / "pytorch_model.bin")
    found = make(folder).state_dict()
    for key, tensor in wanted.items():
        if not key.startswith("heads"):
            assert found[key].dtype == torch.float32
            torch.testing.assert_close(found[key], tensor, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("name", ["wav2vec2_base", "hubert_base", "wavlm_base", "data2vec", "wav2vec2_bert"])
def test_the_weights_of_heads_are_no_part_of_the_encoder(
    published: dict[str, Path], tmp_path: Path, name: str
) -> None:
    """As the library saves an encoder under each of its heads; and a teacher's, published with some."""
    network, settings, architecture, _ = TOYS[name]
    known = network.removesuffix("Model")
    heads = [one for one in dir(transformers) if one.startswith(f"{known}For")]
    assert len(heads) >= 2
    sizes = {
        "proj_codevector_dim": 8,
        "codevector_dim": 8,
        "tdnn_dim": (8,) * 5,
        "xvector_output_dim": 8,
        "vocab_size": 9,
    }
    for head in heads:
        folder = tmp_path / head
        made = getattr(transformers, head)(getattr(transformers, settings)(**architecture, **sizes))
        made.save_pretrained(folder)
        shutil.copy(published[name] / "preprocessor_config.json", folder)
        state = load_weights(folder / "model.safetensors")
        assert any(not key.startswith(f"{made.base_model_prefix}.") for key in state)
        save_state({**state, "final_proj.weight": torch.ones(2)}, folder / "model.safetensors")
        ours = make(folder).state_dict()
        wanted = getattr(made, made.base_model_prefix).encoder.layers[1].state_dict()
        for key, tensor in wanted.items():
            assert torch.equal(ours[f"stages.enc.1.block.layer.{key}"], tensor)


def test_settings_of_the_input_beside_those_of_a_tokenizer(
    published: dict[str, Path], tmp_path: Path
) -> None:
    """As transformers 5 saves a Wav2Vec2Processor; it reads them first, too."""
    folder = shutil.copytree(published["wav2vec2_base"], tmp_path / "folder")
    alone = pretrained_folder.read(str(folder))
    heard = json.loads((folder / "preprocessor_config.json").read_text())
    processor = folder / "processor_config.json"
    processor.write_text(json.dumps({"feature_extractor": heard, "processor_class": "Wav2Vec2Processor"}))
    (folder / "preprocessor_config.json").write_text(json.dumps({**heard, "do_normalize": False}))
    assert pretrained_folder.read(str(folder)) == alone
    (folder / "preprocessor_config.json").unlink()
    assert pretrained_folder.read(str(folder)) == alone
    assert transformers.AutoFeatureExtractor.from_pretrained(folder).do_normalize
    processor.write_text(json.dumps({"processor_class": "Wav2Vec2Processor"}))
    with pytest.raises(ValueError, match=r"preprocessor_config.json: no such file"):
        pretrained_folder.read(str(folder))


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("evil_was_here"),))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: (f / "preprocessor_config.json").unlink(), r"preprocessor_config.json: no such file"),
        (lambda f: (f / "model.safetensors").unlink(), r"holds no weights"),
        (lambda f: (f / "model.safetensors").write_bytes(b"x" * 50), r"cannot be loaded"),
        (
            lambda f: edit(f, model_type="bert"),
            r"model_type: must be one of data2vec.*'bert'",
        ),
        (lambda f: edit(f, add_adapter=True), r"architecture.add_adapter: True is not supported"),
        (lambda f: edit(f, num_hidden_layers=4), r"do not fit config.json: encoder.layers.3.* is missing"),
        (lambda f: edit(f, intermediate_size=8), r"intermediate_dense.bias must be \(8,\), got \(24,\)"),
        (lambda f: edit(f, hidden_size="16"), r"architecture: .*'hidden_size' expected int"),
        (lambda f: edit(f, conv_stride=[5, 8]), r"architecture: .*len\(config.conv_stride\)"),
        (lambda f: edit(f, hidden_act="nope"), r"cannot be loaded: KeyError: 'nope'"),
        (lambda f: edit(f, name="preprocessor_config.json", do_normalize="no"), r"do_normalize: .*got 'no'"),
        (lambda f: numbers(f, torch.nan), r"encoder.layers.1.layer_norm.weight holds NaN"),
        (lambda f: numbers(f, torch.inf), r"encoder.layers.1.layer_norm.weight holds infinity"),
        (lambda f: pickled(f), r"cannot be loaded"),
        # The library adds it to the weights, whose hash does not have it.
        (
            lambda f: (f / "adapter_config.json").write_text('{"peft_type": "LORA"}'),
            r"adapter_config.json: an adapter, which is not part of the weights: save the network with it",
        ),
    ],
)
def test_a_folder_that_does_not_do_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Any, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = save("wav2vec2_base", tmp_path / "folder")
    change(folder)
    with pytest.raises(ValueError, match=message) as caught:
        make(folder)
    assert "\n" not in str(caught.value)
    assert re.search(rf"{folder}|architecture|preprocessor", str(caught.value))
    assert not Path("evil_was_here").exists()


def test_an_encoder_that_was_cut_says_which_weights_it_leaves_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = save("wav2vec2_base", tmp_path / "folder")
    make(folder)
    assert not caplog.messages
    edit(folder, num_hidden_layers=2)
    make(folder)
    (message,) = caplog.messages
    assert re.fullmatch(
        rf"{folder}: config.json has no place for encoder.layers.2.\S+, encoder.\S+ and 14 more: left out",
        message,
    )


def edit(folder: Path, name: str = "config.json", **changes: Any) -> None:
    path = folder / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def numbers(folder: Path, value: float) -> None:
    """One number that is none."""
    state = load_weights(folder / "model.safetensors")
    state["encoder.layers.1.layer_norm.weight"][3] = value
    save_state(state, folder / "model.safetensors")


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({"masked_spec_embed": Evil()}, folder / "pytorch_model.bin")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"output": [1, 5]}, r"output: must be different layers from 0 to 3"),
        ({"output": [0]}, r"the frontend alone"),
        ({"output": [1, 2]}, r"mix: 2 layers are asked for: must be concat or weighted"),
        ({"random": 4}, r"random: the encoder has 3 layers, got 4"),
        ({"random": 1, "output": [2]}, r"random: of the layers from enc.2 up none is built, since output is"),
        ({"weights": "0" * 16}, r"holds other weights"),
    ],
)
def test_settings_that_do_not_fit(published: dict[str, Path], settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(published["wavlm_base"], **settings)


@pytest.mark.parametrize(
    ("features", "train", "message"),
    [
        ({}, {}, r"features.kind: waveform and an encoder"),
        ({"kind": "waveform", "cmvn": "global"}, {}, r"cmvn: not with kind: waveform"),
        ({"kind": "waveform", "deltas": 1}, {}, r"neither fbank nor deltas"),
        (
            {"kind": "waveform", "waveform": {"sample_rate": 8000}},
            {},
            r"is 8000, and the encoder reads .* 16000",
        ),
        ({"kind": "waveform"}, {"tempo_perturb": 0.1}, r"train.tempo_perturb"),
    ],
)
def test_features_that_do_not_fit(
    published: dict[str, Path], features: dict[str, Any], train: dict[str, Any], message: str
) -> None:
    encoder = [{"kind": "pretrained", "path": str(published["hubert_base"])}]
    with pytest.raises(ValueError, match=message):
        configuration.parse({"features": features, "train": train, "model": {"encoder": encoder, "ctc": {}}})


def test_an_architecture_beside_a_path_is_that_of_the_path(published: dict[str, Path]) -> None:
    """Another one had no effect, and nothing said so."""
    own = pretrained_folder.read(str(published["wavlm_base"]))
    same = parsed(published["wavlm_base"], architecture=own.architecture, preprocessor=own.preprocessor)
    assert same == parsed(published["wavlm_base"])
    for name, settings, message in (
        ("architecture", {**own.architecture, "num_hidden_layers": 2}, "(num_hidden_layers: 3, not 2)"),
        ("preprocessor", {**own.preprocessor, "do_normalize": True}, "(do_normalize: False, not True)"),
    ):
        said = f"has another {name} than `{name}` says {message}: leave one of them out"
        with pytest.raises(ValueError, match=re.escape(said)):
            parsed(published["wavlm_base"], **{name: settings})


def test_no_folder_and_no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for path, message in (
        ("/no/such/folder", r"no such folder$"),
        (
            "organisation/never-fetched",
            r"no such folder here, and the hub cannot be reached or does not have it",
        ),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            parsed(Path(path))
        assert "\n" not in str(caught.value)


def test_without_the_library_one_line_says_what_to_install(
    published: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ValueError, match=r"pip install 'asr_topdown\[pretrained\]'") as caught:
        make(published["whisper"])
    assert "\n" not in str(caught.value)
