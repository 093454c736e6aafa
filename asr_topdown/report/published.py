"""The paper's own numbers, and tables in its format: a row per system, a column per seed, "dev/test" in each.

Zhang et al. 2021, "Train your classifier first" (arXiv:2102.04697), Tables 2, 3 and 4.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from asr_topdown.report.records import Experiment
from asr_topdown.report.systems import System
from asr_topdown.report.table import Table
from asr_topdown.report.words import NOTHING
from asr_topdown.schedule.searches import SPECS


@dataclass(frozen=True)
class Row:
    """A row of the paper.

    Attributes:
        search: the corresponding search or control; None = no counterpart.
        label: what the paper calls it.
        cells: from seed 1 on.
        where: what the search records of the training; {} = where it ended.
        source: the kind of model whose layers it has (`_family`); "" = no other's.
    """

    search: str | None
    label: str
    cells: tuple[str, ...]
    where: Mapping[str, object] = field(default_factory=dict)
    source: str = ""

    def is_of(self, system: System, models: Mapping[str, Mapping[str, Any]]) -> bool:
        """Whether `system` is the corresponding row of ours; `models`: `Experiment.sources`."""
        if system.search != self.search:
            return False
        if self.source:
            return self.source == _family(models.get(getattr(system.point, "source_node", ""), {}))
        if self.where:
            return all(getattr(system.point, key, None) == value for key, value in self.where.items())
        return system.is_end or SPECS[system.search].rows == "each"


@dataclass(frozen=True)
class PaperTable:
    """A table of the paper.

    Attributes:
        title: which one.
        cell: the content of a cell.
        rows: of the model that is trained here.
        parts: of the set, whose word errors by NIST's rules a cell has; () = dev and test errors.
    """

    title: str
    cell: str
    rows: tuple[Row, ...]
    parts: tuple[str, ...] = ()


_A, _B = "blstm → ctc, attention", "vgg, blstm → ctc, attention"
_WSJ, _WSJ_CELL = "Table 2, WSJ si284", "CER dev93/eval92"
BLSTM_CTC = PaperTable(
    f"{_WSJ}, BLSTM-CTC",
    _WSJ_CELL,
    (
        Row("joint", "BLSTM-CTC, joint", ("12.4/9.7", "12.6/10.4", "12.6/10.2")),
        Row("greedy", "+ top-down (Algorithm 1)", ("10.8/8.2", "10.6/8.5", "11.5/8.9")),
        Row("freeze_lowest", "+ freeze the lowest layer, retrain the upper ones", ("13.1/10.5",)),
    ),
)
BLSTM_CTC_DROPOUT = PaperTable(
    f"{_WSJ}, BLSTM-CTC with dropout 0.5",
    _WSJ_CELL,
    (
        Row("joint", "BLSTM-CTC, dropout 0.5, joint", ("", "", "9.6/7.6")),
        Row("greedy", "+ top-down (Algorithm 1)", ("", "", "8.2/6.3")),
    ),
)
MODEL_A = PaperTable(
    f"{_WSJ}, BLSTM CTC-attention “A”",
    _WSJ_CELL,
    (
        Row("joint", "A, joint", ("8.0/6.2",)),
        Row("greedy", "A, softmax layers frozen from A", ("7.3/5.4",), {"frozen": 1}),
        Row("transplant", "A, softmax layers frozen from B", ("7.5/5.7",), source=_B),
    ),
)
MODEL_B = PaperTable(
    f"{_WSJ}, VGG-BLSTM CTC-attention “B”",
    _WSJ_CELL,
    (
        Row("joint", "B, joint", ("7.2/5.4",)),
        Row("greedy", "B, softmax layers frozen from B", ("7.0/5.2",), {"frozen": 1}),
        Row("transplant", "B, softmax layers frozen from A", ("6.7/5.2",), source=_A),
    ),
)
TRANSFORMER = PaperTable(
    "Table 3, Switchboard 300 h, Transformer CTC-attention",
    "WER Switchboard/CallHome of eval2000",
    (
        Row("joint", "joint", ("9.0/18.1",)),
        Row("greedy", "softmax layers frozen, rest retrained", ("8.6/17.2",), {"frozen": 1}),
    ),
    ("SWBD", "CallHome"),
)
_FROZEN_TOP = "topmost layer frozen, rest retrained"
AWD_LSTM = PaperTable(
    "Table 4, WikiText-2, AWD-LSTM",
    "perplexity dev/test",
    (
        Row(None, "AWD-LSTM as published (Merity et al. 2018)", ("68.6/65.8",)),
        Row("joint", "joint", ("68.7/65.6",)),
        Row("freeze_top", f"{_FROZEN_TOP}, seed 1", ("68.2/65.3",), {"repeat": 1}),
        Row("freeze_top", f"{_FROZEN_TOP}, seed 2", ("68.2/65.2",), {"repeat": 2}),
        Row("freeze_top", f"{_FROZEN_TOP}, seed 3", ("68.1/65.2",), {"repeat": 3}),
    ),
)
_BY_MODEL: Mapping[tuple[str, str], PaperTable] = {
    ("wsj", "blstm → ctc"): BLSTM_CTC,
    ("wsj", _A): MODEL_A,
    ("wsj", _B): MODEL_B,
    ("swbd", "conv2d, transformer → ctc, attention"): TRANSFORMER,
    ("wikitext2", "awd_lstm"): AWD_LSTM,
}


def published(experiment: Experiment) -> PaperTable | None:
    """The paper's table of the same corpus and the same kind of model, if there is one."""
    found = _BY_MODEL.get((experiment.corpus, _family(experiment.model)))
    if found is BLSTM_CTC and experiment.model["encoder"][0]["dropout"]:
        return BLSTM_CTC_DROPOUT
    return found


