"""Freezing and transplanting: all tensors covered, frozen ones unchanged, errors reported."""

import networks
import pytest
import torch
from torch import nn

from asr_topdown import layers
from asr_topdown.layers import Layer


class Stack(nn.Module):
    """Three layers; the middle one has a buffer that moves in train mode and the last one dropout."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.bottom = nn.Linear(3, width)
        self.middle = nn.BatchNorm1d(width)
        self.drop = nn.Dropout(0.5)
        self.top = nn.Linear(width, 2)

    def layers(self) -> tuple[Layer, ...]:
        return (
            Layer("bottom", (self.bottom,)),
            Layer("middle", (self.middle, self.drop)),
            Layer("top", (self.top,)),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.top(self.drop(self.middle(self.bottom(x))))


def test_every_tensor_belongs_to_one_layer() -> None:
    layers.check_partition(Stack())
    groups = layers.tensors_by_layer(Stack())
    assert list(groups) == ["bottom", "middle", "top"]
    assert "middle.running_mean" in groups["middle"]
    assert sum(len(tensors) for tensors in groups.values()) == len(Stack().state_dict())


def test_a_forgotten_tensor_is_an_error() -> None:
    model = Stack()
    model.extra = nn.Linear(1, 1)
    with pytest.raises(ValueError, match=r"in no layer: extra\.weight, extra\.bias"):
        layers.check_partition(model)


def test_a_dropout_in_no_layer_or_in_two_is_an_error() -> None:
    model = Stack()
    model.extra = nn.ModuleList([nn.Dropout(0.0)])
    with pytest.raises(ValueError, match=r"dropouts are in no layer: extra\.0"):
        layers.check_partition(model)
    both = (*Stack.layers(model), Layer("again", (model.extra, model.drop)))
    model.layers = lambda: both  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="a dropout is in two layers, 'middle' and 'again'"):
        layers.check_partition(model)


def test_a_tensor_in_two_layers_is_an_error() -> None:
    model = Stack()
    both = (*model.layers(), Layer("again", (model.top,)))
    model.layers = lambda: both  # type: ignore[method-assign]
    with pytest.raises(ValueError, match=r"top\.weight is in two layers, 'top' and 'again'"):
        layers.check_partition(model)


def test_tied_weights_across_layers_are_an_error() -> None:
    model = Stack(width=2)
    model.top.weight = nn.Parameter(torch.zeros(2, 3))
    model.bottom.weight = model.top.weight
    with pytest.raises(ValueError, match=r"'bottom' and 'top' share storage"):
        layers.check_partition(model)


def test_a_name_that_matches_nothing_is_an_error() -> None:
    model = Stack()
    for call in (
        lambda: layers.freeze(model, ["tpo"], dropout=True),
        lambda: layers.transplant(model.state_dict(), model, ["tpo"]),
        lambda: layers.fingerprint(model, ["tpo"]),
    ):
        with pytest.raises(ValueError, match="no layer is called tpo; the layers are bottom, middle, top"):
            call()


def test_a_prefix_is_not_a_match() -> None:
    with pytest.raises(ValueError, match=r"no layer is called blstm\.1"):
        layers.select(["blstm.10"], ["blstm.1"])


def test_transplant_moves_the_named_layers_and_no_other() -> None:
    torch.manual_seed(0)
    parent, child = Stack(), Stack()
    parent.middle.running_mean.fill_(7.0)
    before = {key: value.clone() for key, value in child.state_dict().items()}
    layers.transplant(parent.state_dict(), child, ["middle", "top"])
    after, source = child.state_dict(), parent.state_dict()
    for key in after:
        expected = before[key] if key.startswith("bottom") else source[key]
        assert torch.equal(after[key], expected), key


def test_transplant_names_both_shapes() -> None:
    with pytest.raises(ValueError, match=r"'top': top\.weight is \(2, 5\) here and \(2, 4\) in the parent"):
        layers.transplant(Stack(4).state_dict(), Stack(5), ["top"])


def test_a_layer_is_not_taken_in_part() -> None:
    """Its output alone, without the norm that it reads, would be another classifier; one more head is not."""
    transformer = {"kind": "transformer", "d_model": 8, **networks.BLOCKS}
    normed = {"encoder": [networks.CONV2D, transformer], "ctc": {}}
    parent, child = networks.make(normed), networks.make(networks.blstm_ctc(1, 4))
    with pytest.raises(ValueError, match=r"'softmax': there is no norm\.weight here, as in the parent"):
        layers.transplant(parent.state_dict(), child, ["softmax"])
    both = networks.make({**networks.NETWORKS["attention"], "ctc": {"weight": 0.3}})
    layers.transplant(both.state_dict(), child, ["softmax"])
    assert torch.equal(child.state_dict()["heads.ctc.output.weight"], both.heads["ctc"].output.weight)


def test_frozen_tensors_do_not_move_and_gradients_pass_through() -> None:
    torch.manual_seed(0)
    model = Stack()
    layers.freeze(model, ["middle", "top"], dropout=True)
    before = layers.fingerprint(model, ["middle", "top"])
    free = layers.fingerprint(model, ["bottom"])
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    for _ in range(3):
        model.train()
        optimizer.zero_grad()
        model(torch.randn(8, 3)).square().sum().backward()
        optimizer.step()
    assert layers.fingerprint(model, ["middle", "top"]) == before
    assert layers.fingerprint(model, ["bottom"]) != free
    assert model.top.weight.grad is None
    assert not model.middle.training, "frozen batch normalisation must stay in eval mode"
    assert model.drop.training


@pytest.mark.parametrize(("keep", "rate"), [(True, 0.5), (False, 0.0)])
def test_dropout_of_frozen_layers_is_a_choice(keep: bool, rate: float) -> None:
    model = Stack()
    layers.freeze(model, ["middle"], dropout=keep)
    assert model.drop.p == rate


def test_frozen_lstm_stays_in_train_mode() -> None:
    """cuDNN refuses the backward pass of an LSTM in eval mode."""

    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(2, 2, num_layers=2, dropout=0.3)

        def layers(self) -> tuple[Layer, ...]:
            return (Layer("lstm", (self.lstm,)),)

    model = Recurrent()
    layers.freeze(model, ["lstm"], dropout=False)
    model.train()
    assert model.lstm.training
    assert model.lstm.dropout == 0.0


def test_fingerprint_sees_values_and_buffers() -> None:
    model = Stack()
    before = layers.fingerprint(model, ["middle"])
    model.middle.running_var[0] += 1e-6
    assert layers.fingerprint(model, ["middle"]) != before
    assert layers.fingerprint(model, ["top"]) == layers.fingerprint(model, ["top"])


def test_groups_merge_neighbours_in_order() -> None:
    names = ["a", "b", "c", "d"]
    assert layers.group_names(names, {}) == [("a",), ("b",), ("c",), ("d",)]
    assert layers.group_names(names, {"top": ["d", "c"]}) == [("a",), ("b",), ("c", "d")]


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({"g": ["a", "c"]}, "not neighbours"),
        ({"g": []}, "not neighbours"),
        ({"g": ["a", "x"]}, "no layer is called x"),
        ({"g": ["a", "b"], "h": ["b", "c"]}, "in both 'g' and 'h'"),
    ],
)
def test_groups_that_make_no_sense(groups: dict[str, list[str]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        layers.group_names(["a", "b", "c"], groups)
