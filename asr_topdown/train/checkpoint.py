"""The state of a training run on disk: tensors and plain values, never a pickled module."""

import os
import zipfile
from pathlib import Path
from typing import Any

import torch

from asr_topdown.files import written_aside

FORMAT = 1
"""Raise this when the content of a state changes: older ones are then refused."""


class CheckpointPair:
    """The training state on disk: the newest, and the previous one in case the newest is lost.

    A file is a zip archive whose parts carry checksums, as `torch.save` writes it; `load` compares them.

    Args:
        folder: where `last.pt` and `previous.pt` live.
    """

    def __init__(self, folder: Path) -> None:
        self.newest = folder / "last.pt"
        self.previous = folder / "previous.pt"
        self._newest_is_whole = True

    @property
    def exist(self) -> bool:
        """Whether there is one, readable or not."""
        return self.newest.exists() or self.previous.exists()

    def save(self, state: dict[str, Any]) -> None:
        """Write `state` as the newest; the former newest becomes the previous one."""
        with written_aside(self.newest) as aside:
            with aside.open("wb") as file:  # for Python's own word on a disk that is full
                torch.save({"format": FORMAT, **state}, file)
            # The disk is proven to hold the new state before the old one moves. A kill between the two
            # renames leaves `previous.pt`, which `load` takes.
            if self.newest.exists() and self._newest_is_whole:
                os.replace(self.newest, self.previous)
        self._newest_is_whole = True

    def load(self) -> tuple[dict[str, Any] | None, str]:
        """The newest readable state, and a remark if it is not the newest one.

        Returns:
            (state, "") normally; (None, "") if there is nothing to resume.

        Raises:
            ValueError: if states exist but none can be read.
        """
        problems: list[str] = []
        for path in (self.newest, self.previous):
            if path.exists():
                try:
                    return _read(path), "; ".join(problems)
                except Exception as error:  # of many kinds: whatever bytes of a zip and a pickle can be wrong
                    self._newest_is_whole &= path != self.newest
                    problems.append(f"{path}: truncated or corrupt checkpoint ({_first_line(error)})")
        if problems:
            raise ValueError("; ".join(problems) + "; delete it to train from the start")
        return None, ""

    def clear(self) -> None:
        """Remove both: the training is finished."""
        self.newest.unlink(missing_ok=True)
        self.previous.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as archive:
        if damaged := archive.testzip():
            raise ValueError(f"the checksum of {damaged} is not right")
    state = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(state, dict) or state.pop("format", None) != FORMAT:
        raise ValueError(f"not of format {FORMAT}, which this version writes")
    return state


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
