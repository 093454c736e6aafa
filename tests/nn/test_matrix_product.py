"""Products by oneDNN: equal to float64's to rounding, only where chosen; the choice follows the times."""

import copy
import math
from collections.abc import Callable, Iterator
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asr_topdown.nn import matrix_product

pytestmark = pytest.mark.skipif(
    "onednn" not in matrix_product.libraries(), reason="needs a PyTorch with oneDNN"
)


@pytest.fixture
def by_onednn(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[int, ...]]]:
    """All products of 64 rows and more are oneDNN's; the shapes of those that it has computed."""
    shapes: list[tuple[int, ...]] = []
    linear = matrix_product._linear

    def counted(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        shapes.append((*x.shape, weight.shape[0]))
        return linear(x, weight, bias)

    monkeypatch.setattr(matrix_product, "_linear", counted)
    with matrix_product.installed(matrix_product.choose("onednn")):
        yield shapes


def layouts(rows: int, inputs: int, outputs: int) -> dict[str, tuple[Tensor, Tensor]]:
    torch.manual_seed(rows)
    x, grad, weight = torch.randn(rows, inputs), torch.randn(rows, outputs), torch.randn(outputs, inputs)
    return {name: operands(x, grad, weight) for name, operands in matrix_product.LAYOUTS.items()}


@pytest.mark.parametrize("layout", matrix_product.LAYOUTS)
@pytest.mark.parametrize(
    ("rows", "inputs", "outputs"),
    [(64, 64, 64), (65, 67, 71), (301, 256, 70), (130, 64, 300), (129, 2048, 65), (100, 65, 2048)],
)
def test_a_product_is_float64s_to_rounding(layout: str, rows: int, inputs: int, outputs: int) -> None:
    a, b = layouts(rows, inputs, outputs)[layout]
    exact = a.double() @ b.double()
    bound = 1e-6 * a.shape[1] ** 0.5 * (1 + exact.abs().max())
    bias = torch.randn(b.shape[1])
    with matrix_product.installed(matrix_product.choose("onednn")):
        plain, biased = a @ b, torch.addmm(bias, a, b)
    assert (plain - exact).abs().max() < bound
    assert (biased - (bias + exact)).abs().max() < bound
    assert plain.is_contiguous()
    assert biased.is_contiguous()
    assert not torch.equal(plain, torch.zeros_like(plain))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(130, 96), (3, 50, 96), (2, 3, 40, 96)])
def test_a_linear_layers_three_products_go_to_onednn(
    shape: tuple[int, ...], bias: bool, by_onednn: list[tuple[int, ...]]
) -> None:
    torch.manual_seed(1)
    layer = nn.Linear(96, 80, bias=bias)
    exact = copy.deepcopy(layer).double()
    x = torch.randn(shape, requires_grad=True)
    wide = x.detach().double().requires_grad_()
    layer(x).tanh().sum().backward()
    assert len(by_onednn) == 3
    exact(wide).tanh().sum().backward()
    assert len(by_onednn) == 3
    assert x.grad is not None
    torch.testing.assert_close(x.grad.double(), wide.grad, rtol=1e-4, atol=1e-5)
    for ours, theirs in zip(layer.parameters(), exact.parameters(), strict=True):
        assert ours.grad is not None
        torch.testing.assert_close(ours.grad.double(), theirs.grad, rtol=1e-4, atol=1e-4)


def test_the_derivative_of_a_derivative_is_as_ever(by_onednn: list[tuple[int, ...]]) -> None:
    torch.manual_seed(1)
    weight, x = torch.randn(64, 70), torch.randn(65, 70)

    def twice(weight: Tensor, x: Tensor) -> Tensor:
        weight = weight.clone().requires_grad_()
        (slope,) = torch.autograd.grad(F.linear(x, weight).tanh().sum(), weight, create_graph=True)
        (second,) = torch.autograd.grad(slope.square().mean(), weight)
        return second

    exact = twice(weight.double(), x.double())
    assert not by_onednn
    torch.testing.assert_close(twice(weight, x).double(), exact, rtol=1e-3, atol=1e-5)
    assert len(by_onednn) >= 4


