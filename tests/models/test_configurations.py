"""Every recipe's network can be built, and its schedule's groups consist of its layers."""

from pathlib import Path

import pytest
import torch

from asr_topdown import config, layers
from asr_topdown.build import build_model

REPOSITORY = Path(__file__).parents[2]
CONFIGURATIONS = sorted(REPOSITORY.glob("egs/*/conf/*.yaml"))
MODELS = sorted(REPOSITORY.glob("conf/models/*.yaml"))


@pytest.mark.parametrize("path", [*CONFIGURATIONS, *MODELS], ids=lambda path: "/".join(path.parts[-3:]))
def test_it_can_be_built_and_scheduled(path: Path) -> None:
    settings = config.load(path)
    with torch.device("meta"):
        model = build_model(settings, 50)
    names = layers.layer_names(model)
    blocks = layers.group_names(names, settings.schedule.groups)
    assert [name for block in blocks for name in block] == list(names)
