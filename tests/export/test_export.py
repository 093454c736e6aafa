"""ONNX files: the same numbers in onnxruntime as in PyTorch, for ragged batches, of every kind of encoder."""

import itertools
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from asr_topdown import config as configuration
from asr_topdown.bin.main import main
from asr_topdown.build import ENCODERS, fresh_model
from asr_topdown.decode.model import TrainedModel, load_trained
from asr_topdown.export.recognizer import Ports, largest_difference, write_onnx
from asr_topdown.features.cmvn import Cmvn
from asr_topdown.features.front_end import front_end
from asr_topdown.text import Vocabulary
from asr_topdown.weights import save_weights

pytest.importorskip("onnxruntime", reason="pip install 'asr_topdown[export]'")

CONV2D = {"kind": "conv2d", "output_size": 12, "channels": 4}
TRANSFORMER = {"kind": "transformer", "num_layers": 2, "d_model": 16, "num_heads": 2, "ffn_dim": 24}
CONFORMER = {**TRANSFORMER, "kind": "conformer", "kernel_size": 7}
E_BRANCHFORMER = {
    **TRANSFORMER, "kind": "e_branchformer", "cgmlp_dim": 20, "kernel_size": 7, "merge_kernel_size": 5,
}  # fmt: skip
BLSTM = {"kind": "blstm", "num_layers": 1, "hidden_size": 6}
ENCODERS_HERE = {
    "blstm": [
        {**BLSTM, "num_layers": 3, "stack": 3, "projection_size": 9, "norm": True, "subsample": [2, 3]}
    ],
    "blstm that joins and drops no frames": [BLSTM],
    "vgg": [{"kind": "vgg", "filters": [4, 6]}, BLSTM],
    "transformer": [CONV2D, TRANSFORMER],
    "conformer": [{**CONV2D, "output_size": 16}, CONFORMER],
    "conformer with batch norm on vgg": [
        {"kind": "vgg", "filters": [4, 6]},
        {**CONFORMER, "conv_norm": "batch"},
    ],
    "e_branchformer": [CONV2D, E_BRANCHFORMER],
    "blstm on transformer": [CONV2D, TRANSFORMER, BLSTM],
}
FEATURES = {
    "plain": {"fbank": {"num_mels": 20, "sample_rate": 8000}},
    "energy and deltas": {
        "fbank": {"num_mels": 11, "sample_rate": 8000, "energy": True, "window": "hamming"},
        "deltas": 2,
    },
}
GIVEN = {"kind": "given", "dim": 13, "deltas": 1}
NOISE = (0.3 * np.random.default_rng(0).standard_normal(8000)).astype(np.float32)


def trained(tmp_path, encoder, features="plain", heads=("ctc",)):
    """A network whose weights differ enough that a mistake shows, with statistics that are not trivial."""
    settings = {"encoder": ENCODERS_HERE[encoder], **{head: {} for head in heads}}
    if "attention" in heads:
        settings["attention"] = {"kind": "lstm"}
    config = configuration.parse({"features": {**FEATURES, "given": GIVEN}[features], "model": settings})
    vocabulary = Vocabulary.build(["abc de"], "char")
    network = fresh_model(config, len(vocabulary), init_seed=1).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in network.parameters():
            tensor.mul_(2).add_(0.1 * torch.randn(tensor.shape, generator=generator))
        for name, buffer in network.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                buffer.copy_(torch.rand(buffer.shape, generator=generator) + 0.5)
    cmvn = Cmvn.of([3 * torch.randn(99, config.features.size, generator=generator) + 10])
    return TrainedModel(tmp_path, config, vocabulary, cmvn, network, torch.device("cpu"))


@pytest.mark.parametrize("features", FEATURES)
@pytest.mark.parametrize("encoder", ENCODERS_HERE)
def test_equal_to_pytorch_for_ragged_batches(tmp_path, encoder, features):
    """Also for one frame, and fewer than a stage needs; what stands behind an utterance's end is noise."""
    model = trained(tmp_path, encoder, features)
    for inputs, sizes in (("sound", [12000, 8000, 4321, 300]), ("features", [150, 77, 31, 9, 7, 6, 2, 1])):
        for outputs in ("ctc", "encoder"):
            ports = Ports(inputs, outputs)
            write_onnx(model, tmp_path / "m.onnx", ports)
            assert largest_difference(model, tmp_path / "m.onnx", ports, sizes) < 1e-4
            for size in (sizes[0], sizes[1]):  # alone, and so without padding
                assert largest_difference(model, tmp_path / "m.onnx", ports, [size]) < 1e-4


def test_a_network_on_given_features_is_exported_without_a_front_end(tmp_path):
    model = trained(tmp_path, "blstm", "given")
    with pytest.raises(ValueError, match="reads given features, not sound; --input features exports"):
        write_onnx(model, tmp_path / "m.onnx", Ports("sound", "ctc"))
    ports = Ports("features", "ctc")
    write_onnx(model, tmp_path / "m.onnx", ports)
    assert largest_difference(model, tmp_path / "m.onnx", ports, [50, 20]) < 1e-4


def test_the_comparison_sees_a_difference(tmp_path):
    """A graph with one weight changed is not equal: the test above can fail."""
    model = trained(tmp_path, "blstm")
    ports = Ports("features", "ctc")
    write_onnx(model, tmp_path / "m.onnx", ports)
    with torch.no_grad():
        next(model.network.parameters())[0, 0] += 0.5
    assert largest_difference(model, tmp_path / "m.onnx", ports, [50, 20]) > 1e-4


