"""The interface of all networks to the rest of the package."""

import abc
from collections.abc import Sequence
from typing import Any, Protocol

from torch import Tensor, nn

from asr_topdown.layers import Layer
from asr_topdown.losses import ModelOutput


class Model(nn.Module, abc.ABC):
    """A network that is trained: a `Recognizer` or a language model.

    A class without code rather than a `Protocol`, because it must be an `nn.Module` as well.
    """

    @abc.abstractmethod
    def layers(self) -> tuple[Layer, ...]:
        """The layers from input to output; every tensor and every dropout is in exactly one of them."""

    @abc.abstractmethod
    def forward_with_loss(self, batch: Any, hidden_state: Sequence[Tensor] = ()) -> ModelOutput:
        """Compute the losses of a batch.

        Args:
            batch: a `SpeechInput`, or for a language model a `TextInput`.
            hidden_state: from the previous batch's output; () at the start of an epoch. Recognisers have
                none.
        """


class SpeechInput(Protocol):
    """A recogniser's interface to a batch; `data.batch.SpeechBatch` is one."""

    @property
    def feats(self) -> Tensor:
        """(B, T, D) features, or the output of encoder stage `start` - 1."""
        ...

    @property
    def feat_lengths(self) -> Tensor:
        """(B,) frames."""
        ...

    @property
    def tokens(self) -> Tensor:
        """(B, L) units."""
        ...

    @property
    def token_lengths(self) -> Tensor:
        """(B,) units."""
        ...

    @property
    def host_lengths(self) -> tuple[Tensor, Tensor]:
        """(B,) frames and (B,) units as above, on the CPU."""
        ...

    @property
    def start(self) -> int:
        """The encoder stage at which the batch enters."""
        ...


class TextInput(Protocol):
    """A language model's interface to a batch; `data.language_model.LanguageModelBatch` is one."""

    @property
    def words(self) -> Tensor:
        """(T, B) word ids; the columns are separate texts."""
        ...

    @property
    def targets(self) -> Tensor:
        """(T, B) the word after each."""
        ...
