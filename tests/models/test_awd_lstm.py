"""The AWD-LSTM: its size, its layers, its penalties, and its arithmetic against a plain restatement."""

import math

import pytest
import torch
from torch import Tensor, nn

from asr_topdown import layers
from asr_topdown.config.model import AwdLstmConfig
from asr_topdown.data.language_model import LanguageModelBatch
from asr_topdown.losses import ModelOutput
from asr_topdown.models.awd_lstm import AwdLstm

WORDS = 11
PUBLISHED = AwdLstmConfig().model_dump(exclude={"kind"})
OFF = {f"{name}_dropout": 0.0 for name in ("embedding", "input", "hidden", "output", "weight")}


def model(**settings: float) -> AwdLstm:
    torch.manual_seed(0)
    return AwdLstm(vocab_size=WORDS, **{**PUBLISHED, "embedding_size": 5, "hidden_size": 7, **settings})


def forward(made: AwdLstm, words: Tensor, targets: Tensor) -> ModelOutput:
    return made.forward_with_loss(LanguageModelBatch(("rows",), words, targets))


def text(rows: int, batch: int = 3) -> Tensor:
    return torch.randint(WORDS, (rows, batch), generator=torch.Generator().manual_seed(4))


def test_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        published = AwdLstm(vocab_size=33_278, **PUBLISHED)
    assert sum(parameter.numel() for parameter in published.parameters()) == 33_556_078


def test_initial_weights() -> None:
    made = model()
    assert 0.09 < made.softmax.weight.abs().max() <= 0.1
    assert not made.softmax.bias.any()
    assert made.lstm[0].weight_hh_l0.abs().max() <= 1 / math.sqrt(7)


@pytest.mark.parametrize("tied", [True, False])
def test_layers_from_input_to_output(tied: bool) -> None:
    made = model(tied=tied)
    layers.check_partition(made)
    assert layers.layer_names(made) == ("lstm.0", "lstm.1", "lstm.2", "softmax")
    owned = {name: set(tensors) for name, tensors in layers.tensors_by_layer(made).items()}
    assert owned["softmax"] == {"softmax.weight", "softmax.bias"}
    assert ("embedding.weight" in owned["lstm.0"]) is not tied


def test_tied_the_frozen_top_freezes_the_input() -> None:
    made = model()
    layers.freeze(made, ["softmax"], dropout=False)
    trained = [name for name, parameter in made.named_parameters() if parameter.requires_grad]
    assert {name.split(".")[0] for name in trained} == {"lstm"}
    assert (made.word_dropout.p, made.input_dropout.p, made.weight_drop[0].p) == (0.0, 0.0, 0.5)


def test_frozen_dropout_off_takes_the_weight_drop_of_frozen_layers() -> None:
    made = model()
    layers.freeze(made, ["lstm.1"], dropout=False)
    assert [drop.p for drop in made.weight_drop] == [0.5, 0.0, 0.5]
    assert [drop.p for drop in made.output_dropout] == [0.2, 0.0, 0.4]


def test_a_frozen_lower_layer_lets_the_gradient_through_to_the_tied_embedding() -> None:
    made = model()
    layers.freeze(made, ["lstm.0"], dropout=True)
    forward(made, text(4), text(4)).loss.backward()
    assert made.lstm[0].weight_hh_l0.grad is None
    assert made.softmax.weight.grad is not None


def plain_outputs(made: AwdLstm, words: Tensor) -> Tensor:
    """The LSTM equations one by one, in float64."""
    state = {name: value.double() for name, value in made.state_dict().items()}
    hidden = state["softmax.weight"][words]
    for layer in range(3):
        w, u, b, c = (
            state[f"lstm.{layer}.{name}_l0"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        output = torch.zeros(words.shape[1], u.shape[1], dtype=torch.float64)
        cell = torch.zeros_like(output)
        outputs = []
        for frame in hidden:
            i, f, g, o = (frame @ w.T + b + output @ u.T + c).chunk(4, dim=1)
            cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
            output = o.sigmoid() * cell.tanh()
            outputs.append(output)
        hidden = torch.stack(outputs)
    return hidden


def test_outputs_and_loss_equal_the_equations() -> None:
    made = model(**OFF, ar_alpha=2.0, tar_beta=1.0)
    words, targets = text(9), text(10)[1:]
    hidden = plain_outputs(made, words)
    raw, dropped, _ = made(words)
    torch.testing.assert_close(raw.double(), hidden, atol=1e-6, rtol=1e-6)
    assert torch.equal(raw, dropped)
    logits = hidden @ made.softmax.weight.double().T + made.softmax.bias.double()
    cross_entropy = nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
    penalty = 2.0 * (hidden**2).mean() + 1.0 * ((hidden[1:] - hidden[:-1]) ** 2).mean()
    output = forward(made, words, targets)
    assert output.losses.item() == pytest.approx(cross_entropy.item(), abs=1e-6)
    assert output.loss.item() == pytest.approx((cross_entropy + penalty).item(), abs=1e-6)


def test_the_penalties_take_the_dropped_and_the_raw_output() -> None:
    settings = {**OFF, "output_dropout": 0.5}
    words, targets = text(9), text(9)

    def total(**weights: float) -> float:
        torch.manual_seed(1)
        return forward(model(**settings, **weights), words, targets).loss.item()

    torch.manual_seed(1)
    raw, dropped, _ = model(**settings)(words)
    assert not torch.equal(raw, dropped)
    without = total(ar_alpha=0.0, tar_beta=0.0)
    assert total(ar_alpha=2.0, tar_beta=0.0) - without == pytest.approx(
        2 * dropped.square().mean().item(), abs=1e-6
    )
    assert total(ar_alpha=0.0, tar_beta=3.0) - without == pytest.approx(
        3 * raw.diff(dim=0).square().mean().item(), abs=1e-6
    )


def test_the_state_carries_the_text_on() -> None:
    made = model(**OFF).eval()
    words, targets = text(12), text(13)[1:]
    whole, _ = made.cross_entropy(words, targets)
    first = forward(made, words[:5], targets[:5])
    second, _ = made.cross_entropy(words[5:], targets[5:], first.hidden_state)
    assert not any(tensor.requires_grad for tensor in first.hidden_state)
    parts = (5 * first.losses.item() + 7 * second.item()) / 12
    assert parts == pytest.approx(whole.item(), abs=1e-6)


@pytest.mark.parametrize("name", ["embedding", "input", "hidden", "output", "weight"])
def test_each_dropout_changes_training_and_not_evaluation(name: str) -> None:
    plain, dropped = model(**OFF), model(**{**OFF, f"{name}_dropout": 0.5})
    words, targets = text(8), text(8)
    assert forward(plain, words, targets).loss != forward(dropped, words, targets).loss
    same = [one.eval().cross_entropy(words, targets)[0].item() for one in (plain, dropped)]
    assert same[0] == same[1]
