"""Information about a network besides its errors: about.json in its folder.

It affects no result. It tells the report, and anyone who finds the folder, the names and sizes of the layers,
what the network was trained on, and where, without building the network or having the data.
"""

import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from asr_topdown import datadir, files
from asr_topdown.corpora import licences

if TYPE_CHECKING:
    from asr_topdown.models.model import Model
    from asr_topdown.runs.experiment import Experiment

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
    """

    name: str
    utterances: int
    words: int
    hours: float
    licence: str = ""


@dataclass(frozen=True)
class About:
    """The content of about.json.

    Attributes:
        layers: name -> number of parameters, input first.
        train: the training data.
        dev: the data on which the epoch was chosen.
        machine: processor or GPU, and versions.
        products: which library computed the float32 matrix products; "" until the training has ended.
    """

    layers: Mapping[str, int]
    train: DataSize
    dev: DataSize
    machine: str
    products: str = ""

    @property
    def parameters(self) -> int:
        """Of the whole network."""
        return sum(self.layers.values())


def write(folder: Path, model: "Model", experiment: "Experiment") -> None:
    """Write about.json to `folder`."""
    # Imported here: a report reads what was written, and needs no torch.
    import torch

    from asr_topdown import layers
    from asr_topdown.runs import lora

    def size(tensors: "Mapping[str, torch.Tensor]") -> int:
        own = [one for key, one in tensors.items() if lora.MARK not in key]
        return sum(one.numel() for one in own if isinstance(one, torch.nn.Parameter))

    sizes = {name: size(tensors) for name, tensors in layers.tensors_by_layer(model).items()}
    about = About(
        sizes, _size(experiment, experiment.train), _size(experiment, experiment.dev), _machine(experiment)
    )
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
            train=DataSize(**values["train"]),
            dev=DataSize(**values["dev"]),
            machine=str(values["machine"]),
            products=str(values.get("products", "")),
        )
    except (KeyError, TypeError, ValueError):
        return None


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
