"""Translate a node's tuning into a plan for each layer of its network."""

from collections.abc import Mapping

from asr_topdown import layers
from asr_topdown.models.model import Model
from asr_topdown.runs.parents import taken_layers
from asr_topdown.schedule import layer_patterns
from asr_topdown.schedule.node import Node
from asr_topdown.train.layerwise import Layerwise


def layer_plan(node: Node, model: Model, layer_l2: Mapping[str, float]) -> Layerwise:
    """The rates, starting times and penalties of the layers of `model`, a network of `node`.

    Args:
        node: what is trained.
        model: its network.
        layer_l2: the experiment's `train.layer_l2`: patterns of layers -> strength. (Their order is not part
            of a training's name, and must not matter.)

    Raises:
        ValueError: if one of its patterns matches no layer, or two match the same one.
    """
    tuning = node.tuning
    names, taken = layers.layer_names(model), taken_layers(node, model)
    new = [name for name in names if name not in (*taken.frozen, *taken.kept)]
    # What is not held from the start: the new layers, or the topmost of those that are trained on.
    later = taken.kept[::-1] if new else taken.kept[-2::-1]
    rates = {name: tuning.layer_decay**above for above, name in enumerate(reversed(names)) if name not in new}
    return Layerwise(
        rates=rates if tuning.layer_decay < 1 else {},
        from_epoch={
            name: 1 + tuning.unfreeze_every * count
            for count, name in enumerate(later, 1)
            if tuning.unfreeze_every
        },
        from_step={name: 1 + tuning.freeze_steps for name in later if tuning.freeze_steps},
        towards_start={name: tuning.l2_sp for name in taken.kept if tuning.l2_sp},
        towards_zero=layer_patterns.assign(names, layer_l2, what="train.layer_l2")
        | {name: tuning.l2_new for name in new if tuning.l2_new},
    )
