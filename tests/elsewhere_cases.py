"""Every family's step and every decoder on a device that is not the CPU, and nothing makes it wait."""

from collections.abc import Callable, Iterator
from typing import Any

import elsewhere
import pytest
import torch
from elsewhere import Elsewhere, no_waits
from networks import NETWORKS, VOCAB, make, make_batch

from asr_topdown.config.decode import DecodeConfig
from asr_topdown.config.train import OptimizerConfig, TrainConfig
from asr_topdown.data.batch import SpeechBatch
from asr_topdown.data.language_model import LanguageModelBatch
from asr_topdown.decode import (
    host_flags,
    joint_beam,
    label_search,
    prefix_beam,
    transducer_beam,
    transducer_greedy,
)
from asr_topdown.decode.language_model import LanguageModelScorer
from asr_topdown.decode.recognize import build_decoder
from asr_topdown.losses import ctc_loss
from asr_topdown.models.awd_lstm import AwdLstm
from asr_topdown.text import Vocabulary
from asr_topdown.train import distributed
from asr_topdown.train.loss_meter import LossMeter
from asr_topdown.train.updates import Updates


def short_batch() -> SpeechBatch:
    """Ragged, and short, for the steps of an LSTM are many operations here."""
    return make_batch((25, 13, 9), ([2, 3], [1], []))


@pytest.fixture
def device() -> Iterator[torch.device]:
    with elsewhere.device() as there:
        yield there


# --- the device itself ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wait",
    [
        lambda x: x[0].item(),
        lambda x: bool(x.any()),
        lambda x: x.tolist(),
        lambda x: x.cpu(),
        lambda x: x.nonzero(),
        lambda x: x[x > 0],
        lambda x: x.masked_select(x > 0),
        lambda x: x.repeat_interleave(x.long()),
        lambda x: torch.tensor([1, 2], device=x.device),
        lambda x: torch.ones(2).to(x.device),
        lambda x: torch.ones(2).pin_memory().to(x.device),
        lambda x: torch.ones(2).to(x.device, non_blocking=True),
        lambda x: torch.empty(2).copy_(x, non_blocking=True),
        lambda x: ctc_loss(x.log().expand(1, 3, 2), x[:1].long(), x[:1, None].long(), x[:1].long()),
    ],
)
def test_what_would_make_a_gpu_wait_is_noticed(wait: Callable[[Any], Any], device: torch.device) -> None:
    numbers = torch.ones(2, device=device)
    with pytest.raises(AssertionError, match="would make a GPU wait"), no_waits():
        wait(numbers)


def test_what_does_not_is_not(device: torch.device) -> None:
    numbers, index = torch.ones(2, device=device), torch.ones(2, device=device).long()
    buffer = torch.empty(2, pin_memory=True)
    with no_waits():
        torch.ones(2).pin_memory().to(device, non_blocking=True)
        buffer.copy_(numbers, non_blocking=True)
        (numbers * 2 + 1)[index] += numbers.masked_fill(numbers > 0, 3.0)
    assert buffer.tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    "mix", [lambda x: x + torch.ones(2), lambda x: x[torch.tensor([0, 1])], lambda x: x @ torch.ones(2, 2)]
)
def test_two_devices_in_one_operation_are_an_error(mix: Callable[[Any], Any], device: torch.device) -> None:
    with pytest.raises(RuntimeError, match="one device"):
        mix(torch.ones(2, device=device))


# --- training ------------------------------------------------------------------------------------------


