"""What a label-synchronous search requires of a model that scores the next label."""

from collections.abc import Sequence
from typing import Any, Protocol

from torch import Tensor


class Scorer(Protocol):
    """Gives log-probabilities of the next label; an attention decoder or a language model.

    Units are the vocabulary's, 0 … V - 1 with the blank at 0, and `<sos/eos>` with id V, which starts every
    hypothesis and ends it. The search never chooses the blank, so its column may hold anything; better leave
    it out of the normalisation.

    The N = B x k rows are `k` hypotheses for each of B utterances, those of an utterance adjacent. States are
    opaque to the search and never changed in place. `models.heads.attention.AttentionScorer` is a scorer, and
    so is a language model over the same units: shallow fusion adds its weighted log-probabilities
    (Gulcehre et al. 2015, arXiv:1503.03535).
    """

    def init_state(self, memory: Tensor, lengths: Tensor) -> Any:
        """Return the state before any label, one hypothesis per utterance.

        Args:
            memory: (B, T, D) encoder output; a language model ignores it.
            lengths: (B,) its lengths; a language model needs only B and the device.
        """
        ...

    def score(self, state: Any, tokens: Tensor) -> tuple[Tensor, Any]:
        """Append `tokens` (N,), ids 0 … V; return (N, V + 1) float32 log-probabilities and the new state."""
        ...

    def select(self, state: Any, rows: Tensor, utterances: Tensor | None = None) -> Any:
        """Return the state of the hypotheses `rows` (N',), equally many per utterance, adjacent.

        `rows` are indices into the N old rows, of the same utterance, repeats allowed. With `utterances`
        (B',) only these are kept, and `rows` has only their hypotheses; a state without anything per
        utterance may ignore it.
        """
        ...


class LabelScorer(Scorer, Protocol):
    """A scorer of labels without audio, with a state per hypothesis only: a language model."""

    def join(self, states: Sequence[Any]) -> Any:
        """Concatenate the hypotheses of several states."""
        ...
