"""The errors of an experiment's networks on one set, as written by `decode` and `score` to EXP/decode."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from asr_topdown import datadir
from asr_topdown.files import read_json
from asr_topdown.hashes import file_hash, state_of
from asr_topdown.report.records import LABELS, LANGUAGE, Kind, Score
from asr_topdown.runs.decodings import differences, record_of
from asr_topdown.score.errors import RATE_KEYS, RATE_NAMES, SPLITTERS, ErrorCounts, Unit, count_all, counted

_PIECES = 100


@dataclass(frozen=True)
class Scores:
    """What was found.

    Attributes:
        scores: node id -> its errors.
        notes: what cannot be compared, and why.
    """

    scores: Mapping[str, Score]
    notes: tuple[str, ...]


def read(root: Path, set_name: str, kinds: Mapping[str, Kind]) -> Scores:
    """Read EXP/decode/*/`set_name`.

    Args:
        root: the experiment folder.
        set_name: the set, or text.
        kinds: node id -> what its errors are; other nodes are left out.

    Raises:
        ValueError: one line naming a file that is damaged.
    """
    found: dict[str, Score] = {}
    notes = []
    decoded = []
    for node, kind in kinds.items():
        folder = root / "decode" / node / set_name
        if not (folder / "result.json").exists():
            continue
        stale = ""
        if kind is LANGUAGE:
            found[node], note = _perplexity(folder)
        elif _is_silent(folder):
            note = f"All transcripts of {set_name} are empty: there is no error rate."
        else:
            score, note = _decoding(folder, root, kind)
            hub5, stale = _hub5(folder)
            found[node] = replace(score, others={**score.others, **hub5})
            decoded.append(folder)
        notes += [one for one in (note, stale) if one]
    notes += _differences(decoded, root)
    return Scores(found, tuple(notes))


def _is_silent(folder: Path) -> bool:
    """Whether all references are empty."""
    recorded = record_of(folder)
    return any(key in recorded and recorded[key] is None for key in RATE_KEYS.values())


def _differences(folders: Sequence[Path], root: Path) -> list[str]:
    """Notes on decodings that are older than the data, or from different decoders, set by set."""
    of_sets: dict[Path, list[Path]] = {}
    for folder in folders:
        reference = _find(str(record_of(folder)["reference"]), root)
        if reference is not None:
            of_sets.setdefault(reference.parent, []).append(folder)
    return [note for data, own in of_sets.items() for note in differences(own, data)]


def _decoding(folder: Path, root: Path, kind: Kind) -> tuple[Score, str]:
    """The scored transcripts in `folder`, and a note if they cannot be compared."""
    path = folder / "result.json"
    recorded = record_of(folder)
    units = counted("label" if kind is LABELS else "")
    try:
        reference = _find(str(recorded["reference"]), root)
        rates = {_shown(unit): float(recorded[RATE_KEYS[unit]]) for unit in units}
        seconds, audio_seconds = float(recorded["seconds"]), float(recorded["audio_seconds"])
        nlsyms = tuple(recorded.get("decode", {}).get("nlsyms", ()))
        kept = recorded.get("calibration") or {}
        calibration = {str(name): float(value) for name, value in kept.items() if value is not None}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: not the result of a decoding ({error!r})") from error
    if reference is None:
        others = {name: 100 * rate for name, rate in rates.items() if name != kind.error}
        note = f"The reference {recorded['reference']} no longer exists: its error rates are not compared."
        return Score(rates[kind.error], {}, others, seconds, audio_seconds), note
    texts, truth = datadir.read_transcripts(folder / "text"), _table(reference)
    if texts.keys() != truth.keys():
        odd = min(texts.keys() ^ truth.keys())
        raise ValueError(
            f"{folder / 'text'}: does not fit {reference}: utterance {odd} is only in one of them"
        )
    pairs = [(truth[key], texts[key]) for key in truth]
    by_unit = {_shown(unit): _counts(pairs, unit, nlsyms) for unit in units}
    total = {name: sum(counts, ErrorCounts()).rate for name, counts in by_unit.items()}
    counts = ((float(one.errors), float(one.reference)) for one in by_unit[kind.error])
    score = Score(
        rate=total[kind.error],
        parts=dict(zip(truth, counts, strict=True)),
        others={name: 100 * rate for name, rate in total.items() if name != kind.error},
        seconds=seconds,
        audio_seconds=audio_seconds,
        texts=texts,
        transcripts=truth,
        calibration=calibration,
    )
    return score, ""


def _shown(unit: Unit) -> str:
    """As a `Kind` calls it."""
    return f"{RATE_NAMES[unit]} %"


def _counts(pairs: Sequence[tuple[str, str]], unit: Unit, nlsyms: Sequence[str]) -> list[ErrorCounts]:
    split = SPLITTERS[unit]
    return count_all((split(one, nlsyms), split(two, nlsyms)) for one, two in pairs)


def _hub5(folder: Path) -> tuple[dict[str, float], str]:
    """NIST's word error rates of the parts of eval2000 and RT-03, if `score --stm --glm` wrote them, and a
    note if it did so for other transcripts.
    """
    path = folder / "hub5.json"
    if not path.exists():
        return {}, ""
    try:
        kept = read_json(path)
        parts = kept["scores"].items()
        rates = {
            f"{name} WER %": 100 * float(part["rate"]) for name, part in parts if part["rate"] is not None
        }
        text = kept.get("text")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: not the Hub-5 scores of a decoding ({error!r})") from error
    if text != file_hash(folder / "text"):
        return {}, (
            "Some Hub-5 word errors are left out, for they are of earlier transcripts: "
            "run `asr-topdown score` with --stm and --glm again."
        )
    return rates, ""


def _perplexity(folder: Path) -> tuple[Score, str]:
    """The perplexity in `folder`, and a note if the losses of the text's spans were not stored.

    The parts are pieces of adjacent spans: single spans are not independent, since an
    article continues from one to the next.
    """
    path = folder / "result.json"
    recorded = record_of(folder)
    try:
        loss, seconds = float(recorded["loss"]), float(recorded["seconds"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: not the perplexity of a text ({error!r})") from error
    spans = folder / "spans.json"
    if not spans.exists():
        note = "Some perplexities were computed without the loss of each span: run `asr-topdown score` again"
        return Score(loss, {}, {}, seconds), f"{note} for intervals."
    values = read_json(spans)
    try:
        pieces = np.array_split(np.array([values["nats"], values["words"]], float), _PIECES, axis=1)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{spans}: not the losses of a text's spans ({error!r})") from error
    parts = {str(number): piece.sum(1).tolist() for number, piece in enumerate(pieces) if piece.size}
    return Score(loss, parts, {}, seconds), ""


def _table(path: Path) -> dict[str, str]:
    """The reference shared by all decodings, read once."""
    return _table_in_state(path, str(state_of(path)))


@functools.lru_cache(maxsize=4)
def _table_in_state(path: Path, state: str) -> dict[str, str]:
    return datadir.read_transcripts(path)


def _find(reference: str, root: Path) -> Path | None:
    """Resolve a recorded path, relative to the recipe's folder, which is one of the experiment's parents."""
    places = [root, *root.resolve().parents, Path.cwd()]
    return next((place / reference for place in places if (place / reference).is_file()), None)
