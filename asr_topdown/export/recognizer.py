"""Exporting a trained recogniser as an ONNX file, and comparing the two."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch

from asr_topdown import files
from asr_topdown.decode.model import TrainedModel
from asr_topdown.export.front_end import write_cmvn, write_deltas, write_fbank
from asr_topdown.export.graph import IR_VERSION, OPSET, Graph
from asr_topdown.export.stages import write_stage
from asr_topdown.features.front_end import front_end
from asr_topdown.nn.stage import Stage

INPUTS, OUTPUTS = ("sound", "features"), ("ctc", "encoder")
_FLOAT, _INT64 = 1, 7  # onnx.TensorProto


class Ports(NamedTuple):
    """The exported network's input and output: members of `INPUTS` and `OUTPUTS`."""

    inputs: str
    outputs: str


def write_onnx(model: TrainedModel, path: Path, ports: Ports) -> None:
    """Write a network as an ONNX file, with sampling rate, frame shift and units in the metadata.

    Inputs are `sound` (B, N) float32 at the model's rate, or `features` (B, T, D) before normalisation, and
    `lengths` (B,) int64; outputs `log_probs` (B, T', V) or `memory` (B, T', D'), and `output_lengths` (B,).

    Raises:
        ValueError: naming the part of the model that cannot be exported.
    """
    import onnx
    from onnx import helper

    _check_exportable(model, ports)
    sound = ports.inputs == "sound"
    shape: list[str | int] = ["B", "N"] if sound else ["B", "T", model.config.features.size]
    inputs = [
        helper.make_tensor_value_info(ports.inputs, _FLOAT, shape),
        helper.make_tensor_value_info("lengths", _INT64, ["B"]),
    ]
    graph = Graph()
    x, lengths = _write_front_end(graph, model) if sound else (ports.inputs, "lengths")
    x, lengths, size = _write_network(graph, model, x, lengths, ctc=ports.outputs == "ctc")
    if lengths == "lengths":  # no stage subsamples; an input must keep its name
        lengths = graph.op("Identity", lengths)
    result = "log_probs" if ports.outputs == "ctc" else "memory"
    _renamed(graph, {x: result, lengths: "output_lengths"})
    outputs = [
        helper.make_tensor_value_info(result, _FLOAT, ["B", "U", size]),
        helper.make_tensor_value_info("output_lengths", _INT64, ["B"]),
    ]
    made = helper.make_graph(graph.nodes, "asr_topdown", inputs, outputs, graph.constants)
    whole = helper.make_model(
        made,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="asr_topdown",
    )
    helper.set_model_props(whole, _metadata(model))
    onnx.checker.check_model(whole)
    files.remove_leftovers(path.parent)
    with files.written_aside(path) as aside:
        aside.write_bytes(whole.SerializeToString())


def _check_exportable(model: TrainedModel, ports: Ports) -> None:
    """Refuse, naming the folder, what has no ONNX graph between these ports."""
    kind = model.config.features.kind
    if kind == "waveform":
        raise ValueError(f"{model.folder}: a pretrained encoder cannot be exported")
    if kind == "given" and ports.inputs == "sound":
        raise ValueError(
            f"{model.folder}: reads given features, not sound; --input features exports what follows them"
        )
    if model.network.ctc is None and ports.outputs == "ctc":
        raise ValueError(
            f"{model.folder}: its network has no CTC output; --output encoder exports the encoder"
        )


def _write_front_end(graph: Graph, model: TrainedModel) -> tuple[str, str]:
    """Write what makes features of `sound`; return their name and that of their lengths."""
    settings = model.config.features
    feats, lengths = write_fbank(graph, settings.fbank, "sound", "lengths")
    return write_deltas(graph, settings.deltas, feats, lengths), lengths


