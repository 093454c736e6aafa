"""The plateau rule: a table of dev error curves, with the decision after every epoch."""

import math

import pytest

from asr_topdown import config as configuration
from asr_topdown.config.train import TrainConfig
from asr_topdown.train.plateau import DevScore, Plateau, Verdict, ranked
from asr_topdown.train.progress import Progress

LETTERS = {Verdict.BEST: "B", Verdict.WAIT: ".", Verdict.DECAY: "d", Verdict.STOP: "S"}
NAN = float("nan")


def verdicts(plateau: Plateau, scores: list[DevScore]) -> str:
    """A letter for each epoch, up to the one that stops."""
    letters = ""
    for epoch in range(1, len(scores) + 1):
        letters += LETTERS[plateau.verdict(scores[:epoch])]
        if letters[-1] == "S":
            break
    return letters


@pytest.mark.parametrize(
    ("rule", "errors", "expected"),
    [
        # patience alone
        ({"patience": 0}, [5, 6, 6, 6, 6, 4], "B....B"),
        ({"patience": 2}, [5, 4, 4, 4.5, 1], "BB.S"),
        ({"patience": 2}, [5, 6, 4, 5, 3, 9, 9], "B.B.B.S"),
        ({"patience": 1}, [5, 5], "BS"),
        # not a number is no improvement, and any number is better
        ({"patience": 3}, [NAN, 7, NAN, 6, NAN], ".B.B."),
        # decay in every epoch without improvement, or after some that are forgiven
        ({"patience": 0, "rule": "decay"}, [5, 6, 4, 4.5, 4.5], "BdBdd"),
        ({"patience": 0, "rule": "decay", "forgiven": 1}, [5, 6, 6, 6, 6, 4, 5, 5], "B.d.dB.d"),
        ({"patience": 3, "rule": "decay", "forgiven": 1}, [5, 6, 6, 6, 6], "B.dS"),
        # NT-ASGD (Merity et al. 2018): once, above the smallest error but for the last `forgiven`
        ({"patience": 0, "rule": "non_monotone"}, [1, 2, 3], "Bd."),
        ({"patience": 0, "rule": "non_monotone", "forgiven": 2}, [3, 2, 1, 2.5, 2.4, 2.3], "BBB.d."),
        ({"patience": 0, "rule": "non_monotone", "forgiven": 5}, [1 / n for n in range(1, 30)], "B" * 29),
    ],
)
def test_each_epoch_of_a_curve_is_judged(rule: dict[str, object], errors: list[float], expected: str) -> None:
    assert verdicts(Plateau(**rule), [DevScore(error) for error in errors]) == expected


def test_the_trigger_of_nt_asgd_is_the_published_one() -> None:
    """The published program, restated: this error is compared with all before it but the last five."""
    curve = [9.0, 8.0, 7.0, 6.0, 6.5, 6.4, 6.3, 6.2, 6.1, 6.05, 6.04, 5.0]
    recorded: list[float] = []
    while not (len(recorded) > 5 and curve[len(recorded)] > min(recorded[:-5])):
        recorded.append(curve[len(recorded)])
    # 6.05 (epoch 10) is the first that is compared with 6.0 (epoch 4).
    assert len(recorded) == 9
    plateau = Plateau(patience=0, rule="non_monotone", forgiven=5)
    assert verdicts(plateau, [DevScore(error) for error in curve]).index("d") == 9


@pytest.mark.parametrize(
    ("rule", "cers_and_losses", "expected"),
    [
        # nothing but blanks: the loss decides, and neither patience nor decay counts
        ({"patience": 2, "rule": "decay", "grace": 9}, [(1, 60), (1, 61), (1, 62), (1, 50)], "B..B"),
        ({"patience": 2, "rule": "decay", "grace": 9}, [(1, 60), (1.2, 55), (1.1, 56), (0.9, 70)], "BB.B"),
        # when something is recognised they do, from nought on
        ({"patience": 2, "grace": 9}, [(1, 60), (1, 61), (1, 61), (0.9, 50), (0.95, 49), (1, 48)], "B..B.S"),
        # and when the grace is over
        ({"patience": 2, "grace": 3}, [(1, 60), (1, 61), (1, 62), (1, 63), (1, 64)], "B...S"),
        ({"patience": 2, "grace": 0}, [(1, 60), (1, 61), (1, 62)], "B.S"),
    ],
)
def test_as_long_as_nothing_is_recognised_no_epoch_counts(
    rule: dict[str, object], cers_and_losses: list[tuple[float, float]], expected: str
) -> None:
    scores = [DevScore.of({"cer": cer, "loss": loss}, "cer") for cer, loss in cers_and_losses]
    assert verdicts(Plateau(**rule), scores) == expected