def test_gradcheck_in_float64_does_not_notice(by_onednn: list[tuple[int, ...]]) -> None:
    x = torch.randn(64, 64, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(64, 64, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(F.linear, (x, weight), fast_mode=True)
    assert torch.autograd.gradgradcheck(F.linear, (x, weight), fast_mode=True)
    assert not by_onednn


def others() -> dict[str, Callable[[], Tensor]]:
    torch.manual_seed(3)
    a, b, bias = torch.randn(128, 128), torch.randn(128, 128), torch.randn(128)
    long = torch.randn(64, 2049)
    big = torch.randn(256, 256)
    layer = nn.Linear(128, 128)

    def autocast() -> Tensor:
        layer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            layer(a).sum().backward()
        assert layer.weight.grad is not None
        return layer.weight.grad

    return {
        "few rows": lambda: a[:63] @ b,
        "few columns": lambda: a @ b[:, :63].contiguous(),
        "few products to add": lambda: a[:, :63].contiguous() @ b[:63],
        "no rows": lambda: F.linear(a[:0], b, bias),
        "float64": lambda: a.double() @ b.double(),
        "bfloat16": lambda: a.bfloat16() @ b.bfloat16(),
        "autocast": autocast,
        "a block of a weight": lambda: F.linear(a, big[:128, :128], bias),
        "a block of the rows": lambda: big[:128, :128] @ b,
        "both transposed": lambda: a.T @ b.T,
        "long rows": lambda: a[:, :64].contiguous() @ long,
        "long columns": lambda: long.T @ a[:64],
        "scaled": lambda: torch.addmm(bias, a, b, beta=0.5, alpha=2),
        "a matrix added": lambda: torch.addmm(a, a, b),
        "a number added": lambda: torch.addmm(bias[:1], a, b),
        "batches": lambda: torch.bmm(a[None], b[None]),
        "by out": lambda: torch.mm(a, b, out=torch.empty(128, 128)),
    }


@pytest.mark.parametrize("what", others())
def test_what_is_left_to_pytorch_is_the_same_bit_for_bit(what: str, by_onednn: list[tuple[int, ...]]) -> None:
    ours = others()[what]()
    assert not by_onednn
    assert torch.equal(ours, WITHOUT[what])


WITHOUT = {what: call() for what, call in others().items()}
"""Computed when nothing was installed."""


def test_the_size_decides_within_a_kind(by_onednn: list[tuple[int, ...]]) -> None:
    a, b = layouts(128, 64, 64)["forward"]
    with matrix_product.installed({"forward 64": 128 * 64 * 64}):
        by_onednn.clear()
        a @ b
        assert by_onednn == [(128, 64, 64)]
    choices = {"forward 64": 128 * 64 * 64, "input gradient 256": 1}
    assert matrix_product.goes_to_onednn(choices, a, b)
    assert not matrix_product.goes_to_onednn(choices, a[:127], b)
    assert not matrix_product.goes_to_onednn(choices, *layouts(128, 64, 64)["input gradient"])
    assert matrix_product.goes_to_onednn(choices, *layouts(256, 256, 256)["input gradient"])
    assert not matrix_product.goes_to_onednn(choices, *layouts(256, 255, 256)["input gradient"])


def test_pytorchs_kernels_are_back_afterwards_and_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = layouts(128, 64, 64)["forward"]
    before = a @ b
    with pytest.raises(KeyError), matrix_product.installed(matrix_product.choose("onednn")):
        raise KeyError
    monkeypatch.setattr(matrix_product, "_linear", lambda *_: pytest.fail("not installed"))
    assert torch.equal(a @ b, before)
    for library in ("torch", "onednn"):  # and with nothing chosen nothing is installed
        choices = {} if library == "torch" else matrix_product.choose(library)
        kernel = torch.library.get_kernel("aten::mm", "CPU")
        with matrix_product.installed(choices):
            now = torch.library.get_kernel("aten::mm", "CPU")
        assert (str(now) == str(kernel)) == (library == "torch")


@pytest.mark.slow
def test_a_compiled_layer_gives_the_same(by_onednn: list[tuple[int, ...]]) -> None:
    layer = nn.Linear(64, 64)
    compiled = torch.compile(copy.deepcopy(layer), backend="aot_eager")
    x = torch.randn(70, 64)
    for one in (layer, compiled):
        one(x).tanh().sum().backward()
    torch.testing.assert_close(compiled(x), layer(x))
    for ours, theirs in zip(compiled.parameters(), layer.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


# --- the choice --------------------------------------------------------------------------------------


class Machine:
    """Makes up the seconds of products: its rates are multiplications per second.

    Args:
        onednn: its rate; PyTorch's is 1e11.
        prepare: seconds that oneDNN needs once for each shape.
        noise: what the n-th measurement is multiplied by.
    """

    def __init__(
        self, onednn: float, prepare: float = 0.0, noise: Callable[[int], float] = lambda number: 1.0
    ) -> None:
        self.onednn, self.prepare, self.noise = onednn, prepare, noise
        self.seen: set[object] = set()
        self.calls = 0

    def __call__(self, call: Callable[[], object]) -> float:
        assert isinstance(call, partial)
        a, b = call.args
        multiplications = len(a) * b.numel()
        self.calls += 1
        if call.func is torch.mm:
            return self.noise(self.calls) * multiplications / 1e11
        shape = (a.shape, a.stride(), b.shape, b.stride())
        prepare = 0.0 if shape in self.seen else self.prepare
        self.seen.add(shape)
        return self.noise(self.calls) * (prepare + multiplications / self.onednn)


ALL = {f"{layout} {width}" for layout in matrix_product.LAYOUTS for width in matrix_product.WIDTHS}
ONE_KIND = 3 * (matrix_product.ROUNDS + 1)


@pytest.mark.parametrize("ratio", [0.3, 1.0, 1.19])
def test_without_a_clear_gain_nothing_is_chosen_and_one_kind_measured(ratio: float) -> None:
    machine = Machine(ratio * 1e11)
    assert matrix_product.measure(machine) == {}
    assert machine.calls == ONE_KIND


def test_with_a_clear_gain_every_kind_is_chosen() -> None:
    machine = Machine(1.21e11)
    assert matrix_product.measure(machine) == dict.fromkeys(ALL, matrix_product.LEAST)
    assert machine.calls == 6 * ONE_KIND


def test_a_product_must_be_worth_the_preparation() -> None:
    """With 2.2 times the rate and 0.6 ms: size / 1e11 = 1.2 (size / 2.2e11 + 6e-4), rounded up."""
    exact = 1.2 * 6e-4 / (1e-11 - 1.2 / 2.2e11)
    least = 2 ** math.ceil(math.log2(exact))
    assert least == 2**28
    assert matrix_product.measure(Machine(2.2e11, 6e-4)) == dict.fromkeys(ALL, least)


def test_one_kind_that_is_slow_is_left_out() -> None:
    machine = Machine(2.2e11)

    def timer(call: Callable[[], object]) -> float:
        assert isinstance(call, partial)
        slow = call.func is not torch.mm and not call.args[0].is_contiguous()
        return machine(call) * (3 if slow else 1)

    assert set(matrix_product.measure(timer)) == {kind for kind in ALL if not kind.startswith("weight")}


def test_noise_that_spares_one_round_changes_nothing() -> None:
    def noise(number: int) -> float:
        return 1.0 if (number - 1) // 3 % (matrix_product.ROUNDS + 1) == 3 else 1.0 + number * 7 % 5

    assert matrix_product.measure(Machine(1e11, noise=noise)) == {}
    assert set(matrix_product.measure(Machine(1.5e11, noise=noise))) == ALL


def test_what_cannot_be_done_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix_product, "libraries", lambda: ["torch"])
    with pytest.raises(ValueError, match=r"run\.matrix_product: this PyTorch has no oneDNN, got onednn"):
        matrix_product.choose("onednn")
    assert matrix_product.choose("torch") == {}
    matrix_product._measured.cache_clear()
    assert matrix_product.choose("auto") == {}
    matrix_product._measured.cache_clear()


def test_choices_are_described_with_their_thresholds() -> None:
    assert matrix_product.described({}) == "torch"
    told = matrix_product.described({"forward 256": 2**27, "weight gradient 64": 2**28})
    assert told == (
        "oneDNN (forward 256 from 134,217,728 multiplications, weight gradient 64 from 268,435,456 "
        "multiplications), otherwise torch"
    )


def test_the_rates_of_square_products() -> None:
    rates = matrix_product.rates(64, repeats=1)
    assert set(rates) == {"torch", "onednn"}
    assert min(rates.values()) > 0
    assert set(matrix_product.rates(64, torch.bfloat16, repeats=1)) == {"torch"}
    ticks = iter(range(100))
    assert set(matrix_product.rates(64, repeats=2, clock=lambda: next(ticks)).values()) == {2.0 * 64**3}