def _write_network(
    graph: Graph, model: TrainedModel, x: str, lengths: str, *, ctc: bool
) -> tuple[str, str, int]:
    """Write the normalisation, the encoder, and the CTC head if wanted.

    Args:
        graph: to which the nodes are added.
        model: the trained model.
        x: name of the features (B, T, D), before normalisation.
        lengths: name of their lengths.
        ctc: whether the output is CTC's log-probabilities, instead of the encoder's.

    Returns:
        The names of the output and of its lengths, and its size.
    """
    network = model.network
    if model.cmvn is not None:
        x = write_cmvn(graph, model.cmvn, x)
    size = 0
    for name in network.stage_names:
        stage = cast(Stage, network.stages.get_submodule(name))
        x, lengths = write_stage(graph, stage, name, x, lengths)
        size = stage.output_size
    if isinstance(network.norm, torch.nn.LayerNorm):
        x = graph.norm(x, network.norm)
    if ctc:
        assert network.ctc is not None
        x = graph.op("LogSoftmax", graph.linear(x, network.ctc.output), axis=-1)
        size = len(model.vocabulary)
    return x, lengths, size


def largest_difference(model: TrainedModel, path: Path, ports: Ports, sizes: Sequence[int]) -> float:
    """Return the largest difference between onnxruntime's and PyTorch's outputs on a batch of noise.

    Args:
        model: the exported model.
        path: the ONNX file.
        ports: its input and output.
        sizes: length of each utterance in samples, or in frames of features.

    Raises:
        ValueError: if the lengths of the outputs differ, or an output is not finite.
    """
    import onnxruntime

    generator = np.random.default_rng(0)
    shape = (max(sizes),) if ports.inputs == "sound" else (max(sizes), model.config.features.size)
    batch = (0.1 * generator.standard_normal((len(sizes), *shape))).astype(np.float32)
    lengths = np.asarray(sizes, dtype=np.int64)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    fed = {ports.inputs: batch, "lengths": lengths}
    theirs, their_lengths = session.run(None, fed)
    ours, our_lengths = _ours(model, batch, sizes, ports)
    if their_lengths.tolist() != our_lengths:
        raise ValueError(
            f"{path}: output lengths must be PyTorch's {our_lengths}, got {their_lengths.tolist()}"
        )
    pairs = zip(theirs, ours, our_lengths, strict=True)
    parts = [np.abs(one[:n] - other[:n]).ravel() for one, other, n in pairs]
    difference = float(np.concatenate(parts).max(initial=0.0))
    if not np.isfinite(difference):
        raise ValueError(f"{path}: the outputs for noise hold NaN or infinity, and cannot be compared")
    return difference


@torch.no_grad()
def _ours(
    model: TrainedModel, batch: np.ndarray, sizes: Sequence[int], ports: Ports
) -> tuple[np.ndarray, list[int]]:
    network, settings = model.network, model.config.features
    rows: list[Any] = [torch.from_numpy(row[:size]) for row, size in zip(batch, sizes, strict=True)]
    if ports.inputs == "sound":
        rate = settings.fbank.sample_rate
        rows = [front_end(row, rate, settings.fbank, settings.deltas) for row in rows]
    if model.cmvn is not None:
        rows = [model.cmvn.apply(row) for row in rows]
    feats = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    memory, lengths = network.encode(feats, torch.tensor([len(row) for row in rows]))
    if ports.outputs == "ctc":
        assert network.ctc is not None
        memory = network.ctc.log_probs(memory)
    return memory.numpy(), lengths.tolist()


def _renamed(graph: Graph, names: dict[str, str]) -> None:
    for node in graph.nodes:
        for places in (node.input, node.output):
            for index, name in enumerate(places):
                places[index] = names.get(name, name)


def _metadata(model: TrainedModel) -> dict[str, str]:
    vocabulary, features = model.vocabulary, model.config.features
    return {
        "sample_rate": str(features.fbank.sample_rate),
        "frame_shift_ms": str(1000 * features.frame_seconds),
        "unit": vocabulary.unit,
        "units": json.dumps(list(vocabulary.units), ensure_ascii=False),
    }
