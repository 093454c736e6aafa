"""Encoder stages as ONNX nodes: (B, T, D) frames and (B,) lengths in, the same out.

As in `nn`, the padding of a stage's input may be anything finite, and does not affect frames within the
lengths.
"""

import math
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from asr_topdown.export.graph import Graph, Value
from asr_topdown.nn.attention import SelfAttention
from asr_topdown.nn.blstm import BlstmLayer
from asr_topdown.nn.conformer import ConformerLayer, ConvolutionModule, MaskedBatchNorm
from asr_topdown.nn.conv2d import LEAST_FRAMES, Conv2dSubsampling
from asr_topdown.nn.e_branchformer import ConvolutionalGatingMlp, EBranchformerLayer
from asr_topdown.nn.positions import InputLayer
from asr_topdown.nn.stage import Stage
from asr_topdown.nn.transformer import FeedForward, TransformerLayer
from asr_topdown.nn.vgg import Vgg

Frames = tuple[Value, Value]
_NEVER = -1e30  # before a softmax


def write_stage(graph: Graph, stage: Stage, name: str, x: Value, lengths: Value) -> Frames:
    """Add a stage's nodes.

    Raises:
        ValueError: naming the stage whose kind has no writer.
    """
    for kind, write in WRITERS.items():
        if type(stage) is kind:
            return write(graph, stage, x, lengths)
    kinds = ", ".join(kind.name for kind in WRITERS)
    raise ValueError(f"layer {name}: must be one of {kinds} to be exported, got {type(stage).__name__}")


def _blstm(graph: Graph, stage: BlstmLayer, x: Value, lengths: Value) -> Frames:
    x, lengths = _stacked(graph, x, lengths, stage.stack)
    both = (stage.lstm_fwd, stage.lstm_bwd)
    weights = torch.stack([_gates(lstm, "weight_ih_l0") for lstm in both])
    recurrent = torch.stack([_gates(lstm, "weight_hh_l0") for lstm in both])
    bias = torch.stack([torch.cat([_gates(lstm, "bias_ih_l0"), _gates(lstm, "bias_hh_l0")]) for lstm in both])
    # ONNX's LSTM takes lengths, and reverses each sequence within its own.
    counts = graph.op("Cast", graph.op("Max", lengths, 1), to=_INT32)
    size = stage.lstm_fwd.hidden_size
    (found,) = graph.ops(
        "LSTM",
        1,
        graph.op("Transpose", x, perm=[1, 0, 2]),
        weights,
        recurrent,
        bias,
        counts,
        direction="bidirectional",
        hidden_size=size,
    )
    hidden = graph.reshape(graph.op("Transpose", found, perm=[2, 0, 1, 3]), 0, 0, 2 * size)
    if stage.projection is not None:
        hidden = graph.linear(hidden, stage.projection)
        hidden = graph.op("Tanh", hidden) if stage.tanh else hidden
    if stage.norm is not None:
        hidden = graph.norm(hidden, stage.norm)
    return graph.every(hidden, stage.subsample), graph.ceil_divided(lengths, stage.subsample)


_INT32 = 6  # onnx.TensorProto.INT32


def _gates(lstm: nn.LSTM, name: str) -> Tensor:
    """Reorder gates from PyTorch's input, forget, cell, output to ONNX's input, output, forget, cell."""
    gate_in, forget, cell, gate_out = lstm.get_parameter(name).chunk(4)
    return torch.cat([gate_in, gate_out, forget, cell])


def _stacked(graph: Graph, x: Value, lengths: Value, size: int) -> Frames:
    if size == 1:
        return x, lengths
    zeroed = _zeroed(graph, x, lengths)
    frames = graph.size(x, 1)
    missing = graph.op("Sub", graph.op("Mul", graph.ceil_divided(frames, size), size), frames)
    whole = _padded(graph, zeroed, missing)
    # -1 for the frames: with 0 frames no other axis could be inferred.
    width = graph.op("Mul", graph.size(x, 2), size)
    shape = graph.op("Concat", graph.size(x, 0), [-1], width, axis=0)
    return graph.op("Reshape", whole, shape), graph.ceil_divided(lengths, size)


def _zeroed(graph: Graph, x: Value, lengths: Value) -> Value:
    within = graph.op("Unsqueeze", graph.mask(x, lengths), [2])
    return graph.op("Where", within, x, np.float32(0))


def _padded(graph: Graph, x: Value, missing: Value) -> Value:
    """Append `missing` (1,) frames of zeros to (B, T, D)."""
    return graph.op("Pad", x, graph.op("Concat", [0, 0, 0, 0], missing, [0], axis=0))


