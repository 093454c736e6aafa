"""How transferred layers are fine-tuned: alternatives to freezing them."""

import math
from dataclasses import dataclass, fields
from typing import Any, Literal

from asr_topdown.schedule.settings import Settings, setting


@dataclass(frozen=True, kw_only=True)
class Tuning(Settings):
    """How transferred layers that are not frozen are fine-tuned; settings can be combined.

    Layers "from the top" are counted from the output.

    Raises:
        ValueError: naming the invalid setting.
    """

    layer_decay: float = setting(
        1.0,
        "layer-wise learning rates: each layer's is this to the power of the number of layers above it; new "
        "layers, which count there, have the full rate (Howard and Ruder 2018)",
        gt=0,
        le=1,
    )
    unfreeze_every: int = setting(
        0,
        "gradual unfreezing (ULMFiT, Howard and Ruder 2018): the new layers are trained first, or the "
        "topmost if none is new, then one more layer every N epochs, from the top; 0 = all from the start",
        ge=0,
    )
    freeze_steps: int = setting(
        0,
        "train only the new layers, or the topmost if none is new, in the first N optimiser steps",
        ge=0,
    )
    l2_sp: float = setting(
        0.0,
        "L2-SP (Li et al. 2018): alpha of the penalty alpha / 2 |w - source's w|^2 on transferred layers",
        ge=0,
    )
    l2_new: float = setting(0.0, "L2-SP's beta: of the penalty beta / 2 |w|^2 on new layers", ge=0)
    parameters: Literal["all", "norms_and_biases"] = setting(
        "all",
        "which to train in transferred layers (norms_and_biases: BitFit, Ben Zaken et al. 2022)",
    )

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if one.type is float and type(value) is int:
                object.__setattr__(self, one.name, value := float(value))
            if type(value) is not type(one.default) or (
                isinstance(value, float) and not math.isfinite(value)
            ):
                raise ValueError(f"{one.name} cannot be {value!r}")
        super().__post_init__()
        if self.parameters not in ("all", "norms_and_biases"):
            raise ValueError(f"parameters must be all or norms_and_biases, got {self.parameters!r}")
        if self.unfreeze_every and self.freeze_steps:
            raise ValueError("unfreeze_every and freeze_steps: one of the two")

    def __bool__(self) -> bool:
        """Whether it is anything other than plain training."""
        return self != PLAIN

    def to_json(self) -> dict[str, Any]:
        """The settings that differ from the defaults, as plain JSON values."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: values[name] for name, default in _DEFAULTS.items() if values[name] != default}

    def text(self) -> str:
        """A short description for a table's row; "" if it is plain training."""
        said = {
            "layer_decay": "rates × {:g} from layer to layer",
            "unfreeze_every": "one layer more every {} epochs",
            "freeze_steps": "held for {} steps",
            "l2_sp": "L2-SP {:g}",
            "l2_new": "L2 {:g} on new layers",
            "parameters": "norms and biases only",
        }
        text = ", ".join(said[name].format(value) for name, value in self.to_json().items())
        return text.replace("every 1 epochs", "every epoch")


PLAIN = Tuning()
_DEFAULTS = {one.name: one.default for one in fields(Tuning)}
