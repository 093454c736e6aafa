"""Lower precisions: one warning if the hardware lacks them; every loss stays in float32."""

import logging
from collections.abc import Callable
from pathlib import Path

import networks
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from toy_training import trained, trainer

from asr_topdown.data.batch import SpeechBatch
from asr_topdown.losses import ctc_loss, label_loss
from asr_topdown.nn import precision
from asr_topdown.nn.linear_cross_entropy import linear_cross_entropy
from asr_topdown.nn.transducer_loss import transducer_loss

CPU = torch.device("cpu")
LSTM = {"kind": "lstm", "embedding_size": 8, "hidden_size": 16, "attention_size": 8, "location_width": 4}
BLOCKS = {"num_layers": 1, "num_heads": 2, "ffn_dim": 32}
BLSTM = networks.blstm(1, 16, projection_size=16)
TRANSFORMER = [{"kind": "conv2d", "output_size": 16}, {"kind": "transformer", "d_model": 16, **BLOCKS}]
MODELS = {
    "blstm_ctc": networks.blstm_ctc(2, 16),
    "blstm_ctc_attention": {"encoder": [BLSTM], "ctc": {"weight": 0.3}, "attention": LSTM},
    "vgg_ctc_attention": {
        "encoder": [{"kind": "vgg"}, BLSTM],
        "ctc": {"weight": 0.3},
        "attention": {**LSTM, "label_smoothing": 0.1},
    },
    "transformer_ctc_attention": {
        "encoder": TRANSFORMER,
        "ctc": {"weight": 0.3},
        "attention": {"kind": "transformer", **BLOCKS, "label_smoothing": 0.1},
    },
    "transducer": {
        "encoder": TRANSFORMER,
        "ctc": {"weight": 0.3},
        "transducer": {"predictor": {"embedding_size": 8, "hidden_size": 8}, "joiner_size": 8},
    },
}


def hardware(monkeypatch: pytest.MonkeyPatch, *, amx: bool, avx: bool, machine: str = "x86_64") -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx, raising=False)


def test_the_hardware_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for amx, avx, native in ((0, 0, False), (1, 0, True), (0, 1, True), (1, 1, True)):
        hardware(monkeypatch, amx=bool(amx), avx=bool(avx))
        assert precision.has_bfloat16(CPU) == native


