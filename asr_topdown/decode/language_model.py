"""A trained language model over a recogniser's units, as a `decode.scorer.Scorer`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from asr_topdown import config as configuration
from asr_topdown.build import fresh_model
from asr_topdown.config.decode import DecodeConfig
from asr_topdown.data.unit_text import unit_vocabulary
from asr_topdown.decode.model import load_best
from asr_topdown.logs import listed
from asr_topdown.models.awd_lstm import AwdLstm
from asr_topdown.text import Vocabulary
from asr_topdown.text.word_vocabulary import EOS, WordVocabulary

State = tuple[Tensor, ...]
"""Output and cell state of each LSTM, each (1, N, size)."""


@dataclass(frozen=True)
class LanguageModelScorer:
    """Scores the next unit with an LSTM language model.

    A sentence starts with `<eos>`, read in the model's initial state, and ends with it: the scores of its
    units and of its end add up to the model's log-probability of the sentence.

    Attributes:
        network: the language model, in eval mode.
        words: (V + 1,) the model's word ids for the recogniser's units 0 … V - 1 and `<sos/eos>`.
    """

    network: AwdLstm
    words: Tensor

    def init_state(self, memory: Tensor, lengths: Tensor) -> State:
        """Return the state before any label; only the length of `lengths` (B,) matters."""
        return self.network.init_state(len(lengths))

    @torch.no_grad()
    def score(self, state: State, tokens: Tensor) -> tuple[Tensor, State]:
        """Append `tokens` (N,); return (N, V + 1) log-probabilities (blank: -inf) and the new state.

        They are computed in float32, whatever the recogniser's precision (`decode.precision`).
        """
        with torch.autocast(tokens.device.type, enabled=False):
            _, hidden, after = self.network(self.words[tokens][None], state)
            log_probs = F.log_softmax(self.network.softmax(hidden[0]), dim=-1)
        log_probs = log_probs.index_select(1, self.words)
        log_probs[:, 0] = -torch.inf
        return log_probs, after

    def select(self, state: State, rows: Tensor, utterances: Tensor | None = None) -> State:
        """Return the state of the hypotheses `rows` (N',)."""
        return tuple(part.index_select(1, rows) for part in state)

    def join(self, states: Sequence[State]) -> State:
        """Concatenate the hypotheses of several states."""
        return tuple(torch.cat(parts, 1) for parts in zip(*states, strict=True))


def load_language_model(
    folder: Path | str, vocabulary: Vocabulary, device: torch.device | str = "cpu"
) -> LanguageModelScorer:
    """Read a language model's folder for a recogniser with the units `vocabulary`.

    Raises:
        ValueError: naming the folder, if it has no finished language model, or one with other units.
    """
    folder = Path(folder)
    if not (folder / "config.yaml").exists():
        raise ValueError(f"{folder}: not a model folder (no config.yaml)")
    config = configuration.load_saved(folder / "config.yaml")
    if not config.is_language_model:
        raise ValueError(f"{folder}: not a language model")
    dictionary = WordVocabulary.load(folder / "tokens.txt")
    places = _places(dictionary, vocabulary, folder)
    network = load_best(folder, fresh_model(config, len(dictionary), init_seed=0)).to(device).eval()
    assert isinstance(network, AwdLstm)
    return LanguageModelScorer(network, torch.tensor(places, device=device))


def configured_language_model(
    config: DecodeConfig, vocabulary: Vocabulary, device: torch.device
) -> LanguageModelScorer | None:
    """Load the configured language model, if it has a weight, for a recogniser with these units."""
    return load_language_model(config.lm, vocabulary, device) if config.lm and config.lm_weight else None


def _places(dictionary: WordVocabulary, vocabulary: Vocabulary, folder: Path) -> list[int]:
    """Return the model's word ids for the recogniser's units and the end; the blank, never read, gets any."""
    wanted, known = unit_vocabulary(vocabulary).words, {word: i for i, word in enumerate(dictionary.words)}
    lacking = [word for word in wanted if word not in known]
    surplus = sorted(set(known) - set(wanted))
    for words, problem in ((lacking, "lacks"), (surplus, "also has")):
        if words:
            raise ValueError(
                f"{folder}: the language model's units must be the recogniser's, but it {problem} "
                f"{listed(words)}; `asr-topdown prepare lm-text --tokens` with the recogniser's list makes a "
                "training text"
            )
    return [known[EOS], *(known[word] for word in wanted)]
