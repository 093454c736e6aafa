"""A device that is not the CPU, for machines that have no other: it computes on the CPU and keeps count.

Its tensors say that they are on `elsewhere:0`, and PyTorch goes the ways with them that it goes with a GPU's:
fused cells, autocast, a backward pass in a thread of its own. Like a GPU it refuses to mix them with tensors
of the CPU, and it notes whatever would make a GPU's host wait: numbers read back, results whose size depends
on numbers, copies from memory that is not pinned.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _DummyBackendModule, _setup_privateuseone_for_python_backend

aten = torch.ops.aten
NAME = "elsewhere"

# Read one number or all of them, or have results of a size that only their numbers tell.
WAITING = {
    "_local_scalar_dense", "equal", "nonzero", "masked_select", "_unique2", "unique_dim",
    "unique_consecutive", "bincount", "histc",
}  # fmt: skip
# Take some of their tensors on the CPU, as on a GPU.
WITH_HOST_TENSORS = {
    "_ctc_loss", "_ctc_loss_backward", "_pack_padded_sequence", "_pack_padded_sequence_backward",
    "_pad_packed_sequence",
}  # fmt: skip

IN_LOWER_PRECISION = (
    "linear", "matmul", "mm", "addmm", "bmm", "baddbmm", "conv1d", "conv2d", "scaled_dot_product_attention",
    "_thnn_fused_lstm_cell",
)  # fmt: skip
_LIBRARIES: list[torch.library.Library] = []  # what they register goes with them


class _Backend(_DummyBackendModule):  # type: ignore[misc]
    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16, torch.float16]


class Elsewhere(torch.Tensor):
    """A tensor of the device, around one of the CPU."""

    raw: Tensor

    @staticmethod
    def __new__(cls, raw: Tensor) -> "Elsewhere":
        outside = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            raw.shape,
            strides=raw.stride(),
            storage_offset=raw.storage_offset(),
            dtype=raw.dtype,
            device=torch.device(NAME, 0),
        )
        outside.raw = raw
        return outside  # type: ignore[no-any-return]

    def __repr__(self) -> str:  # type: ignore[override]
        return f"Elsewhere({self.raw!r})"

    def tolist(self) -> Any:
        """Numbers, for which one waits."""
        WAITS.append("tolist")
        return self.raw.tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


class _Mode(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if kwargs.get("pin_memory"):
            return _pin(func(*args, **{**kwargs, "pin_memory": False}))
        there = any(isinstance(leaf, Elsewhere) for leaf in tree_leaves((args, kwargs)))
        return _run(func, args, kwargs) if there or _is_there(kwargs.get("device")) else func(*args, **kwargs)


WAITS: list[str] = []
_PINNED: list[Tensor] = []  # kept, so that no other tensor gets their memory


@contextlib.contextmanager
def device() -> Iterator[torch.device]:
    """The device, as long as this is open; `WAITS` then says what has made it wait."""
    if torch._C._get_privateuse1_backend_name() != NAME:
        _setup_privateuseone_for_python_backend(NAME, _Backend())
        _set_up_autocast()
    WAITS.clear()
    _PINNED.clear()
    with (
        mock.patch.object(torch.Tensor, "pin_memory", _pin),
        mock.patch.object(torch, "tensor", functools.partial(_tensor, torch.tensor)),
        mock.patch.object(torch.cuda, "Event"),
        _Mode(),
    ):
        yield torch.device(NAME, 0)


@contextlib.contextmanager
def no_waits() -> Iterator[None]:
    """What runs in here must not make the device wait."""
    WAITS.clear()
    yield
    assert WAITS == [], f"would make a GPU wait: {WAITS}"


def _set_up_autocast() -> None:
    """Products in the lower precision, all else in whatever comes in."""
    everything = torch.library.Library("_", "IMPL")
    everything.fallback(torch.library.fallthrough_kernel, "AutocastPrivateUse1")
    products = torch.library.Library("aten", "IMPL")
    for name in IN_LOWER_PRECISION:
        products.impl(name, _lowered(getattr(aten, name).default), "AutocastPrivateUse1")
    _LIBRARIES.extend([everything, products])


def _lowered(func: Callable[..., Any]) -> Callable[..., Any]:
    def lower(value: Any) -> Any:
        wide = isinstance(value, Tensor) and value.dtype == torch.float32
        return value.to(torch.get_autocast_dtype(NAME)) if wide else value

    def run(*args: Any, **kwargs: Any) -> Any:
        with torch._C._ExcludeDispatchKeyGuard(
            torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastPrivateUse1)
        ):
            return func(*tree_map(lower, args), **tree_map(lower, kwargs))

    return run


def _tensor(make: Callable[..., Tensor], data: Any, **kwargs: Any) -> Tensor:
    """`torch.tensor`, which copies from the CPU where no mode sees it."""
    device = kwargs.pop("device", None)
    made = make(data, **kwargs)
    return made.to(device) if _is_there(device) else made


def _pin(tensor: Tensor) -> Tensor:
    _PINNED.append(tensor.clone())
    return _PINNED[-1]


def _is_pinned(tensor: Tensor) -> bool:
    return any(one.untyped_storage().data_ptr() == tensor.untyped_storage().data_ptr() for one in _PINNED)


def _is_there(device: Any) -> bool:
    return device is not None and torch.device(device).type == NAME


def _run(func: Any, args: Any, kwargs: Any) -> Any:
    name = func.__name__.split(".")[0]
    if name in ("_to_copy", "copy_"):
        return _copy(func, name, args, kwargs)
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    foreign = [one for one in tensors if not isinstance(one, Elsewhere) and one.dim()]
    if foreign and name not in WITH_HOST_TENSORS:
        raise RuntimeError(f"{name}: all tensors must be on one device, got {NAME} and {foreign[0].device}")
    if name in WAITING or (name == "repeat_interleave" and kwargs.get("output_size") is None):
        WAITS.append(name)
    if name == "_ctc_loss" and any(isinstance(one, Elsewhere) for one in args[2:4]):
        WAITS.append("lengths of CTC")
    if name in ("index", "index_put", "index_put_") and any(
        one is not None and one.dtype == torch.bool for one in args[1]
    ):
        WAITS.append(f"{name} by booleans")
    result = _on_the_cpu(func, name, args, kwargs)
    if name in ("_pack_padded_sequence", "_pad_packed_sequence"):  # sizes are given, and left, on the CPU
        return _inside(result[0]), result[1]
    if "out" in kwargs or not func._schema.returns:
        return kwargs.get("out")
    return args[0] if name.endswith("_") and not name.endswith("__") else tree_map(_inside, result)


def _on_the_cpu(func: Any, name: str, args: Any, kwargs: Any) -> Any:
    kwargs = {key: value for key, value in kwargs.items() if key not in ("device", "pin_memory")}
    if "device" in [argument.name for argument in func._schema.arguments]:
        kwargs["device"] = torch.device("cpu")
    return KERNELS.get(name, func)(*tree_map(_outside, args), **tree_map(_outside, kwargs))


def _copy(func: Any, name: str, args: Any, kwargs: Any) -> Any:
    target = args[0] if name == "copy_" else kwargs.get("device")
    source = args[1] if name == "copy_" else args[0]
    ahead = kwargs.get("non_blocking", args[2] if len(args) > 2 else False)
    came = isinstance(source, Elsewhere)
    if isinstance(target, Tensor):
        to = isinstance(target, Elsewhere)
    else:
        to = came if target is None else _is_there(target)
    host = source if to else target
    if to != came and not (ahead and isinstance(host, Tensor) and _is_pinned(host)) and source.dim():
        WAITS.append(f"copy {'to' if to else 'from'} the device")
    if name == "copy_":
        _outside(target).copy_(_outside(source))
        return target
    plain = {key: value for key, value in kwargs.items() if key not in ("device", "non_blocking")}
    moved = func(_outside(source), **plain)
    return _inside(moved) if to else moved


def _inside(value: Any) -> Any:
    return Elsewhere(value) if isinstance(value, Tensor) else value


def _outside(value: Any) -> Any:
    return value.raw if isinstance(value, Elsewhere) else value


def _lstm_cell(
    inputs: Tensor, hidden: Tensor, cell: Tensor, input_bias: Any = None, hidden_bias: Any = None
) -> tuple[Tensor, Tensor, Tensor]:
    """What PyTorch has for GPUs alone: gates (N, 4 H) from the input and the state, cells (N, H)."""
    gates = inputs + hidden
    if input_bias is not None:
        gates = gates + input_bias + hidden_bias
    enter, keep, new, leave = gates.chunk(4, 1)
    workspace = torch.cat([enter.sigmoid(), keep.sigmoid(), new.tanh(), leave.sigmoid()], 1)
    enter, keep, new, leave = workspace.chunk(4, 1)
    after = keep * cell + enter * new
    return leave * after.tanh(), after, workspace


def _lstm_cell_backward(
    grad_hidden: Any, grad_cell: Any, before: Tensor, after: Tensor, workspace: Tensor, has_bias: bool
) -> tuple[Tensor, Tensor, Any]:
    """Gradients of the gates, of the cells before, and of a bias."""
    enter, keep, new, leave = workspace.chunk(4, 1)
    bent = after.tanh()
    cells = torch.zeros_like(after) if grad_cell is None else grad_cell
    if grad_hidden is not None:
        cells = cells + grad_hidden * leave * (1 - bent * bent)
    outer = torch.zeros_like(after) if grad_hidden is None else grad_hidden * bent
    gates = torch.cat(
        [
            cells * new * enter * (1 - enter),
            cells * before * keep * (1 - keep),
            cells * enter * (1 - new * new),
            outer * leave * (1 - leave),
        ],
        1,
    )
    return gates, cells * keep, gates.sum(0) if has_bias else None


KERNELS: dict[str, Callable[..., Any]] = {
    "_thnn_fused_lstm_cell": _lstm_cell,
    "_thnn_fused_lstm_cell_backward_impl": _lstm_cell_backward,
}