@pytest.mark.parametrize("runs", [True, False])
def test_another_processor_has_it_if_an_lstm_runs(runs: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def lstm(*sizes: int) -> Callable[[Tensor], Tensor]:
        torch.rand(1)  # as weights are drawn
        return torch.relu if runs else missing

    def missing(x: Tensor) -> Tensor:
        raise RuntimeError(
            "could not create a primitive descriptor for the LSTM forward propagation primitive"
        )

    hardware(monkeypatch, amx=False, avx=False, machine="aarch64")
    monkeypatch.setattr(precision.nn, "LSTM", lstm)
    precision._runs_lstms.cache_clear()
    before = torch.get_rng_state()
    assert precision.has_bfloat16(CPU) == runs
    assert torch.equal(torch.get_rng_state(), before)
    precision._runs_lstms.cache_clear()
    assert precision.available("bfloat16", CPU) == ("bfloat16" if runs else "float32")
    precision._runs_lstms.cache_clear()
    if not runs:
        assert precision.slowness("bfloat16", CPU).endswith("cpu has no bfloat16: bfloat16 is float32 here")
        precision._runs_lstms.cache_clear()


def test_the_answer_is_the_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    flags = Path("/proc/cpuinfo")
    if not flags.exists() or "flags" not in flags.read_text():
        pytest.skip("needs the flags in /proc/cpuinfo")
    words = set(flags.read_text().split())
    assert precision.has_bfloat16(CPU) == bool(words & {"amx_bf16", "avx512_bf16"})


@pytest.mark.parametrize(
    ("wanted", "native", "lines"), [("bfloat16", 0, 1), ("bfloat16", 1, 0), ("float32", 0, 0)]
)
def test_slow_hardware_is_one_line_of_warning(
    wanted: str,
    native: int,
    lines: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    hardware(monkeypatch, amx=False, avx=bool(native))
    # Without LSTMs, which do not run in bfloat16 on every CPU.
    layers = {"encoder": [{"kind": "transformer", "d_model": 8, **BLOCKS}], "ctc": {}}
    run = trainer(
        tmp_path,
        model=networks.make(layers, features=4, vocab_size=4, seed=1),
        precision=wanted,
        epochs=1,
    )
    with caplog.at_level(logging.WARNING):
        trained(run)
    assert run.precision == (wanted if native else "float32")
    assert caplog.text.count("neither AMX nor AVX512-BF16: bfloat16 is float32 here") == lines
    assert len(caplog.records) == lines


def test_tf32_on_a_cpu_is_said_to_be_float32() -> None:
    assert precision.slowness("tf32", CPU) == "train.precision: cpu has no TF32: tf32 is float32 here"


def test_float16_on_a_cpu_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"train.precision: float16 is for GPUs.*runs on cpu"):
        trained(trainer(tmp_path, precision="float16", epochs=1))


def test_float32_is_float32_on_a_gpu_and_tf32_is_not() -> None:
    both = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [flags.allow_tf32 for flags in both]
    found = {}
    for wanted in ("tf32", "bfloat16", "float32"):
        precision.set_tf32(wanted, torch.device("cuda"))
        found[wanted] = tuple(flags.allow_tf32 for flags in both)
    for flags, value in zip(both, before, strict=True):
        flags.allow_tf32 = value
    assert found == {"tf32": (True, True), "bfloat16": (False, False), "float32": (False, False)}


def test_a_large_vocabularys_slopes_survive_float16() -> None:
    """The mean over 4,000 predictions has slopes below what float16 can hold."""
    hidden = torch.randn(4000, 8, requires_grad=True)
    weight, targets = torch.randn(1000, 8), torch.randint(1000, (4000,))
    exact = torch.autograd.grad(F.cross_entropy(hidden @ weight.T, targets), hidden)[0]
    with torch.autocast("cpu", torch.float16):
        loss = linear_cross_entropy(hidden, weight, torch.zeros(1000), targets)
    half = torch.autograd.grad(loss, hidden)[0]
    torch.testing.assert_close(half, exact, rtol=0.01, atol=0.01 * float(exact.abs().max()))


# --- losses ---------------------------------------------------------------------------------------------


LABELS, FRAMES, COUNTS = torch.tensor([[1, 2, 1], [3, 3, 0]]), torch.tensor([9, 7]), torch.tensor([3, 2])
MASK = torch.tensor([[True, True, True], [True, True, False]])


def rounded(*shape: int) -> Tensor:
    """Log-probabilities as a network in bfloat16 would give them."""
    scores = torch.randn(*shape, generator=torch.Generator().manual_seed(1))
    return scores.log_softmax(-1).to(torch.bfloat16)


def ctc_in_float64(log_probs: Tensor) -> Tensor:
    return F.ctc_loss(log_probs.double().transpose(0, 1), LABELS, FRAMES, COUNTS, reduction="none")


def smoothed_in_float64(log_probs: Tensor) -> Tensor:
    log_probs = log_probs.double()
    each = -0.9 * log_probs.gather(-1, LABELS[..., None])[..., 0] - 0.1 * log_probs.mean(-1)
    return torch.stack([each[0].sum(), each[1, :2].sum()])


def transducer(logits: Tensor) -> Tensor:
    return transducer_loss(logits, LABELS, FRAMES, COUNTS, backend="torch")


@pytest.mark.parametrize(
    ("scores", "loss", "in_float64"),
    [
        (rounded(2, 9, 4), lambda scores: ctc_loss(scores, FRAMES, LABELS, COUNTS), ctc_in_float64),
        (
            rounded(2, 3, 4),
            lambda scores: label_loss(scores, LABELS, MASK, smoothing=0.1, prior=None),
            smoothed_in_float64,
        ),
        (rounded(2, 9, 4, 4), transducer, lambda scores: transducer(scores.double())),
    ],
    ids=["ctc", "label smoothing", "transducer"],
)
def test_a_loss_of_bfloat16_scores_is_computed_in_float32(
    scores: Tensor, loss: Callable[[Tensor], Tensor], in_float64: Callable[[Tensor], Tensor]
) -> None:
    """In bfloat16 it would be off by 0.4 %."""
    with torch.autocast("cpu", torch.bfloat16):
        low = loss(scores)
    assert low.dtype == torch.float32
    torch.testing.assert_close(low.double(), in_float64(scores), rtol=2e-6, atol=0.0)


def test_the_loss_over_a_large_vocabulary_is_float32() -> None:
    hidden, weight, targets = torch.randn(50, 8), torch.randn(1000, 8), torch.randint(1000, (50,))
    with torch.autocast("cpu", torch.bfloat16):
        low = linear_cross_entropy(hidden, weight, torch.zeros(1000), targets)
    logits = (hidden.to(torch.bfloat16) @ weight.to(torch.bfloat16).T).double()
    assert low.dtype == torch.float32
    expected = F.cross_entropy(logits, targets)
    torch.testing.assert_close(low.double(), expected, rtol=1e-6, atol=0.0)


@pytest.mark.parametrize("name", MODELS)
def test_every_models_probabilities_and_losses_are_float32_under_autocast(name: str) -> None:
    model = networks.make(MODELS[name], features=12, vocab_size=5, seed=1)
    batch = SpeechBatch(("a", "b"), torch.randn(2, 60, 12), torch.tensor([60, 50]), LABELS, COUNTS)
    with precision.autocast("bfloat16", CPU):  # without it LSTMs are what they are in float32
        output = model.forward_with_loss(batch)
        log_probs = model.ctc.log_probs(output.memory)
    assert output.losses.dtype == output.loss.dtype == torch.float32
    # Probabilities add up to one in float32; in bfloat16 they would miss it by some thousandths.
    assert log_probs.dtype == torch.float32
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(log_probs.shape[:2]), rtol=0, atol=2e-6)
    output.loss.backward()
    assert all(p.grad.dtype == torch.float32 for p in model.parameters() if p.grad is not None)
