"""A trained model's folder: everything that recognition needs."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from asr_topdown import config as configuration
from asr_topdown.build import fresh_model
from asr_topdown.config import Config
from asr_topdown.config.decode import DecodeConfig
from asr_topdown.config.identity import settings_hash
from asr_topdown.features.cmvn import Cmvn
from asr_topdown.files import read_json
from asr_topdown.hashes import cached_file_hash
from asr_topdown.logs import first_of, listed
from asr_topdown.models.model import Model
from asr_topdown.models.recognizer import Recognizer
from asr_topdown.nn.precision import set_tf32
from asr_topdown.text import Vocabulary, model_file
from asr_topdown.weights import check_numbers, load_weights, model_weights


@dataclass(frozen=True)
class TrainedModel:
    """A network in eval mode, with its configuration, units and normalisation."""

    folder: Path
    config: Config
    vocabulary: Vocabulary
    cmvn: Cmvn | None
    network: Recognizer
    device: torch.device


def load_trained(folder: Path | str, device: torch.device | str = "cpu") -> TrainedModel:
    """Read a model folder: config.yaml, tokens.txt (tokens.model too), cmvn.ark, done.json and the weights.

    Raises:
        ValueError: naming the file that is missing or does not fit.
    """
    folder, device = Path(folder), torch.device(device)
    best_epoch(folder)
    config = configuration.load_saved(folder / "config.yaml")
    if config.is_language_model:
        raise ValueError(f"{folder}: a language model, which cannot recognise speech")
    vocabulary = Vocabulary.load(folder / "tokens.txt")
    cmvn = Cmvn.load(folder / "cmvn.ark") if config.features.cmvn == "global" else None
    network = load_best(folder, fresh_model(config, len(vocabulary), init_seed=0))
    assert isinstance(network, Recognizer)
    set_tf32("float32", device)
    return TrainedModel(folder, config, vocabulary, cmvn, network.to(device).eval(), device)


def content_hash(folder: Path | str) -> str:
    """Hash everything in a model's folder that affects its output, not its path: 16 hex digits.

    Raises:
        ValueError: naming the file that is missing or damaged.
    """
    folder = Path(folder)
    weights, units = model_weights(folder, best_epoch(folder)), folder / "tokens.txt"
    parts = [configuration.load_saved(folder / "config.yaml").hash_of("features", "text", "model")]
    for path in (weights, units, model_file(units), folder / "cmvn.ark"):
        if path.exists():
            parts.append(cached_file_hash(path))
        elif path in (weights, units):
            raise ValueError(f"{path}: missing")
        else:
            parts.append("")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def decoder_hash(config: DecodeConfig) -> str:
    """Hash how a network is decoded, the settings and the language model's content: 16 hex digits.

    Raises:
        ValueError: naming the folder, if it holds no finished language model.
    """
    lm = content_hash(config.lm) if config.lm and config.lm_weight else ""
    return settings_hash({"decode": config.model_copy(update={"lm": lm})})


def load_best(folder: Path, network: Model) -> Model:
    """Load a model folder's weights, the averaged or else the best epoch's, into `network`; return it.

    Raises:
        ValueError: naming the file that is missing or does not fit, or the tensor that holds NaN.
    """
    weights = model_weights(folder, best_epoch(folder))
    state = load_weights(weights)
    if wrong := list(_misfits(state, network)):
        raise ValueError(f"{weights} does not fit {folder / 'config.yaml'}: {first_of(wrong, 1)}")
    check_numbers(weights, state)
    network.load_state_dict(state)
    return network


def _misfits(state: Mapping[str, Tensor], network: Model) -> Iterator[str]:
    """Iterate over the differences between weights and what `network` needs, a phrase per tensor."""
    wanted = network.state_dict()
    for key, tensor in wanted.items():
        if key not in state:
            yield f"{key} is missing"
        elif state[key].shape != tensor.shape:
            yield f"{key} must be {tuple(tensor.shape)}, got {tuple(state[key].shape)}"
    yield from (f"{key} is not in the network" for key in state if key not in wanted)


def models_below(folder: Path) -> list[Path]:
    """List the finished models of the experiments in or below `folder`: by study name, or else by node id."""
    for name in ("models", "nodes"):
        patterns = [f"{above}{name}/{below}" for above in ("", "*/", "*/*/") for below in ("*", "*/*")]
        found = {
            path for pattern in patterns for path in folder.glob(pattern) if (path / "done.json").exists()
        }
        if found:
            return sorted(found)
    return []


def best_epoch(folder: Path) -> int:
    """Return the number of the chosen epoch, from 1.

    Raises:
        ValueError: if the folder has no finished model; names it and the finished models below it.
    """
    done = folder / "done.json"
    if folder.is_symlink() and not folder.exists():
        raise ValueError(
            f"{folder}: a link to {folder.readlink()}, which is not there (`cp -rL` copies a network rather "
            "than the link to it)"
        )
    if not done.exists():
        below = models_below(folder)
        hint = f"; below it are {listed([str(path) for path in below])}" if below else ""
        raise ValueError(f"{folder}: not a finished model (no done.json){hint}")
    outcome = read_json(done)
    epoch = outcome.get("best_epoch") if isinstance(outcome, dict) else None
    if type(epoch) is not int:
        raise ValueError(f"{done}: damaged (no best_epoch)")
    return epoch
