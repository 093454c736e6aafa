"""Which library computes float32 matrix products on a CPU: PyTorch's own, or oneDNN where clearly faster.

PyTorch hands `mm` to the BLAS that it was built with, as a rule MKL, which leaves half of some processors
unused. oneDNN, which is in the same wheel, has a product of its own. `measure` finds out which of them is
faster here, `installed` replaces PyTorch's CPU kernels of `mm` and `addmm` accordingly. There, below autograd
and autocast, all products pass: forward and backward, of our layers, of pretrained encoders and of adapters.
Modules, their parameters, the formulas of derivatives, and products in other formats do not notice. What
`torch.compile` generates calls other variants of the kernels, and keeps PyTorch's.

Left to PyTorch are, besides small products:

- operands that are neither dense nor the transpose of a dense matrix, such as a block of a larger weight, for
  which oneDNN falls back on a reference kernel a thousand times as slow;
- operands that are read across rows of more than `LONGEST` numbers, which takes oneDNN up to twice the time;
- batches of products (`bmm`): PyTorch has no public call of oneDNN's in float32, and one call for each matrix
  takes twice the time of MKL's.

With convolutions it can be the other way round: the gradients of their weights are oneDNN's, unless products
are clearly faster (`nn.convolution_gradient`).
"""

import contextlib
import functools
import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from asr_topdown.nn.convolution_gradient import applies, is_faster, occurs_in, weight_gradient

Choices = Mapping[str, int]
"""Kind of product, as `_kind` names it -> the least number of multiplications that oneDNN computes.

`CONVOLUTIONS` -> the same for the gradients that matrix products compute in oneDNN's place.
"""
CONVOLUTIONS = "convolutions' weight gradient"

LAYOUTS: Mapping[str, Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]] = {
    "forward": lambda x, grad, weight: (x, weight.T),
    "input gradient": lambda x, grad, weight: (grad, weight),
    "weight gradient": lambda x, grad, weight: (grad.T, x),
}
"""The three products of a linear layer, which differ in what is transposed."""
WIDTHS = (256, 64)
"""A product belongs to the first that none of its three dimensions is below; below all, it is small."""
LONGEST = 2048
SIZE, LEAST = 2**27, 2**24
"""Numbers of multiplications: of what is measured, in some milliseconds, and the fewest that oneDNN gets."""
ROUNDS, MARGIN = 5, 1.2
"""PyTorch's own way is replaced if another's shortest time in `ROUNDS` rounds is this many times as short."""

Timer = Callable[[Callable[[], object]], float]


def libraries() -> list[str]:
    """Return those that this PyTorch has: torch, and onednn."""
    has_onednn = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    return ["torch", "onednn"] if has_onednn else ["torch"]


def choose(library: str, model: nn.Module | None = None) -> Choices:
    """Return what `installed` takes: for torch, onednn (all but small products), or auto, as measured here.

    Args:
        library: which of them.
        model: the network that is to be trained; auto measures convolutions too if it has any.

    Raises:
        ValueError: for onednn, if this PyTorch is built without it.
    """
    if library == "auto":
        return _measured(torch.get_num_threads(), convolutions=model is not None and occurs_in(model))
    if library not in libraries():
        raise ValueError(f"run.matrix_product: this PyTorch has no oneDNN, got {library}: try auto")
    return {} if library == "torch" else {f"{layout} {width}": 1 for width in WIDTHS for layout in LAYOUTS}


@functools.cache
def _measured(threads: int, convolutions: bool) -> Choices:
    if "onednn" not in libraries():
        return {}
    choices = dict(measure())
    if convolutions and is_faster(_timer(), MARGIN):
        choices[CONVOLUTIONS] = LEAST
    return choices


def described(choices: Choices) -> str:
    """Describe the choices for logs and records."""
    kinds = [
        f"{kind} from {least:,} multiplications" for kind, least in choices.items() if kind != CONVOLUTIONS
    ]
    products = f"oneDNN ({', '.join(kinds)}), otherwise torch" if kinds else "torch"
    return f"{products}; also of {CONVOLUTIONS}" if CONVOLUTIONS in choices else products


@contextlib.contextmanager
def installed(choices: Choices) -> Iterator[None]:
    """Let oneDNN compute the products that `choices` names, and products what it says of convolutions.

    Without any, change nothing.
    """
    routed: dict[str, Callable[..., Any]] = {}
    if choices.keys() - {CONVOLUTIONS}:
        routed |= _routed_products(choices)
    if CONVOLUTIONS in choices:
        routed["convolution_backward"] = _routed_convolution(choices[CONVOLUTIONS])
    if not routed:
        yield
        return
    kernels = torch.library.Library("aten", "IMPL")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"[\s\S]*Overriding a previously registered kernel", UserWarning)
        for name, kernel in routed.items():
            kernels.impl(name, kernel, "CPU", with_keyset=True, allow_override=True)
    try:
        yield
    finally:
        del kernels  # brings the former ones back


