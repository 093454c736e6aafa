"""What the rest of the house asks of a network, whatever its kind."""

import abc
from collections.abc import Sequence
from typing import Any, Protocol

from torch import Tensor, nn

from asr_topdown.layers import Layer
from asr_topdown.losses import ModelOutput


class Model(nn.Module, abc.ABC):
    """A network that is trained: a `Recognizer` or a language model.

    A class without code rather than a `Protocol`, because what is asked for is an `nn.Module` as well.
    """

    @abc.abstractmethod
    def layers(self) -> tuple[Layer, ...]:
        """The layers from input to output; every tensor and every dropout is in exactly one of them."""

    @abc.abstractmethod
    def forward_with_loss(self, batch: Any, hidden_state: Sequence[Tensor] = ()) -> ModelOutput:
        """Compute the losses of a batch.

        Args:
            batch: a `SpeechInput`, or of a language model a `TextInput`.
            hidden_state: what the output of the batch before holds under this name; () at the start of an
                epoch. A recogniser takes and gives none.
        """


class SpeechInput(Protocol):
    """What a recogniser reads of a batch; `data.batch.SpeechBatch` is one."""

    @property
    def feats(self) -> Tensor:
        """(B, T, D) features, or what encoder stage `start` - 1 gave."""
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
        """(B,) frames and (B,) units once more, on the CPU."""
        ...

    @property
    def start(self) -> int:
        """The encoder stage at which the batch enters."""
        ...


class TextInput(Protocol):
    """What a language model reads of a batch; `data.language_model.LanguageModelBatch` is one."""

    @property
    def words(self) -> Tensor:
        """(T, B) word ids; the columns are texts of their own."""
        ...

    @property
    def targets(self) -> Tensor:
        """(T, B) the word after each."""
        ...