@pytest.mark.parametrize("metric", ["loss", "accuracy"])
def test_grace_is_for_every_metric(metric: str) -> None:
    dev = [{"cer": cer, "loss": 60.0, "accuracy": 0.3} for cer in (1.0, 1.0, 1.0, 0.9, 0.9)]
    plateau = Plateau(patience=2, grace=9)
    assert verdicts(plateau, [DevScore.of(metrics, metric) for metrics in dev]) == "B...S"


def test_ties_are_broken_by_the_loss() -> None:
    scores = [DevScore(0.5, loss) for loss in (3.0, 2.0, 2.5)]
    assert verdicts(Plateau(patience=0), scores) == "BB."
    assert ranked(scores) == [2, 3, 1]


def test_epochs_are_ranked_not_a_number_last_of_equal_ones_the_earlier_first() -> None:
    assert ranked([DevScore(error) for error in (2.0, NAN, 1.0, 2.0, 1.0)]) == [3, 5, 1, 4, 2]
    assert ranked([DevScore(1.0, NAN), DevScore(1.0, 9.0)]) == [2, 1]


def test_what_a_score_is_made_of() -> None:
    metrics = {"loss": 3.0, "cer": 0.25, "accuracy": 0.9}
    assert DevScore.of(metrics, "accuracy").error == pytest.approx(0.1)
    assert DevScore.of(metrics, "cer") == DevScore(0.25, 3.0)
    assert DevScore.of(metrics, "loss") == DevScore(3.0, 3.0)
    assert DevScore.of({"loss": 3.0, "cer": 1.5}, "cer") == DevScore(1.0, 3.0, silent=True)
    assert DevScore.of({"loss": 3.0, "ppl": math.exp(3)}, "loss") == DevScore(3.0, 3.0)
    with pytest.raises(ValueError, match=r"train\.metric: there is no dev accuracy, only cer, loss"):
        DevScore.of({"loss": 3.0, "cer": 0.25}, "accuracy")


def test_a_configuration_names_its_rule() -> None:
    def plateau(**optimizer: object) -> Plateau:
        return Plateau.of(TrainConfig(optimizer=optimizer, grace_epochs=7), 4)

    assert plateau() == Plateau(patience=4, rule="none", grace=7)
    decay = plateau(plateau="decay_lr", plateau_patience=2)
    assert decay == Plateau(patience=4, rule="decay", forgiven=2, grace=7)
    assert plateau(name="nt_asgd", plateau_patience=5).rule == "non_monotone"


@pytest.mark.parametrize("value", ["betas=[0.9, 2.0]", "betas=[-0.1, 0.9]", "rho=1.5", "rho=-1", "eps=0"])
def test_what_pytorch_would_refuse_is_refused_with_its_path(value: str) -> None:
    key = value.partition("=")[0]
    with pytest.raises(ValueError, match=rf"train\.optimizer\.{key}"):
        configuration.parse({}, [f"train.optimizer.{value}"])


def test_the_epoch_of_the_lowest_loss_need_not_be_the_best() -> None:
    progress = Progress(
        scores=[DevScore(0.5, 3.0), DevScore(0.6, 1.0), DevScore(0.4, 2.0), DevScore(0.7, 1.0)]
    )
    assert (progress.best_epoch, progress.lowest_loss_epoch) == (3, 2)
    assert Progress().lowest_loss_epoch == 0
    diverged = Progress(scores=[DevScore(math.nan, math.nan), DevScore(0.5, 2.0)])
    assert (diverged.best_epoch, diverged.lowest_loss_epoch) == (2, 2)