def _routed_products(choices: Choices) -> dict[str, Callable[..., Any]]:
    mm = torch.library.get_kernel("aten::mm", "CPU")
    addmm = torch.library.get_kernel("aten::addmm", "CPU")

    def routed_mm(keys: Any, a: Tensor, b: Tensor) -> Any:
        return by_onednn(a, b) if goes_to_onednn(choices, a, b) else mm.call_boxed(keys, a, b)

    def routed_addmm(keys: Any, bias: Tensor, a: Tensor, b: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Any:
        if beta == 1 and alpha == 1 and bias.shape == b.shape[1:] and goes_to_onednn(choices, a, b):
            return by_onednn(a, b, bias)
        return addmm.call_boxed(keys, bias, a, b, beta=beta, alpha=alpha)

    return {"mm": routed_mm, "addmm": routed_addmm}


def _routed_convolution(least: int) -> Callable[..., Any]:
    backward = torch.library.get_kernel("aten::convolution_backward", "CPU")

    def routed(keys: Any, grad: Tensor, image: Tensor, weight: Tensor, *rest: Any) -> Any:
        _, stride, padding, dilation, transposed, _, groups, (for_image, for_weight, for_bias) = rest
        plain = set(dilation) == {1} and not transposed and groups == 1
        large = grad[:, :1].numel() * weight.numel() >= least
        if not (for_weight and plain and large and applies(image, weight, stride, padding)):
            return backward.call_boxed(keys, grad, image, weight, *rest)
        # For the bias PyTorch has oneDNN compute the weight's gradient as well.
        d_image, _, _ = backward.call_boxed(keys, grad, image, weight, *rest[:-1], (for_image, False, False))
        d_bias = grad.sum((0, 2, 3)) if for_bias else None
        return d_image, weight_gradient(image, grad, weight.shape[2:]), d_bias

    return routed


def goes_to_onednn(choices: Choices, a: Tensor, b: Tensor) -> bool:
    """Return whether `installed` has oneDNN compute a @ b."""
    if a.shape[0] < WIDTHS[-1] or a.dtype != torch.float32 or b.dtype != torch.float32:
        return False
    least = choices.get(_kind(a, b))
    return least is not None and a.shape[0] * b.numel() >= least


def _kind(a: Tensor, b: Tensor) -> str:
    """Name the layout and the width, as in "forward 256"; "" for what is left to PyTorch."""
    narrowest = min(*a.shape, b.shape[1])
    width = next((width for width in WIDTHS if narrowest >= width), None)
    layout = None
    if a.is_contiguous() and b.T.is_contiguous():
        layout = "forward"
    elif b.is_contiguous() and b.shape[1] <= LONGEST:
        if a.is_contiguous():
            layout = "input gradient"
        elif a.T.is_contiguous() and len(a) <= LONGEST:
            layout = "weight gradient"
    return f"{layout} {width}" if layout and width else ""


def by_onednn(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return a @ b + bias: (M, K) and (K, N) -> (M, N), contiguous; `bias` is (N,).

    oneDNN multiplies rows that are contiguous. Of a weight gradient, it is cheaper to make either `a` so, or
    both `b` transposed and the product.
    """
    if bias is None and not a.is_contiguous() and b.numel() + len(a) * b.shape[1] < a.numel():
        return _linear(b.T, a, None).T.contiguous()
    return _linear(a, b.T, bias)


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return out


# --- measuring ---------------------------------------------------------------------------------------


def measure(timer: Timer | None = None) -> Choices:
    """Compare the libraries, one kind of product after the other.

    If the first, the most favourable one, does not pay, nothing more is tried: this costs some hundredths
    of a second, all kinds together some tenths.

    Args:
        timer: the seconds that a call takes; None = by `clock`.
    """
    timer = timer or _timer()
    choices: dict[str, int] = {}
    for width in WIDTHS:
        for layout in LAYOUTS:
            least = _least_size(layout, width, timer)
            if least is not None:
                choices[f"{layout} {width}"] = least
            if not choices:
                return choices
    return choices


def _least_size(layout: str, width: int, timer: Timer) -> int | None:
    """Return the size from which on oneDNN is clearly faster, a power of two; None if it never is.

    Before oneDNN computes the first product of a shape, it prepares code for it, which may take as long as a
    small product. Every product is counted as the first of its shape, as it is when lengths are ragged.
    """
    rows = SIZE // width**2
    x, grad, weight = torch.ones(rows, width), torch.ones(rows, width), torch.ones(width, width)
    rounds = []
    for number in range(ROUNDS + 1):
        a, b = LAYOUTS[layout](x[number:], grad[number:], weight)
        calls = [functools.partial(torch.mm, a, b), *2 * [functools.partial(by_onednn, a, b)]]
        rounds.append([timer(call) for call in calls])
    torch_s, first_s, again_s = map(min, zip(*rounds[1:], strict=True))  # the first warms up
    gain = torch_s - MARGIN * again_s
    if gain <= 0:
        return None
    size = SIZE * MARGIN * max(0.0, first_s - again_s) / gain
    return int(2 ** math.ceil(math.log2(max(LEAST, size))))


def _timer() -> Timer:
    return functools.partial(seconds, clock=clock())


def clock() -> Callable[[], float]:
    """Return the thread's processor time with one thread, which other work disturbs least; else wall time."""
    return time.thread_time if torch.get_num_threads() == 1 else time.perf_counter


def seconds(
    call: Callable[[], object], device: str = "cpu", clock: Callable[[], float] = time.perf_counter
) -> float:
    """Time one call, until the device has finished it."""
    finish = torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    finish()
    started = clock()
    call()
    finish()
    return clock() - started


def rates(
    size: int,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
    *,
    repeats: int = 10,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Measure the FLOP/s of a product of square matrices with each library, the best of `repeats`.

    The highest is the rate to compare other work with. Only float32 on a CPU has two libraries.
    """
    a, b = (torch.ones(size, size, dtype=dtype, device=device) for _ in "ab")
    calls: dict[str, Callable[[], object]] = {"torch": lambda: a @ b}
    if dtype == torch.float32 and device == "cpu" and "onednn" in libraries():
        calls["onednn"] = lambda: by_onednn(a, b)
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(repeats + 1):
        for name, call in calls.items():
            taken = seconds(call, device, clock)
            if number:  # the first call chooses a kernel
                times[name].append(taken)
    return {name: 2 * size**3 / min(values) for name, values in times.items()}
