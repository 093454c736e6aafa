"""Information about a network besides its errors: about.json in its folder.

It affects no result. It tells the report, and anyone who finds the folder, the names and sizes of the layers,
what the network was trained on, and where, without building the network or having the data.
"""

import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asr_topdown import datadir, files
from asr_topdown.corpora import licences

if TYPE_CHECKING:
    from asr_topdown.models.model import Model
    from asr_topdown.runs.experiment import Experiment
    from asr_topdown.train.task import Task

NAME = "about.json"


@dataclass(frozen=True)
class DataSize:
    """The size of a data set.

    Attributes:
        name: of its folder or file.
        utterances: how many; 0 for a text.
        words: how many.
        hours: of audio; 0 for a text.
        licence: of the data (`corpora.licences`); "" if unknown.
        left_out: how many of the utterances were not used: too short for their transcript, longer than
            `train.max_frames`, without a transcript or without sound.
    """

    name: str
    utterances: int
    words: int
    hours: float
    licence: str = ""
    left_out: int = 0


@dataclass(frozen=True)
class About:
    """The content of about.json.

    Attributes:
        layers: name -> number of parameters, input first.
        train: the training data.
        dev: the data on which the epoch was chosen.
        machine: processor or GPU, and versions.
        products: which library computed the float32 matrix products; "" until the training has ended.
        adapted: the layers with adapters (LoRA).
    """

    layers: Mapping[str, int]
    train: DataSize
    dev: DataSize
    machine: str
    products: str = ""
    adapted: tuple[str, ...] = ()

    @property
    def parameters(self) -> int:
        """Of the whole network."""
        return sum(self.layers.values())


def write(folder: Path, model: "Model", experiment: "Experiment", task: "Task") -> None:
    """Write about.json to `folder`.

    Args:
        folder: of the node.
        model: its network.
        experiment: to which it belongs.
        task: the data that are used.
    """
    # Imported here: a report reads what was written, and needs no torch.
    import torch

    from asr_topdown import layers
    from asr_topdown.runs import lora
    from asr_topdown.train.speech_task import SpeechTask

    def size(tensors: "Mapping[str, torch.Tensor]") -> int:
        own = [one for key, one in tensors.items() if lora.MARK not in key]
        return sum(one.numel() for one in own if isinstance(one, torch.nn.Parameter))

    sizes = {name: size(tensors) for name, tensors in layers.tensors_by_layer(model).items()}
    train, dev = (_size(experiment, data) for data in (experiment.train, experiment.dev))
    if isinstance(task, SpeechTask):
        train = replace(train, left_out=train.utterances - len(task.train))
        dev = replace(dev, left_out=dev.utterances - len(task.dev))
    about = About(sizes, train, dev, _machine(experiment), adapted=lora.adapted_layers(model))
    files.write_json(folder / NAME, {**asdict(about), "layers": [list(layer) for layer in sizes.items()]})


def add_products(folder: Path, products: str) -> None:
    """Complete about.json with what is known only after the training."""
    files.write_json(folder / NAME, {**files.read_json(folder / NAME), "products": products})


def read(folder: Path) -> About | None:
    """Read the output of `write`; None if there is none, or it is from another version."""
    path = folder / NAME
    if not path.exists():
        return None
    try:
        values = files.read_json(path)
        return About(
            layers={str(name): int(size) for name, size in values["layers"]},
            train=_read_size(values["train"]),
            dev=_read_size(values["dev"]),
            machine=str(values["machine"]),
            products=str(values.get("products", "")),
            adapted=tuple(values.get("adapted", ())),
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _read_size(values: Mapping[str, Any]) -> DataSize:
    return DataSize(
        name=str(values["name"]),
        utterances=int(values["utterances"]),
        words=int(values["words"]),
        hours=float(values["hours"]),
        licence=str(values.get("licence", "")),
        left_out=int(values.get("left_out", 0)),
    )


def _size(experiment: "Experiment", data: Path) -> DataSize:
    from asr_topdown.text.word_vocabulary import EOS, words_of

    if experiment.config.is_language_model:
        return DataSize(data.name, 0, sum(word != EOS for _, word in words_of(data)), 0.0)
    from asr_topdown.data import inputs

    texts = datadir.read_transcripts(data / "text")
    hours = inputs.seconds(data, experiment.config.features) / 3600
    return DataSize(
        name=data.name,
        utterances=len(texts),
        words=sum(len(text.split()) for text in texts.values()),
        hours=round(hours, 3),
        licence=licences.read(data),
    )


def _machine(experiment: "Experiment") -> str:
    import torch

    where = f"{_processor()}, {os.cpu_count()} processors"
    if experiment.device.startswith("cuda"):
        where = f"{torch.cuda.get_device_name(experiment.device)} in {where}"
    return f"{where}; Python {platform.python_version()}, PyTorch {torch.__version__}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