def same(there: Any, here: Any) -> None:
    assert isinstance(there, Elsewhere)
    torch.testing.assert_close(there.raw, here, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_step_gives_the_cpus_losses_and_gradients_without_a_wait(name: str, device: torch.device) -> None:
    """In eval mode, for the masks of dropout are drawn otherwise there; then a whole step in train mode."""
    here, there, batch = make(name).eval(), make(name).eval().to(device), short_batch()
    expected = here.forward_with_loss(batch)
    expected.loss.backward()
    moved = batch.pinned(device).to(device)
    with no_waits():
        output = there.forward_with_loss(moved)
        output.loss.backward()
    same(output.losses, expected.losses)
    gradients = dict(here.named_parameters())
    for key, parameter in there.named_parameters():
        same(parameter.grad, gradients[key].grad)
    step_without_a_wait(there.train(), lambda: batch)


@pytest.mark.parametrize("tied", [True, False])
def test_a_language_models_step_needs_no_wait(tied: bool, device: torch.device) -> None:
    model = language_model(tied=tied)
    words = torch.randint(9, (6, 2))
    there = LanguageModelBatch(("rows",), words[:-1].to(device), words[1:].to(device))
    model.eval()
    raw, _, _ = model(words[:-1])
    model.to(device)
    same(model(there.words)[0], raw)
    step_without_a_wait(model.train(), lambda: there)


@pytest.mark.parametrize(
    ("precision", "optimizer"),
    [
        *(("float32", name) for name in ("adamw", "sgd", "adadelta", "nt_asgd")),
        *(("bfloat16", name) for name in ("adam", "adadelta")),
        *(("float16", name) for name in ("adam", "adadelta")),
    ],
)
def test_no_optimiser_and_no_precision_waits(precision: str, optimizer: str, device: torch.device) -> None:
    """But for the loss scale of float16, which PyTorch reads where an optimiser is not its fused one."""
    model = make("ctc_transducer").to(device).train()
    if precision == "float16" and optimizer not in ("adam", "adamw"):
        with pytest.raises(AssertionError, match=r"wait: \['_local_scalar_dense'\]"):
            step_without_a_wait(model, short_batch, precision=precision, optimizer=optimizer)
    else:
        step_without_a_wait(model, short_batch, precision=precision, optimizer=optimizer)


def step_without_a_wait(
    model: Any, load: Callable[[], Any], *, precision: str = "float32", optimizer: str = "adam"
) -> None:
    """Two steps, of which the first sets up what stays."""
    config = TrainConfig(precision=precision, optimizer=OptimizerConfig(name=optimizer, lr=1e-3))  # type: ignore[arg-type]
    updates, meter = Updates(model, config, distributed.current()), LossMeter()
    before = {key: value.raw.clone() for key, value in model.state_dict().items()}
    updates.step([updates.share(load())], lr_scale=1.0, epoch=1, number=1, meter=meter)
    with no_waits():
        updates.step(
            [updates.share(load()), updates.share(load())], lr_scale=1.0, epoch=1, number=2, meter=meter
        )
    assert all(loss == loss for loss in meter.read(distributed.current()).losses)
    changed = [key for key, value in model.state_dict().items() if not value.raw.equal(before[key])]
    assert len(changed) > len(before) / 2


def test_the_scale_of_float16_falls_when_gradients_overflow_and_is_resumed(device: torch.device) -> None:
    """Steps whose gradients are not finite change nothing, and no number is lost with the process."""
    config = TrainConfig(precision="float16", optimizer=OptimizerConfig(lr=1e-3))
    updates = Updates(make("blstm_ctc").to(device), config, distributed.current())
    meter, shares = LossMeter(), [updates.share(short_batch())]
    updates.step(shares, lr_scale=1.0, epoch=1, number=1, meter=meter)
    weight = next(iter(updates.optimizer.param_groups[0]["params"]))
    before, state = weight.raw.clone(), updates.state()
    usable = {**state["scaler"], "scale": 256.0}
    state["scaler"]["scale"] = 3e38  # times a loss above 2 that is more than float32 holds
    resumed = Updates(updates._model, config, distributed.current())
    resumed.restore(state)
    resumed.step(shares, lr_scale=1.0, epoch=1, number=2, meter=meter)
    assert weight.raw.equal(before)
    assert resumed.state()["scaler"]["scale"] == pytest.approx(1.5e38)
    resumed.restore({**state, "scaler": usable})
    resumed.step(shares, lr_scale=1.0, epoch=1, number=2, meter=meter)
    assert not weight.raw.equal(before)


def language_model(*, tied: bool) -> AwdLstm:
    torch.manual_seed(0)
    dropout = dict.fromkeys(
        ("embedding_dropout", "input_dropout", "hidden_dropout", "output_dropout", "weight_dropout"), 0.3
    )
    return AwdLstm(
        vocab_size=9, embedding_size=4, hidden_size=5, num_layers=2, tied=tied, ar_alpha=1.0, tar_beta=1.0,
        **dropout,
    )  # fmt: skip


# --- decoding ------------------------------------------------------------------------------------------

UNITS = Vocabulary(("<blank>", "<unk>", "a", "b", "c", "d"), "char")
DECODERS = [
    ("hybrid", {"method": "joint_beam", "beam": 3, "nbest": 2}),
    ("hybrid", {"method": "joint_beam", "beam": 3, "pre_beam_size": 2, "length_penalty": 0.3}),
    ("blstm", {"method": "joint_beam", "beam": 3}),
    ("attention", {"method": "attention", "beam": 2}),
    ("blstm_ctc", {"method": "prefix_beam", "beam": 3}),
    ("blstm_ctc", {"method": "greedy"}),
    ("transducer", {"method": "greedy", "max_symbols": 2}),
    ("ctc_transducer", {"method": "transducer_beam", "beam": 3, "max_symbols": 2}),
]
STEPS: list[tuple[Any, str]] = [
    (label_search.LabelSearch, "_grow"),
    (host_flags.HostFlags, "read"),
    (prefix_beam, "_advance"),
    (transducer_beam._Search, "_frame"),
    (transducer_greedy, "_step"),
]


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The steps of all searches, watched; and the names of those taken."""
    taken: list[str] = []

    def watched(name: str, step: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            taken.append(name)
            with no_waits():
                return step(*args, **kwargs)

        return run

    for owner, name in STEPS:
        monkeypatch.setattr(owner, name, watched(name, getattr(owner, name)))
    return taken


@pytest.mark.parametrize(("name", "settings"), DECODERS)
def test_a_decoder_finds_what_it_finds_on_the_cpu_and_no_label_waits(
    name: str, settings: dict[str, Any], device: torch.device, steps: list[str]
) -> None:
    config, batch = DecodeConfig(**settings), short_batch()
    found = []
    for moved in (False, True):
        network, now = make(name, seed=3).eval(), batch
        if moved:
            network, now = network.to(device), batch.pinned(device).to(device)
            steps.clear()
        with torch.no_grad():
            memory, lengths = network.encode(now.feats, now.feat_lengths, host_lengths=batch.feat_lengths)
            found.append(build_decoder(network, config, UNITS)(memory, lengths))
    assert steps or settings == {"method": "greedy"}  # of CTC that has no steps
    for here, there in zip(*found, strict=True):
        assert [one.ids for one in there.hypotheses] == [one.ids for one in here.hypotheses]
        assert there.best.score == pytest.approx(here.best.score, abs=1e-4)


@pytest.mark.parametrize("method", ["joint_beam", "transducer_beam"])
def test_a_language_model_beside_does_not_wait_either(
    method: str, device: torch.device, steps: list[str]
) -> None:
    network, batch = make("hybrid").eval().to(device), short_batch()
    words = torch.tensor([8, *range(1, VOCAB), 8]).to(device)
    lm = LanguageModelScorer(language_model(tied=False).to(device).eval(), words)
    config = DecodeConfig(method=method, beam=2, lm="lm", lm_weight=0.5, max_symbols=2)
    now = batch.pinned(device).to(device)
    with torch.no_grad():
        memory, lengths = network.encode(now.feats, now.feat_lengths, host_lengths=batch.feat_lengths)
        if method == "joint_beam":
            log_probs, scorer = network.ctc.log_probs(memory), network.attention.scorer
            joint_beam.joint_beam(
                memory, lengths, vocab_size=VOCAB, config=config, ctc_log_probs=log_probs, decoder=scorer,
                lm=lm,
            )  # fmt: skip
        else:
            transducer_beam.transducer_beam(network.transducer, memory, lengths, config=config, lm=lm)
    assert steps
