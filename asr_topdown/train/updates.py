"""One optimiser step, on the mean loss of one or more batches, in one or more processes."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from asr_topdown.config.train import TrainConfig
from asr_topdown.losses import ModelOutput
from asr_topdown.models.model import Model
from asr_topdown.nn import precision
from asr_topdown.train import distributed, optim
from asr_topdown.train.distributed import World
from asr_topdown.train.layerwise import Holding, Layerwise, Penalties
from asr_topdown.train.loss_meter import LossMeter
from asr_topdown.train.lr_schedule import lr_factor
from asr_topdown.train.task import Batch, Divisible


class LossOf(nn.Module):
    """A model's `forward_with_loss` as the forward pass, where DDP expects it."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Batch, hidden_state: Sequence[Tensor]) -> ModelOutput:
        """Call `model.forward_with_loss`."""
        return self.model.forward_with_loss(batch, hidden_state)


class BatchShare(NamedTuple):
    """One process's part of a batch.

    Attributes:
        batch: its utterances.
        counting: how many of them count; 0 if the process has none.
        utterances: of the whole batch.
    """

    batch: Batch
    counting: int
    utterances: int


class Updates:
    """A network with its optimiser.

    Args:
        model: on its device, layers already frozen; only what requires a gradient is trained.
        config: the training settings.
        world: the processes that train it together.
        layerwise: layer-specific settings.

    Raises:
        ValueError: if every layer is frozen.
    """

    def __init__(
        self, model: Model, config: TrainConfig, world: World, layerwise: Layerwise | None = None
    ) -> None:
        plan = layerwise or Layerwise()
        self.config = config
        self.world = world
        self.optimizer = optim.build_optimizer(model, config.optimizer, plan.rates)
        self.holding = Holding(model, plan, alone=world.alone)
        self._penalties = Penalties(model, plan)
        self._model = model
        self._hidden_state: tuple[Tensor, ...] = ()
        self._trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._device = self._trainable[0].device
        self._network = world.wrap(LossOf(model))
        # Gradients in float16 vanish below 6e-8: the loss is scaled up, and they are scaled down.
        half = config.precision == "float16"
        self._scaler = torch.amp.GradScaler(self._device.type, enabled=half)

    def lr(self, step: int) -> float:
        """The learning rate of a step, from 1; with layer-specific rates, that of the topmost."""
        lr: float = self.optimizer.param_groups[0]["lr"]
        return lr * lr_factor(self.config.lr_schedule, step)

    def start_epoch(self) -> None:
        """Reset a language model to the start of its text."""
        self._hidden_state = ()

    def share(self, batch: Batch) -> BatchShare:
        """This process's part of a batch, ready to be copied to its device.

        Raises:
            ValueError: if several processes would share a language model's batch.
        """
        utterances = counting = len(batch.ids)
        if not self.world.alone:
            if not isinstance(batch, Divisible):
                raise ValueError("a language model is trained by one process: its text cannot be divided")
            rows, counting = self.world.share(utterances)
            batch = batch.rows(rows)
        return BatchShare(batch.pinned(self._device), counting, utterances)

    def step(
        self, shares: Sequence[BatchShare], *, lr_scale: float, epoch: int, number: int, meter: LossMeter
    ) -> None:
        """One update on the mean loss of all utterances of some batches, the `number`-th of the run (from 1).

        A batch's loss is the mean over this process's share, and DDP averages over the processes;
        the factors turn these into the mean over all utterances, so that neither the division into batches
        nor the number of processes matters.
        """
        self.optimizer.zero_grad(set_to_none=True)
        self.holding.apply(epoch, number)
        utterances = sum(share.utterances for share in shares)
        for index, share in enumerate(shares, 1):
            with distributed.part_of_a_step(self._network, last=index == len(shares)):
                output = self._forward(share.batch.to(self._device))
                loss = output.loss * (share.counting * self.world.size / utterances)
                self._scaler.scale(loss).backward()
            if share.counting:
                meter.add(share.batch, output.losses)
        self._scaler.unscale_(self.optimizer)
        self.holding.drop_gradients()
        self._penalties.add_gradients()
        nn.utils.clip_grad_norm_(self._trainable, self.config.grad_clip)
        with optim.scaled_lr(self.optimizer, lr_scale * lr_factor(self.config.lr_schedule, number)):
            self._scaler.step(self.optimizer)
        self._scaler.update()

    def state(self) -> dict[str, Any]:
        """The state that a checkpoint needs besides the weights, so that the next step is the same."""
        return {
            "optimizer": self.optimizer.state_dict(),
            "parameters": optim.describe_state(self.optimizer, self._model),
            "hidden_state": list(self._hidden_state),
            **({"scaler": self._scaler.state_dict()} if self._scaler.is_enabled() else {}),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Resume from a `state`.

        Raises:
            ValueError: if it belongs to other trainable tensors.
        """
        optim.check_state(state["parameters"], self.optimizer, self._model)
        self.optimizer.load_state_dict(state["optimizer"])
        self._hidden_state = tuple(tensor.to(self._device) for tensor in state["hidden_state"])
        if self._scaler.is_enabled():
            self._scaler.load_state_dict(state["scaler"])

    def _forward(self, batch: Batch) -> ModelOutput:
        with precision.autocast(self.config.precision, self._device):
            output: ModelOutput = self._network(batch, self._hidden_state)
        self._hidden_state = output.hidden_state
        return output
