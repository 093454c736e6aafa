"""What the words of a report mean."""

from asr_topdown.report.document import Terms

GLOSSARY = Terms(
    (
        ("joint training", "all layers trained together from random weights; where every schedule starts"),
        ("block", "neighbouring layers that a schedule freezes or retrains as one; often a single layer"),
        ("frozen", "taken over and not trained any more"),
        ("new weights, re-initialised", "random initial weights again"),
        ("trained on", "the weights of the network it starts from, trained further"),
        (
            "retraining",
            "a training that starts from another network: some layers frozen, the rest new or kept",
        ),
        ("step i", "a retraining with the top i blocks frozen, from the best network so far (Algorithm 1)"),
        (
            "M(i, j, ..., r)",
            "a cascade in the paper's notation: first the top i blocks were frozen and the rest retrained, "
            "then the top i + j, and so on; r blocks were retrained last",
        ),
        ("top-down", "where Algorithm 1 ended: it freezes one block more while the dev error does not grow"),
        ("classifier", "the top block or blocks: the output layer, sometimes with the layer below it"),
        (
            "as many trainings from scratch",
            "a control with equal compute: joint training as often as the search trained, the best on dev",
        ),
        (
            "as many epochs of joint training",
            "another one: a single joint training for as many epochs as all trainings of the search together",
        ),
        ("seed", "what decides the initial weights and all other chance of a training"),
        ("dev", "the data that chose epochs and networks; test data choose nothing"),
        (
            "CER, WER, label error",
            "character and word error rate: substitutions, deletions and insertions per unit said; where a "
            "whole utterance has one label, the share of wrong ones",
        ),
        (
            "ECE, confidence, accuracy, entropy",
            "expected calibration error of the CTC output's most probable units: how far the share of right "
            "ones is from the posteriors, on average; their mean posterior; the share of right ones; how "
            "spread out a frame's posteriors are",
        ),
        ("±", "the standard deviation over the seeds"),
        (
            "Δ, interval, p, corrected p",
            "a difference of two means over the seeds, the range that holds it with 95 % confidence, the "
            "chance of one as large between equal systems, and that chance given how many comparisons the "
            "table makes (Holm); docs/statistics.md says how they are computed",
        ),
        ("node", "one training, named by a hash of all that decides its result"),
        ("study", "what one call of `asr-topdown topdown` asked for: a search and its controls, all seeds"),
    )
)
