"""The glossary of a report."""

from asr_topdown.report.document import Terms

GLOSSARY = Terms(
    (
        ("joint training", "all layers trained together from random weights; where every schedule starts"),
        ("block", "adjacent layers that a schedule freezes or retrains as one; often a single layer"),
        ("frozen", "transferred and no longer trained"),
        ("new weights, re-initialised", "new random initial weights"),
        ("trained on", "the weights of the parent network, trained further"),
        (
            "retraining",
            "a training that starts from another network: some layers frozen, the rest new or kept",
        ),
        ("step i", "a retraining with the top i blocks frozen, from the best network so far (Algorithm 1)"),
        (
            "M(i, j, ..., r)",
            "a cascade in the paper's notation: first the top i blocks were frozen and the rest retrained, "
            "then the top i + j, and so on; r blocks were retrained last; trees count layers, not blocks",
        ),
        (
            "top-down",
            "where Algorithm 1 ended: it freezes one more block while the dev error (with "
            "`schedule.criterion: loss`, the dev loss) does not grow",
        ),
        ("classifier", "the top block or blocks: the output layer, sometimes with the layer below it"),
        (
            "as many trainings from scratch",
            "a control: as many joint trainings as the search has trainings, the best on dev chosen; equal "
            "compute, unless the search ends most of its own early (successive halving)",
        ),
        (
            "as many epochs of joint training",
            "another control: one joint training for as many epochs as all trainings of the search together",
        ),
        ("seed", "determines the initial weights and all other randomness of a training"),
        ("dev", "the data on which epochs and networks were chosen; test data choose nothing"),
        (
            "CER, WER, label error",
            "character and word error rate: substitutions, deletions and insertions per reference unit; if a "
            "whole utterance has one label, the share of wrong labels",
        ),
        (
            "ECE, confidence, accuracy, entropy",
            "expected calibration error of the CTC output's most probable units: the mean gap between their "
            "posteriors and the share that is right; their mean posterior; the share that is right; the "
            "entropy of a frame's posteriors",
        ),
        ("±", "the standard deviation over the seeds; where a table counts trainings, over these"),
        (
            "Δ, interval, p, corrected p",
            "a difference of two means over the seeds, its 95 % confidence interval, the probability of one "
            "as large between equal systems, and that probability corrected for the number of comparisons "
            "in the table (Holm); docs/statistics.md says how they are computed",
        ),
        ("node", "one training, named by a hash of everything that determines its result"),
        ("study", "the result of one `asr-topdown topdown` command: a search and its controls, all seeds"),
    )
)