def _vgg(graph: Graph, stage: Vgg, x: Value, lengths: Value) -> Frames:
    cut = graph.reshape(_zeroed(graph, x, lengths), 0, 0, stage.channels, -1)
    image = graph.op("Transpose", cut, perm=[0, 2, 1, 3])
    frames = x
    for index, convolution in enumerate(stage.convolutions):
        assert isinstance(convolution, nn.Conv2d)
        image = graph.conv(image, convolution, pads=[1, 1, 1, 1])
        within = graph.op("Unsqueeze", graph.mask(frames, lengths), [1, 3])
        image = graph.op("Relu", graph.op("Where", within, image, np.float32(0)))
        if index % 2:
            image = graph.op("MaxPool", image, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
            lengths = graph.ceil_divided(lengths, 2)
            frames = graph.op("Transpose", image, perm=[0, 2, 1, 3])
    return graph.reshape(frames, 0, 0, stage.output_size), lengths


def _conv2d(graph: Graph, stage: Conv2dSubsampling, x: Value, lengths: Value) -> Frames:
    missing = graph.op("Max", graph.op("Sub", LEAST_FRAMES, graph.size(x, 1)), 0)
    image = graph.op("Unsqueeze", _padded(graph, x, missing), [1])
    for convolution in (stage.conv1, stage.conv2):
        image = graph.op("Relu", graph.conv(image, convolution, strides=[2, 2]))
    flat = graph.reshape(graph.op("Transpose", image, perm=[0, 2, 1, 3]), 0, 0, stage.linear.in_features)
    for _ in range(2):
        lengths = graph.op("Div", graph.op("Max", graph.op("Sub", lengths, 1), 0), 2)
    return graph.linear(flat, stage.linear), lengths


def _transformer(graph: Graph, stage: TransformerLayer, x: Value, lengths: Value) -> Frames:
    first, second = stage.norms
    assert isinstance(first, nn.LayerNorm)
    assert isinstance(second, nn.LayerNorm)
    x = _input_layer(graph, stage.input_layer, x)
    within = _attended(graph, x, lengths)
    x = graph.op("Add", x, _attention(graph, stage.attention, graph.norm(x, first), within))
    return graph.op("Add", x, _feed_forward(graph, stage.ffn, graph.norm(x, second))), lengths


def _conformer(graph: Graph, stage: ConformerLayer, x: Value, lengths: Value) -> Frames:
    norms = [norm for norm in stage.norms if isinstance(norm, nn.LayerNorm)]
    x = _input_layer(graph, stage.input_layer, x)
    within = _attended(graph, x, lengths)
    half = np.float32(0.5)
    x = graph.op("Add", x, graph.op("Mul", _feed_forward(graph, stage.ffn1, graph.norm(x, norms[0])), half))
    x = graph.op("Add", x, _attention(graph, stage.attention, graph.norm(x, norms[1]), within))
    x = graph.op("Add", x, _convolution(graph, stage.convolution, graph.norm(x, norms[2]), within))
    x = graph.op("Add", x, graph.op("Mul", _feed_forward(graph, stage.ffn2, graph.norm(x, norms[3])), half))
    return graph.norm(x, norms[4]), lengths


def _e_branchformer(graph: Graph, stage: EBranchformerLayer, x: Value, lengths: Value) -> Frames:
    norms = [norm for norm in stage.norms if isinstance(norm, nn.LayerNorm)]
    x = _input_layer(graph, stage.input_layer, x)
    within = _attended(graph, x, lengths)
    half = np.float32(0.5)
    x = graph.op("Add", x, graph.op("Mul", _feed_forward(graph, stage.ffn1, graph.norm(x, norms[0])), half))
    whole = _attention(graph, stage.attention, graph.norm(x, norms[1]), within)
    near = _gated(graph, stage.cgmlp, graph.norm(x, norms[2]), within)
    both = graph.op("Concat", whole, near, axis=2)
    merged = graph.op("Add", both, _depthwise(graph, stage.merge.depthwise_conv, both, within))
    x = graph.op("Add", x, graph.linear(merged, stage.merge.linear))
    x = graph.op("Add", x, graph.op("Mul", _feed_forward(graph, stage.ffn2, graph.norm(x, norms[3])), half))
    return graph.norm(x, norms[4]), lengths


def _gated(graph: Graph, layer: ConvolutionalGatingMlp, x: Value, within: Value) -> Value:
    hidden = graph.gelu(graph.linear(x, layer.linear1))
    value, gate = graph.ops("Split", 2, hidden, [layer.linear2.in_features] * 2, axis=-1)
    gate = _depthwise(graph, layer.depthwise_conv, graph.norm(gate, layer.norm), within)
    return graph.linear(graph.op("Mul", value, gate), layer.linear2)


def _depthwise(graph: Graph, layer: nn.Conv1d, x: Value, within: Value) -> Value:
    """Convolve (B, T, C), with frames outside `within` set to zero."""
    reach = layer.kernel_size[0] // 2
    zeroed = graph.op("Where", graph.op("Unsqueeze", within, [2]), x, np.float32(0))
    turned = graph.op("Transpose", zeroed, perm=[0, 2, 1])
    seen = graph.conv(turned, layer, group=layer.in_channels, pads=[reach, reach])
    return graph.op("Transpose", seen, perm=[0, 2, 1])


def _input_layer(graph: Graph, layer: nn.Module, x: Value) -> Value:
    """Add a linear layer if sizes differ, and sinusoidal positions; only in the first block."""
    if not isinstance(layer, InputLayer):
        return x
    if isinstance(layer.linear, nn.Linear):
        x = graph.linear(x, layer.linear)
    dim = layer.positions.d_model
    rates = torch.exp(torch.arange(0, dim, 2) * (-math.log(10000.0) / dim))
    end = graph.op("Squeeze", graph.size(x, 1), [0])
    places = graph.op("Cast", graph.op("Range", np.int64(0), end, np.int64(1)), to=1)  # FLOAT
    angles = graph.op("Mul", graph.op("Unsqueeze", places, [1]), rates)
    pairs = [graph.op("Unsqueeze", graph.op(kind, angles), [2]) for kind in ("Sin", "Cos")]
    table = graph.reshape(graph.op("Concat", *pairs, axis=2), 0, dim)
    return graph.op("Add", graph.op("Mul", x, np.float32(math.sqrt(dim))), table)


def _attended(graph: Graph, x: Value, lengths: Value) -> Value:
    """Return (B, T) which frames are attended to, at least one."""
    return graph.mask(x, graph.op("Max", lengths, 1))


def _attention(graph: Graph, layer: SelfAttention, x: Value, within: Value) -> Value:
    dim, heads = layer.out_proj.in_features, layer.num_heads
    parts = graph.ops("Split", 3, graph.linear(x, layer.in_proj), [dim] * 3, axis=-1)
    query, key, value = (graph.reshape(part, 0, 0, heads, dim // heads) for part in parts)
    query, value = (graph.op("Transpose", part, perm=[0, 2, 1, 3]) for part in (query, value))
    key = graph.op("Transpose", key, perm=[0, 2, 3, 1])
    scores = graph.op("MatMul", graph.op("Mul", query, np.float32((dim // heads) ** -0.5)), key)
    scores = graph.op("Where", graph.op("Unsqueeze", within, [1, 2]), scores, np.float32(_NEVER))
    found = graph.op("MatMul", graph.op("Softmax", scores, axis=-1), value)
    return graph.linear(
        graph.reshape(graph.op("Transpose", found, perm=[0, 2, 1, 3]), 0, 0, dim), layer.out_proj
    )


def _feed_forward(graph: Graph, layer: FeedForward, x: Value) -> Value:
    hidden = graph.linear(x, layer.linear1)
    hidden = graph.op("Relu", hidden) if isinstance(layer.activation, nn.ReLU) else graph.silu(hidden)
    return graph.linear(hidden, layer.linear2)


def _convolution(graph: Graph, layer: ConvolutionModule, x: Value, within: Value) -> Value:
    wide = graph.linear(x, layer.pointwise_conv1)
    dim = layer.pointwise_conv2.in_features
    passed, gate = graph.ops("Split", 2, wide, [dim] * 2, axis=-1)
    gated = graph.op("Mul", passed, graph.op("Sigmoid", gate))
    hidden = _depthwise(graph, layer.depthwise_conv, gated, within)
    if isinstance(layer.norm, MaskedBatchNorm):
        assert layer.norm.running_var is not None
        assert layer.norm.running_mean is not None
        scale = torch.rsqrt(layer.norm.running_var + layer.norm.eps) * layer.norm.weight
        shift = layer.norm.bias - layer.norm.running_mean * scale
        hidden = graph.op("Add", graph.op("Mul", hidden, scale), shift)
    else:
        assert isinstance(layer.norm, nn.LayerNorm)
        hidden = graph.norm(hidden, layer.norm)
    return graph.linear(graph.silu(hidden), layer.pointwise_conv2)


WRITERS: Mapping[type[Stage], Callable[..., Frames]] = {
    BlstmLayer: _blstm,
    Vgg: _vgg,
    Conv2dSubsampling: _conv2d,
    TransformerLayer: _transformer,
    ConformerLayer: _conformer,
    EBranchformerLayer: _e_branchformer,
}
"""A stage's class -> function that adds its nodes."""
