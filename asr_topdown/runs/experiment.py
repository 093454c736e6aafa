"""A configuration with its training data, and the nodes that start from it."""

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from asr_topdown import datadir, layers
from asr_topdown.build import fresh_model
from asr_topdown.config import Config
from asr_topdown.data import inputs
from asr_topdown.data.language_model import content_hash as text_hash
from asr_topdown.data.unknown_units import check_units
from asr_topdown.features.cmvn import Cmvn
from asr_topdown.features.content import making
from asr_topdown.models.model import Model
from asr_topdown.schedule import layer_patterns
from asr_topdown.schedule.node import Node
from asr_topdown.text import Vocabulary
from asr_topdown.text.word_vocabulary import WordVocabulary


@dataclass(frozen=True)
class Experiment:
    """A configuration with its training data.

    The hashed content is read once; a copy in another process reads the data again.

    Attributes:
        config: all settings.
        train: training data directory with cmvn.ark; for a language model, a text.
        dev: data directory, or text, for epoch selection and early stopping.
        tokens: the vocabulary file; for a language model, one word per line.
        device: where to train.
        cmvn_source: folder whose cmvn.ark normalises the features; None = `train`.
    """

    config: Config
    train: Path
    dev: Path
    tokens: Path
    device: str = "cpu"
    cmvn_source: Path | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @functools.cached_property
    def id(self) -> str:
        """Hash of what determines a training besides its node: settings, dev set, units, normalisation.

        Raises:
            ValueError, FileNotFoundError: naming what is missing, or has features with other settings.
        """
        digest = hashlib.sha256(self.config.identity().encode())
        digest.update(self._content_hash(self.dev).encode())
        digest.update(self.tokens.read_bytes())
        if not self.config.is_language_model:
            digest.update(self.vocabulary().model)
        if self.has_cmvn:
            digest.update(self._cmvn_file.read_bytes())
        return digest.hexdigest()[:16]

    @functools.cached_property
    def train_set(self) -> str:
        """Hash of the training data's content.

        Raises:
            as `id`.
        """
        return self._content_hash(self.train)

    def owns(self, node: Node) -> bool:
        """Whether `node` is a training of this configuration on the current data."""
        now = replace(self)
        return (now.id, now.train_set) == (node.experiment, node.train_set)

    def check(self) -> list[str]:
        """Check settings and transcripts before anything is trained.

        Returns:
            remarks on parts of transcripts that become `<unk>`, and on dev utterances that are trained on.

        Raises:
            ValueError: naming the file and the characters, if too many do; naming a layer of `train.layer_l2`
                that the network does not have.
        """
        if self.config.train.layer_l2:
            layer_patterns.assign(self.layer_names(), self.config.train.layer_l2, what="train.layer_l2")
        if self.config.is_language_model:
            return []
        vocabulary = self.vocabulary()
        texts = [data / "text" for data in (self.train, self.dev)]
        tables = [datadir.read_transcripts(text) for text in texts]
        remarks = [
            check_units(table.values(), text, vocabulary, self.tokens)
            for text, table in zip(texts, tables, strict=True)
        ]
        return [remark for remark in (*remarks, self._shared(*tables)) if remark]

    def _shared(self, train: Mapping[str, str], dev: Mapping[str, str]) -> str:
        if not (shared := len(train.items() & dev.items())):
            return ""
        return (
            f"{self.dev}: {shared} of {len(dev)} utterances are in {self.train}, too, with the same "
            "transcripts: epochs and networks are chosen by what was trained on"
        )

    def joint(self, seed: int) -> Node:
        """The joint training with initial weights `seed`."""
        return Node(
            experiment=self.id,
            train_set=self.train_set,
            init_seed=seed,
            epochs=self.config.train.epochs,
            patience=self.config.train.patience,
        )

    def vocabulary(self) -> Vocabulary:
        """The output units of a recogniser.

        Raises:
            ValueError: naming the file, if its units differ from the configuration's.
        """
        vocabulary, text = Vocabulary.load(self.tokens), self.config.text
        size = text.vocab_size if vocabulary.model else len(vocabulary)
        if (vocabulary.unit, len(vocabulary)) != (text.unit, size):
            raise ValueError(
                f"{self.tokens}: holds {len(vocabulary)} {vocabulary.unit} units, the configuration wants "
                f"{f'{size} ' if vocabulary.unit == text.unit else ''}{text.unit}: "
                "make it again with `asr-topdown tokens`"
            )
        return vocabulary

    def word_vocabulary(self) -> WordVocabulary:
        """The vocabulary of a language model."""
        return WordVocabulary.load(self.tokens)

    def units(self) -> Vocabulary | WordVocabulary:
        """The network's output units, whatever its kind."""
        return self.word_vocabulary() if self.config.is_language_model else self.vocabulary()

    def fresh_model(self, init_seed: int) -> Model:
        """A network with the initial weights of `init_seed`."""
        return fresh_model(self.config, len(self.units()), init_seed)

    def layer_names(self) -> tuple[str, ...]:
        """The network's layers, input first."""
        return layers.layer_names(self.fresh_model(0))

    def cmvn(self) -> Cmvn | None:
        """Global normalisation statistics, if the configuration uses them."""
        return Cmvn.load(self._cmvn_file) if self.has_cmvn else None

    def _content_hash(self, path: Path) -> str:
        if self.config.is_language_model:
            return text_hash(path)
        return inputs.content_hash(path, self.config.features)

    @property
    def has_cmvn(self) -> bool:
        """Whether features are normalised by global statistics."""
        return self.config.features.cmvn == "global" and not self.config.is_language_model

    @property
    def _cmvn_file(self) -> Path:
        file = (self.cmvn_source or self.train) / "cmvn.ark"
        if not file.is_file():
            elsewhere = " --out DIR" if self.config.features.kind == "given" else ""  # not overwritten
            hint = f"; run `{making(self.train)}{elsewhere}`, which writes that of its first directory"
            raise FileNotFoundError(f"{file}: no such file{'' if self.cmvn_source else hint}")
        return file