def test_outputs_that_are_no_numbers_are_no_agreement(tmp_path):
    model = trained(tmp_path, "blstm")
    with torch.no_grad():
        model.network.ctc.output.weight.fill_(3e38)  # finite, but not its products
    ports = Ports("features", "ctc")
    write_onnx(model, tmp_path / "m.onnx", ports)
    with pytest.raises(ValueError, match=r"m\.onnx: the outputs for noise hold NaN or infinity"):
        largest_difference(model, tmp_path / "m.onnx", ports, [50, 20])


def test_every_kind_of_encoder_is_tried():
    tried = {section["kind"] for encoder in ENCODERS_HERE.values() for section in encoder}
    assert tried == ENCODERS.keys() - {"pretrained"}


def test_what_cannot_be_exported_is_said(tmp_path):
    model = trained(tmp_path, "blstm", heads=("attention",))
    with pytest.raises(ValueError, match="has no CTC output; --output encoder exports the encoder"):
        write_onnx(model, tmp_path / "m.onnx", Ports("sound", "ctc"))
    write_onnx(model, tmp_path / "m.onnx", Ports("sound", "encoder"))
    dithered = configuration.parse(
        {"features": {"fbank": {"dither": 1.0, "num_mels": 20}}, "model": model.config.model.model_dump()}
    )
    other = TrainedModel(tmp_path, dithered, model.vocabulary, model.cmvn, model.network, model.device)
    with pytest.raises(
        ValueError, match=r"features\.fbank\.dither must be 0\.0 for sound as input, got 1\.0"
    ):
        write_onnx(other, tmp_path / "m.onnx", Ports("sound", "encoder"))


@pytest.fixture
def folder(tmp_path):
    """A model's folder as written by a training."""
    return saved(trained(tmp_path, "blstm"), tmp_path)


def saved(model, tmp_path):
    place = tmp_path / "model"
    place.mkdir()
    (place / "config.yaml").write_text(configuration.dump(model.config))
    model.vocabulary.save(place / "tokens.txt")
    model.cmvn.save(place / "cmvn.ark")
    save_weights(model.network, place / "epoch-1.safetensors")
    (place / "done.json").write_text(json.dumps({"best_epoch": 1}))
    return place


def test_the_command(folder, tmp_path, capsys, leave_half):
    leave_half(tmp_path / "m.onnx")
    assert main(["export", str(folder), str(tmp_path / "m.onnx")]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith("MB, sound in, ctc out")
    assert "in onnxruntime the outputs differ by" in second
    assert not list(tmp_path.glob(".*"))


def example(folder, tmp_path):
    """What docs/onnx_transcribe.py prints of a.wav, and what `transcribe` finds in it."""
    assert main(["export", str(folder), str(tmp_path / "m.onnx")]) == 0
    soundfile.write(tmp_path / "a.wav", NOISE, 8000, subtype="FLOAT")
    program = Path(__file__).parents[2] / "docs" / "onnx_transcribe.py"
    code = "import runpy, sys\nsys.modules['torch'] = sys.modules['asr_topdown'] = None\n"
    code += f"sys.argv[1:] = ['m.onnx', 'a.wav']\nrunpy.run_path({str(program)!r}, run_name='__main__')"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    from asr_topdown.transcription.transcriber import Transcriber

    (found,) = Transcriber(load_trained(folder)).transcribe(tmp_path / "a.wav")
    return done.stdout, found.text


def test_the_example_needs_neither_torch_nor_us(folder, tmp_path):
    """docs/onnx_transcribe.py gives the output of `transcribe`; it imports nothing of ours."""
    printed, text = example(folder, tmp_path)
    assert text
    assert printed == f"{text}\n"


def saying(model, *units):
    """Have `model` find these units alone, often in turn, in NOISE; return the path of their places."""
    feats = front_end(torch.from_numpy(NOISE), 8000, model.config.features.fbank, 0)
    output = model.network.ctc.output
    with torch.no_grad():
        memory, _ = model.network.encode(model.cmvn.apply(feats)[None], torch.tensor([len(feats)]))
        even = -output.weight @ memory[0].mean(0)
        output.bias.fill_(-100.0)
        for unit in units:
            place = model.vocabulary.units.index(unit)
            output.bias[place] = even[place]
        return model.network.ctc.log_probs(memory)[0].argmax(-1).tolist()


def test_the_example_prints_one_space_where_the_network_finds_two(tmp_path):
    model = trained(tmp_path, "blstm that joins and drops no frames")
    path = saying(model, "<blank>", "<space>", "a")
    shown = {0: "_", 2: " ", 3: "a"}
    assert " _ " in "".join(shown[label] for label, _ in itertools.groupby(path))
    printed, text = example(saved(model, tmp_path), tmp_path)
    assert set(text) == {" ", "a"}
    assert printed == f"{text}\n"


def test_the_example_composes_a_letter_of_two_units(tmp_path):
    model = trained(tmp_path, "blstm that joins and drops no frames")
    letters = Vocabulary(("<blank>", "<unk>", "<space>", "e", "f", "g", "h", "\u0301"), "char")
    model = replace(model, vocabulary=letters)
    saying(model, "<space>", "e", "\u0301")
    printed, text = example(saved(model, tmp_path), tmp_path)
    assert "\u00e9" in text
    assert printed == f"{text}\n"
