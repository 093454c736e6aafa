"""The gradient of a convolution's weight by matrix products: float64's to rounding, only where it applies."""

import copy
import itertools
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from asr_topdown.nn import convolution_gradient, matrix_product
from asr_topdown.nn.vgg import Vgg

ALWAYS = {matrix_product.CONVOLUTIONS: 1}


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The images' shapes for which the products were asked."""
    shapes: list[tuple[int, ...]] = []
    ours = convolution_gradient.weight_gradient

    def counted(image: Tensor, grad: Tensor, taps: tuple[int, ...]) -> Tensor:
        shapes.append(tuple(image.shape))
        return ours(image, grad, taps)

    monkeypatch.setattr(matrix_product, "weight_gradient", counted)
    return shapes


def image_of(*shape: int) -> Tensor:
    torch.manual_seed(sum(shape))
    return torch.randn(*shape).contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 5, 3), (3, 40, 11), (1, 90, 83)])
@pytest.mark.parametrize("taps", [(3, 3), (1, 1), (5, 3), (1, 7)])
@pytest.mark.parametrize("rows", [7, 4096])
def test_the_gradient_is_float64s(
    shape: tuple[int, int, int], taps: tuple[int, int], rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convolution_gradient, "ROWS", rows)
    batch, time, size = shape
    image, grad = image_of(batch, 4, time, size), image_of(batch, 6, time, size)
    weight = torch.zeros(6, 4, *taps, dtype=torch.float64, requires_grad=True)
    out = nn.functional.conv2d(image.double(), weight, padding=(taps[0] // 2, taps[1] // 2))
    (exact,) = torch.autograd.grad(out, weight, grad.double())
    found = convolution_gradient.weight_gradient(image, grad, taps)
    assert found.is_contiguous()
    assert (found - exact).abs().max() < 3e-6 * (1 + exact.abs().max())


def test_a_vgg_front_end_learns_the_same_by_products(computed: list[tuple[int, ...]]) -> None:
    """For all convolutions but the first, whose input has too few channels; and only in float32."""
    torch.manual_seed(1)
    front = Vgg(input_size=20, channels=1, filters=[32, 64])
    exact = copy.deepcopy(front).double()
    x, lengths = torch.randn(2, 23, 20, requires_grad=True), torch.tensor([23, 17])
    wide = x.detach().double().requires_grad_()
    with matrix_product.installed(ALWAYS):
        front(x, lengths)[0].square().sum().backward()
        assert computed == [(2, 64, 12, 10), (2, 32, 12, 10), (2, 32, 23, 20)]
        exact(wide, lengths)[0].square().sum().backward()
    assert len(computed) == 3
    assert x.grad is not None
    torch.testing.assert_close(x.grad.double(), wide.grad, rtol=1e-4, atol=1e-5)
    for ours, theirs in zip(front.parameters(), exact.parameters(), strict=True):
        assert ours.grad is not None
        torch.testing.assert_close(ours.grad.double(), theirs.grad, rtol=1e-4, atol=1e-4)


OTHERS: dict[str, tuple[nn.Module, Callable[[Tensor], Tensor]]] = {
    "stride": (nn.Conv2d(32, 32, 3, stride=2, padding=1), lambda x: x),
    "no padding": (nn.Conv2d(32, 32, 3), lambda x: x),
    "even": (nn.Conv2d(32, 32, 4, padding=2), lambda x: x),
    "dilated": (nn.Conv2d(32, 32, 3, padding=1, dilation=2), lambda x: x),
    "groups": (nn.Conv2d(64, 64, 3, padding=1, groups=2), lambda x: x.repeat(1, 2, 1, 1)),
    "few channels": (nn.Conv2d(31, 32, 3, padding=1), lambda x: x[:, :31]),
    "few outputs": (nn.Conv2d(32, 31, 3, padding=1), lambda x: x),
    "channels first": (nn.Conv2d(32, 32, 3, padding=1), lambda x: x.contiguous()),
    "transposed": (nn.ConvTranspose2d(32, 32, 3, padding=1), lambda x: x),
    "one dimension": (nn.Conv1d(32, 32, 3, padding=1), lambda x: x[:, :, 0]),
    "bfloat16": (nn.Conv2d(32, 32, 3, padding=1).bfloat16(), lambda x: x.bfloat16()),
    "frozen": (nn.Conv2d(32, 32, 3, padding=1).requires_grad_(False), lambda x: x.requires_grad_()),
}


@pytest.mark.parametrize("what", OTHERS)
def test_what_is_left_to_pytorch_is_the_same_bit_for_bit(what: str, computed: list[tuple[int, ...]]) -> None:
    layer, prepared = OTHERS[what]

    def gradients() -> list[Tensor]:
        x = prepared(image_of(2, 32, 9, 8).requires_grad_())
        out = layer(x)
        return list(torch.autograd.grad(out.float().square().sum(), [x, *_learnt(layer)]))

    before = gradients()
    with matrix_product.installed(ALWAYS):
        now = gradients()
    assert not computed
    assert all(torch.equal(*pair) for pair in zip(before, now, strict=True))


def _learnt(layer: nn.Module) -> list[nn.Parameter]:
    return [value for value in layer.parameters() if value.requires_grad]


def test_the_size_decides_and_the_kernel_is_back_afterwards(computed: list[tuple[int, ...]]) -> None:
    layer, image = nn.Conv2d(32, 32, 3, padding=1), image_of(1, 32, 5, 4)
    multiplications = 5 * 4 * 32 * 32 * 9
    for least, times in ((multiplications + 1, 0), (multiplications, 1)):
        with matrix_product.installed({matrix_product.CONVOLUTIONS: least}):
            layer(image).sum().backward()
        assert len(computed) == times
    layer(image).sum().backward()
    assert len(computed) == 1
    with matrix_product.installed({"forward 64": 1}):
        layer(image).sum().backward()
    assert len(computed) == 1


@pytest.mark.parametrize(("ratio", "faster"), [(1.19, False), (1.21, True)])
def test_a_clear_gain_is_asked_for_once_both_are_warm(ratio: float, faster: bool) -> None:
    calls = itertools.count()

    def timer(call: Callable[[], object]) -> float:
        """Products take 1, oneDNN's kernel `ratio`; in the first round it takes a hundred times as long."""
        assert isinstance(call, partial)
        if call.func is convolution_gradient.weight_gradient:
            return 1.0
        return ratio * (100 if next(calls) == 0 else 1)

    assert convolution_gradient.is_faster(timer, margin=1.2) is faster


def test_what_is_measured_is_what_is_replaced(computed: list[tuple[int, ...]]) -> None:
    """The kernel and the products that are compared give the same for what is compared."""
    given: list[object] = []

    def timer(call: Callable[[], object]) -> float:
        given.append(call())
        return 1.0

    assert not convolution_gradient.is_faster(timer, margin=1.2)
    kernel, products = given[0][1], given[1]
    torch.testing.assert_close(kernel, products, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize(
    ("layer", "measured"),
    [
        (nn.Conv2d(32, 32, 3, padding=1), True),
        (nn.Conv2d(32, 32, 3, stride=2), False),
        (nn.Conv2d(1, 64, 3, padding=1), False),
        (nn.Linear(64, 64), False),
    ],
)
def test_only_networks_with_convolutions_cost_a_measurement(
    layer: nn.Module, measured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matrix_product, "is_faster", lambda *_: True)
    monkeypatch.setattr(matrix_product, "measure", lambda: {"forward 64": 1})
    matrix_product._measured.cache_clear()
    choices = matrix_product.choose("auto", nn.Sequential(layer))
    matrix_product._measured.cache_clear()
    expected = {matrix_product.CONVOLUTIONS: matrix_product.LEAST} if measured else {}
    assert choices == {"forward 64": 1} | expected
    assert matrix_product.choose("torch", nn.Sequential(layer)) == {}


def test_the_choice_is_told() -> None:
    assert matrix_product.described(ALWAYS) == "torch; also of convolutions' weight gradient"
    told = matrix_product.described({"forward 64": 2**24, **ALWAYS})
    assert told == (
        "oneDNN (forward 64 from 16,777,216 multiplications), otherwise torch; "
        "also of convolutions' weight gradient"
    )