def _family(model: Mapping[str, Any]) -> str:
    """A language model's kind, or the kinds of a recogniser's stages and its heads."""
    if model.get("kind") != "recognizer":
        return str(model.get("kind", ""))
    heads = [head for head in ("ctc", "attention", "transducer", "label") if model[head] is not None]
    return f"{', '.join(stage['kind'] for stage in model['encoder'])} → {', '.join(heads)}"


def paper_table(
    experiment: Experiment, systems: Sequence[System], paper: PaperTable | None, *, name: str = "paper"
) -> Table:
    """The systems in the paper's format, next to the paper's own numbers, if any."""
    seeds = sorted({seed for system in systems for seed in system.nodes})
    columns = max((len(row.cells) for row in paper.rows), default=0) if paper else 0
    header = ["system", *(f"seed {seed}" for seed in seeds)]
    header += (
        [f"paper, seed {number + 1}" for number in range(columns)] if columns > 1 else ["paper"] * columns
    )
    sides = _sides(experiment, paper)
    rows, values, seen = [], [], []
    for system in systems:
        published_rows = paper.rows if paper else ()
        theirs = next((row for row in published_rows if row.is_of(system, experiment.sources)), None)
        seen.append(theirs)
        cells = [_cell(system, seed, list(sides.values())) for seed in seeds]
        label = f"{system.name} (paper: {theirs.label})" if theirs else system.name
        published_cells = _padded(theirs.cells if theirs else (), columns)
        rows.append([label, *cells, *published_cells])
        values.append(
            {"system": system.name, "paper": theirs.label if theirs else None}
            | {
                f"{side}_seed{seed}": known.get(system.nodes.get(seed, ""))
                for seed in seeds
                for side, known in sides.items()
            }
            | {
                f"paper_seed{number}": cell.replace(NOTHING, "")
                for number, cell in enumerate(published_cells, 1)
            }
        )
    for row in paper.rows if paper else ():
        if row not in seen:
            rows.append([f"paper only: {row.label}", *[NOTHING] * len(seeds), *_padded(row.cells, columns)])
    return Table(name, header, rows, values=values)


def cell_name(experiment: Experiment, paper: PaperTable | None) -> str:
    """The content of our cells."""
    return " / ".join(_sides(experiment, paper))


def _sides(experiment: Experiment, paper: PaperTable | None) -> Mapping[str, Mapping[str, float]]:
    """The two numbers of a cell: name -> node -> error."""
    if paper is None or not paper.parts:
        return {experiment.dev_name: experiment.dev, experiment.test_name: experiment.test}
    names = [f"{part} WER %" for part in paper.parts]
    scores = experiment.scores.items()
    return {name: {node: one.others[name] for node, one in scores if name in one.others} for name in names}


def _cell(system: System, seed: int, sides: Sequence[Mapping[str, float]]) -> str:
    node = system.nodes.get(seed, "")
    if not any(node in known for known in sides):
        return NOTHING
    mark = " (not taken)" if seed in system.rejected else ""
    return "/".join(_short(known.get(node)) for known in sides) + mark


def _short(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.1f}"


def _padded(cells: Sequence[str], columns: int) -> list[str]:
    return [cell or NOTHING for cell in [*cells, *[""] * (columns - len(cells))]]
