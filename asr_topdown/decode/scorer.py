"""What a label-synchronous search asks of a model that scores the next label: decoder or language model."""

from collections.abc import Sequence
from typing import Any, Protocol

from torch import Tensor


class Scorer(Protocol):
    """Labels in, log-probabilities of the next label out; nothing is imported to be one.

    Units are the vocabulary's, 0 … V - 1 with the blank at 0, and `<sos/eos>` with id V: the first label
    given to every hypothesis, and the one whose probability is that of the hypothesis's end. The search never
    chooses the blank, so its column may hold anything; whoever normalises had better leave it out.

    N = B x k rows are `k` hypotheses of each of B utterances, an utterance's side by side. States are never
    changed in place; what a state is, the search does not know. `models.heads.attention.AttentionScorer`
    is one, and so is any language model over the same units: shallow fusion adds its log-probabilities times
    a weight (Gulcehre et al. 2015, arXiv:1503.03535).
    """

    def init_state(self, memory: Tensor, lengths: Tensor) -> Any:
        """The state before any label, one hypothesis per utterance.

        Args:
            memory: (B, T, D) encoder output. A language model has no use for it.
            lengths: (B,) its lengths; of use for B and the device at least.
        """
        ...

    def score(self, state: Any, tokens: Tensor) -> tuple[Tensor, Any]:
        """Append `tokens` (N,), ids 0 … V -> (N, V + 1) float32 log-probabilities of the next, new state."""
        ...

    def select(self, state: Any, rows: Tensor, utterances: Tensor | None = None) -> Any:
        """The state of the hypotheses `rows` (N',), again equally many for each utterance, side by side.

        A row comes from its own utterance, any number of times. With `utterances` (B',) the others are
        dropped, and `rows` (indices into the N old rows) lists hypotheses of these only; a state that holds
        nothing per utterance may ignore it.
        """
        ...


class LabelScorer(Scorer, Protocol):
    """A scorer of labels alone, whose state holds rows and nothing per utterance: a language model."""

    def join(self, states: Sequence[Any]) -> Any:
        """The hypotheses of several states in one, those of the first state first."""
        ...
