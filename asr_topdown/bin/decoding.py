"""The work of `asr-topdown decode`: pairs of data directory and model, named by their content."""

import contextlib
import functools
import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar, cast

if TYPE_CHECKING:
    from asr_topdown.config import Config
    from asr_topdown.config.decode import DecodeConfig
    from asr_topdown.config.features import FeaturesConfig

T = TypeVar("T")


@dataclass(frozen=True)
class DataSet:
    """A data directory, and the name of the folder for its transcripts."""

    folder: Path
    name: str
    _known: dict[tuple[object, "FeaturesConfig"], object] = field(
        default_factory=dict, compare=False, repr=False
    )

    @functools.cached_property
    def utterances(self) -> int:
        """Number of its transcripts."""
        from asr_topdown import datadir

        return len(datadir.read_transcripts(self.folder / "text"))

    def content(self, features: "FeaturesConfig") -> str:
        """Hash of its features and transcripts."""
        from asr_topdown.data import inputs

        return self._once(inputs.content_hash, features)

    def features(self, features: "FeaturesConfig") -> str:
        """Hash of its features alone."""
        from asr_topdown.data import inputs

        return self._once(inputs.features_hash, features)

    def seconds(self, features: "FeaturesConfig") -> float:
        """Total duration of its utterances."""
        from asr_topdown.data import inputs

        return self._once(inputs.seconds, features)

    def _once(self, read: "Callable[[Path, FeaturesConfig], T]", features: "FeaturesConfig") -> T:
        """Read once, since many models use the same directory."""
        if (read, features) not in self._known:
            self._known[read, features] = read(self.folder, features)
        return cast("T", self._known[read, features])


class Size(NamedTuple):
    """Amount of data to decode."""

    utterances: int
    seconds: float
    batches: int  # at least

    def parts(self, nj: int, seconds: float) -> int:
        """Return the number of parts, at least 1, if `nj` processes have `seconds` to decode in total."""
        return max(1, min(math.ceil(nj * self.seconds / seconds), self.batches)) if seconds else 1


@dataclass(frozen=True)
class Decoding:
    """A data directory to decode with a model, unless that has been done.

    Attributes:
        model: the model's folder.
        data: the data directory.
        target: folder for the transcripts.
        wanted: how to decode; None = by the model's configuration with `overrides`.
        overrides: `decode.key=value`.
        device: where to compute.
    """

    model: Path
    data: DataSet
    target: Path
    wanted: "DecodeConfig | None"
    overrides: tuple[str, ...]
    device: str

    @functools.cached_property
    def config(self) -> "Config":
        """The model's own configuration."""
        from asr_topdown import config as configuration

        return configuration.load_saved(self.model / "config.yaml", self.overrides)

    @property
    def reference(self) -> str:
        """The reference transcripts of the results."""
        return str(self.data.folder / "text")

    @property
    def unread(self) -> list[str]:
        """Lines on settings of decoding that have no effect."""
        from asr_topdown.config.unread import unread

        return unread(self.config.model_copy(update={"decode": self.decode}), "decode")

    @property
    def decode(self) -> "DecodeConfig":
        """The settings: the given ones, or else the model's own."""
        return self.wanted or self.config.decode

    @property
    def size(self) -> Size:
        """The amount of data."""
        from asr_topdown.decode.recognize import UTTERANCES_PER_BATCH

        features, utterances = self.config.features, self.data.utterances
        seconds = self.data.seconds(features)
        frames = seconds / features.frame_seconds
        batches = max(frames / self.decode.frames_per_batch, utterances / UTTERANCES_PER_BATCH)
        return Size(utterances, seconds, math.ceil(batches))

    @functools.cached_property
    def settings(self) -> dict[str, str]:
        """Everything that determines the result, by content."""
        from asr_topdown.decode.model import content_hash, decoder_hash

        return {
            "model": content_hash(self.model),
            "content": self.data.content(self.config.features),
            "decoder": decoder_hash(self.decode),
            "device": self.device,
        }

    def check(self) -> None:
        """Check that the model can read these features, and that no reference is overwritten.

        Raises:
            ValueError: naming a language model; or the directory, and both values of a setting that differs.
        """
        from asr_topdown.data import inputs

        if self.config.is_language_model:
            raise ValueError(f"{self.model}: a language model, which cannot recognise speech")
        if (self.target / "utt2spk").exists():
            raise ValueError(f"{self.target}: a data directory, whose transcripts would be overwritten")
        inputs.check_for_model(self.data.folder, self.config.features, self.model)

    def is_done(self) -> bool:
        """Whether the target already has the result; update the reference's name there if possible."""
        from asr_topdown.files import read_json, read_lines, write_json

        path = self.target / "result.json"
        try:
            made, texts = read_json(path), read_lines(self.target / "text")
        except (FileNotFoundError, ValueError):  # never made, or cut by a crash of the machine
            return False
        if len(texts) < self.data.utterances or not isinstance(made, dict):
            return False
        if any(made.get(key) != value for key, value in self.settings.items()):
            return False
        if made.get("reference") != self.reference:
            with contextlib.suppress(OSError):  # read-only, say: the result is the same
                write_json(path, {**made, "reference": self.reference})
        return True

    def job_folder(self, number: int, of: int) -> Path:
        """The folder for an engine's records of a part until it is done."""
        key = hashlib.sha256(json.dumps(self.settings, sort_keys=True).encode()).hexdigest()[:16]
        return self.target / "jobs" / f"{key}.{number + 1}of{of}"


def data_sets(folders: Sequence[Path]) -> list[DataSet]:
    """Give each data directory a unique name.

    Raises:
        ValueError: naming two whose transcripts would go to the same folder.
    """
    from asr_topdown import files

    named: dict[str, DataSet] = {}
    for folder in folders:
        name = files.name_of(folder)
        if name in named:
            raise ValueError(f"{named[name].folder} and {folder}: the transcripts of both would go to {name}")
        named[name] = DataSet(folder, name)
    return list(named.values())
