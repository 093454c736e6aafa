"""Building an ONNX graph node by node, with the layers common to all networks."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor, nn

OPSET, IR_VERSION = 17, 8
"""LayerNormalization came with 17; onnxruntime reads both since 1.12 (2022)."""

Value = str
"""The name of a node's output."""
_FROM_HERE_ON = np.iinfo(np.int64).max


class Graph:
    """Nodes and constants in the order of their creation.

    Methods return the names of values; arrays, numbers and PyTorch tensors become constants.
    """

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def op(self, kind: str, *inputs: "Value | Constant", **attributes: Any) -> Value:
        """Add a node with one output."""
        (output,) = self.ops(kind, 1, *inputs, **attributes)
        return output

    def ops(self, kind: str, outputs: int, *inputs: "Value | Constant", **attributes: Any) -> list[Value]:
        """Add a node with several outputs."""
        from onnx import helper

        names = [value if isinstance(value, str) else self.constant(value) for value in inputs]
        made = [f"{kind.lower()}_{len(self.nodes)}_{number}" for number in range(outputs)]
        self.nodes.append(helper.make_node(kind, names, made, **attributes))
        return made

    def constant(self, value: "Constant") -> Value:
        """Add a constant; Python floats become float32, integers other than int32 become int64."""
        from onnx import numpy_helper

        array = value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)
        if np.issubdtype(array.dtype, np.integer) and array.dtype != np.int32:
            array = array.astype(np.int64)
        elif type(value) is float:
            array = array.astype(np.float32)
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def size(self, value: Value, axis: int) -> Value:
        """Return the size of an axis, (1,) int64."""
        return self.op("Gather", self.op("Shape", value), [axis])

    def reshape(self, value: Value, *shape: int) -> Value:
        """Reshape; 0 keeps an axis, -1 infers it."""
        return self.op("Reshape", value, list(shape))

    def mask(self, frames: Value, lengths: Value) -> Value:
        """Return (B, T) booleans, true within each length, for (B, T, …) frames."""
        end = self.op("Squeeze", self.size(frames, 1), [0])
        return self.op(
            "Less", self.op("Range", np.int64(0), end, np.int64(1)), self.op("Unsqueeze", lengths, [1])
        )

    def every(self, value: Value, step: int) -> Value:
        """Take every `step`-th frame of (B, T, …)."""
        return value if step == 1 else self.op("Slice", value, [0], [_FROM_HERE_ON], [1], [step])

    def linear(self, x: Value, layer: nn.Linear) -> Value:
        """Add a linear layer."""
        product = self.op("MatMul", x, layer.weight.t())
        return product if layer.bias is None else self.op("Add", product, layer.bias)

    def norm(self, x: Value, layer: nn.LayerNorm) -> Value:
        """Add a layer normalisation over the last axis."""
        return self.op("LayerNormalization", x, layer.weight, layer.bias, axis=-1, epsilon=layer.eps)

    def conv(self, x: Value, layer: nn.Conv1d | nn.Conv2d, **attributes: Any) -> Value:
        """Add a convolution; `attributes` are ONNX's (pads, strides, group)."""
        bias = () if layer.bias is None else (layer.bias,)
        return self.op("Conv", x, layer.weight, *bias, **attributes)

    def silu(self, x: Value) -> Value:
        """Compute x sigmoid(x)."""
        return self.op("Mul", x, self.op("Sigmoid", x))

    def gelu(self, x: Value) -> Value:
        """Compute x / 2 (1 + erf(x / sqrt 2)); the Gelu node came with opset 20."""
        area = self.op("Add", self.op("Erf", self.op("Mul", x, np.float32(math.sqrt(0.5)))), np.float32(1))
        return self.op("Mul", self.op("Mul", x, np.float32(0.5)), area)

    def ceil_divided(self, lengths: Value, by: int) -> Value:
        """Divide lengths and round up."""
        return lengths if by == 1 else self.op("Div", self.op("Add", lengths, by - 1), by)


Constant = Tensor | np.ndarray | np.generic | Sequence[int] | int | float
