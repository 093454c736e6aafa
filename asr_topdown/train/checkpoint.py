"""The state of a training run on disk: tensors and plain values, never a pickled module."""

import os
import pickle
from pathlib import Path
from typing import Any

import torch

from asr_topdown.files import written_aside


class CheckpointPair:
    """The training state on disk: the newest, and the one before in case the newest is lost.

    Args:
        folder: where `last.pt` and `previous.pt` live.
    """

    def __init__(self, folder: Path) -> None:
        self.newest = folder / "last.pt"
        self.previous = folder / "previous.pt"

    def save(self, state: dict[str, Any]) -> None:
        """Write `state` as the newest; what was newest becomes the previous one."""
        with written_aside(self.newest) as aside:
            torch.save(state, aside)
            # The disk is proven to hold the new state before the old one moves. A kill between the two
            # renames leaves `previous.pt`, which `load` takes.
            if self.newest.exists():
                os.replace(self.newest, self.previous)

    def load(self) -> tuple[dict[str, Any] | None, str]:
        """The newest state that can be read, and a remark when it is not the newest one.

        Returns:
            (state, "") normally; (None, "") when there is nothing to resume.

        Raises:
            ValueError: when states are there and none can be read.
        """
        problems: list[str] = []
        for path in (self.newest, self.previous):
            if path.exists():
                try:
                    return torch.load(path, map_location="cpu", weights_only=True), "; ".join(problems)
                except (RuntimeError, EOFError, OSError, pickle.UnpicklingError, ValueError) as error:
                    problems.append(f"{path}: truncated or corrupt checkpoint ({_first_line(error)})")
        if problems:
            raise ValueError("; ".join(problems) + "; delete it to train from the start")
        return None, ""

    def clear(self) -> None:
        """Remove both: the training is finished."""
        self.newest.unlink(missing_ok=True)
        self.previous.unlink(missing_ok=True)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
