"""CTC prefix scores against sums over all alignments, against the plain recursion and against CTC's loss."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from asr_topdown.decode.ctc_prefix_score import CtcPrefixScorer, CtcPrefixState


def random_log_probs(*shape: int, seed: int, sharpness: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (sharpness * torch.randn(shape, generator=generator, dtype=torch.float64)).log_softmax(-1)


def collapse(alignment: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(label for label, _ in itertools.groupby(alignment) if label)


def text_probabilities(log_probs: torch.Tensor) -> dict[tuple[int, ...], float]:
    """The probability of every label sequence: the sum over all V ** T alignments of (T, V)."""
    probs = log_probs.exp().tolist()
    found: dict[tuple[int, ...], float] = {}
    for alignment in itertools.product(range(len(probs[0])), repeat=len(probs)):
        labels = collapse(alignment)
        chance = math.prod(frame[label] for frame, label in zip(probs, alignment, strict=True))
        found[labels] = found.get(labels, 0.0) + chance
    return found


def follow(scorer: CtcPrefixScorer, labels: tuple[int, ...]) -> CtcPrefixState:
    """The state of one hypothesis of each utterance."""
    state = scorer.start(1)
    for label in labels:
        row = torch.full((len(scorer.lengths), 1), label)
        state = scorer.extend(state, torch.zeros_like(row), row)
    return state


def plain_scores(log_probs: torch.Tensor, labels: tuple[int, ...]) -> tuple[dict[int, float], float]:
    """Frame by frame in probabilities, one hypothesis: the recursion as the papers print it, in (T, V)."""
    probs = log_probs.double().exp().tolist()
    end_label, end_blank = [0.0] * (len(probs) + 1), [1.0]
    for frame in probs:
        end_blank.append(end_blank[-1] * frame[0])
    before: int | None = None
    after: dict[int, float] = {}
    for label in (*labels, None):
        reach = {
            c: [b + (0.0 if c == before else n) for n, b in zip(end_label, end_blank, strict=True)]
            for c in range(1, len(probs[0]))
        }
        if label is None:
            after = {c: sum(r * frame[c] for r, frame in zip(reach[c], probs, strict=False)) for c in reach}
            break
        new_label, new_blank = [0.0], [0.0]
        for time, frame in enumerate(probs):
            new_blank.append((new_blank[-1] + new_label[-1]) * frame[0])
            new_label.append((new_label[-1] + reach[label][time]) * frame[label])
        end_label, end_blank, before = new_label, new_blank, label
    return after, end_label[-1] + end_blank[-1]


@pytest.mark.parametrize(("frames", "units"), [(1, 3), (4, 4), (6, 3), (5, 2)])
def test_a_score_is_the_sum_over_all_alignments_of_all_continuations(frames: int, units: int) -> None:
    log_probs = random_log_probs(frames, units, seed=frames, sharpness=2.0)
    chances = text_probabilities(log_probs)
    scorer = CtcPrefixScorer(log_probs[None], torch.tensor([frames]))
    for size in range(frames + 1):
        for labels in itertools.product(range(1, units), repeat=size):
            after, end = scorer.score(follow(scorer, labels))
            assert end.exp().item() == pytest.approx(chances.get(labels, 0.0), abs=1e-14)
            for label in range(1, units):
                longer = (*labels, label)
                expected = sum(p for text, p in chances.items() if text[: len(longer)] == longer)
                assert after[0, 0, label].exp().item() == pytest.approx(expected, abs=1e-14)


def test_equals_the_plain_recursion_on_a_whole_utterance() -> None:
    """60 frames and 14 labels with repeats among them; of the order of 1e-40, in single precision too."""
    log_probs = random_log_probs(60, 7, seed=1, sharpness=2.0)
    labels = (3, 3, 1, 5, 5, 5, 2, 6, 1, 1, 4, 2, 2, 3)
    for given, tolerance in ((log_probs, 1e-10), (log_probs.float(), 1e-5)):
        scorer = CtcPrefixScorer(given[None], torch.tensor([60]))
        for size in range(len(labels) + 1):
            after, end = scorer.score(follow(scorer, labels[:size]))
            expected, ends = plain_scores(log_probs, labels[:size])
            assert end.item() == pytest.approx(math.log(ends), abs=tolerance)
            for label, value in expected.items():
                assert after[0, 0, label].item() == pytest.approx(math.log(value), abs=tolerance)


def test_the_end_is_the_ctc_loss() -> None:
    """800 frames, 60 labels: log-probabilities around -2000."""
    log_probs = random_log_probs(2, 800, 30, seed=2)
    lengths = torch.tensor([800, 517])
    generator = torch.Generator().manual_seed(3)
    labels = torch.randint(1, 30, (60,), generator=generator)
    loss = F.ctc_loss(
        log_probs.transpose(0, 1), labels.expand(2, -1), lengths, torch.tensor([60, 60]), reduction="none"
    )
    scorer = CtcPrefixScorer(log_probs, lengths)
    _, end = scorer.score(follow(scorer, tuple(labels.tolist())))
    assert torch.allclose(-end[:, 0], loss, rtol=1e-12)


def test_a_hypothesis_is_the_sum_of_its_end_and_its_continuations() -> None:
    log_probs = random_log_probs(3, 200, 50, seed=4, sharpness=3.0)
    scorer = CtcPrefixScorer(log_probs, torch.tensor([200, 150, 9]))
    labels = (7, 7, 30, 2)
    before, _ = scorer.score(follow(scorer, labels[:-1]))
    after, end = scorer.score(follow(scorer, labels))
    whole = torch.logaddexp(after.logsumexp(2), end)
    assert torch.allclose(whole, before[:, :, labels[-1]], rtol=0, atol=1e-9)


def test_padding_and_company_change_nothing() -> None:
    log_probs = random_log_probs(4, 40, 6, seed=5)
    lengths = torch.tensor([40, 31, 7, 0])
    padded = torch.nn.functional.pad(log_probs, (0, 0, 0, 9), value=torch.nan)
    padded[1, 31:] = torch.nan
    together = CtcPrefixScorer(padded, lengths)
    labels = (2, 2, 5)
    after, end = together.score(follow(together, labels))
    for row, length in enumerate(lengths.tolist()):
        alone = CtcPrefixScorer(log_probs[row : row + 1, :length], lengths[row : row + 1])
        one, its_end = alone.score(follow(alone, labels))
        assert torch.allclose(after[row], one[0], rtol=0, atol=1e-10)
        assert torch.allclose(end[row], its_end[0], rtol=0, atol=1e-10)
    kept, state = together.select(follow(together, labels), torch.tensor([1, 2]))
    assert torch.equal(kept.score(state)[0], after[1:3])


def test_hypotheses_side_by_side_and_chosen_candidates() -> None:
    """Three hypotheses with parents in any order equal three alone; a few labels equal those among all."""
    log_probs = random_log_probs(2, 30, 8, seed=6)
    scorer = CtcPrefixScorer(log_probs, torch.tensor([30, 22]))
    state = scorer.start(3)
    texts: list[list[tuple[int, ...]]] = [[()] * 3, [()] * 3]
    generator = torch.Generator().manual_seed(7)
    for _ in range(5):
        origin = torch.randint(3, (2, 3), generator=generator)
        labels = torch.randint(1, 4, (2, 3), generator=generator)
        state = scorer.extend(state, origin, labels)
        texts = [
            [(*texts[row][parent], label) for parent, label in zip(parents, new, strict=True)]
            for row, (parents, new) in enumerate(zip(origin.tolist(), labels.tolist(), strict=True))
        ]
    after, end = scorer.score(state)
    for row in range(2):
        for slot in range(3):
            one, its_end = scorer.score(follow(scorer, texts[row][slot]))
            assert torch.allclose(after[row, slot], one[row, 0], rtol=0, atol=1e-12)
            assert torch.allclose(end[row, slot], its_end[row, 0], rtol=0, atol=1e-12)
    chosen = torch.randint(8, (2, 3, 4), generator=generator)
    chosen[:, :, 0] = state.last
    some, same_end = scorer.score_some(state, chosen)
    assert torch.allclose(some, after.gather(2, chosen), rtol=0, atol=1e-12)
    assert torch.equal(same_end, end)


def test_what_cannot_be_is_far_below_all_that_can() -> None:
    """More labels than frames, repeats without room for a blank, labels of probability zero."""
    log_probs = torch.full((1, 4, 4), -torch.inf)
    log_probs[0, range(4), [1, 1, 0, 2]] = 0.0
    scorer = CtcPrefixScorer(log_probs, torch.tensor([4]))
    after, end = scorer.score(follow(scorer, (1,)))
    assert after[0, 0].tolist() == [pytest.approx(x) for x in (-1e30, -1e30, 0.0, -1e30)]
    assert end.item() < -1e4
    after, end = scorer.score(follow(scorer, (1, 2)))
    assert end.item() == pytest.approx(0.0)
    assert (after < -1e4).all()
    after, end = scorer.score(follow(scorer, (2, 2, 2)))
    assert torch.isfinite(after).all()
    assert (after < -1e4).all()
    assert end.item() < -1e4
