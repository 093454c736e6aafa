"""From the discs of WSJ to Kaldi data directories."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from asr_topdown import datadir
from asr_topdown.corpora import counts
from asr_topdown.corpora.counts import Count
from asr_topdown.corpora.wsj import transcripts
from asr_topdown.corpora.wsj.sets import NEEDED, SETS, Entry, Index, WsjSet, read_index
from asr_topdown.corpora.wsj.speakers import genders
from asr_topdown.corpora.wsj.transcripts import Transcripts
from asr_topdown.corpora.wsj.tree import Tree
from asr_topdown.datadir import DataDir
from asr_topdown.logs import listed

_BY_NAME: Mapping[str, WsjSet] = {wsj_set.name: wsj_set for wsj_set in SETS}
_ID_LENGTH = 8  # speaker (3), type of text (1), session (2), utterance (2)


def prepare(out: Path, *, roots: Sequence[Path], sets: Sequence[str] = ()) -> list[DataDir]:
    """Write `out/<set>` for each set, with `spk2gender` if every speaker's gender is known.

    Args:
        out: folder for the data directories.
        roots: folders with discs, discs, or merged copies of WSJ0 and WSJ1.
        sets: names as in `SETS`; none = those of the recipe, and all others found.

    Raises:
        FileNotFoundError: if a folder is missing or has nothing of WSJ; naming the index file of a requested
            set that is missing.
        ValueError: if there are no roots; naming an unknown or empty set; naming file and line of what cannot
            be read.
    """
    if not roots:
        raise ValueError("the folders of LDC's discs must be given: --wsj0 DIR --wsj1 DIR")
    unknown = [name for name in sets if name not in _BY_NAME]
    if unknown:
        raise ValueError(f"--sets {unknown[0]}: must be one of {', '.join(_BY_NAME)}")
    tree = Tree(roots)
    spoken = Transcripts(tree)
    male_or_female = genders(tree)
    parts = []
    for wsj_set in [_BY_NAME[name] for name in sets] or SETS:
        entries = _entries(tree, wsj_set, needed=bool(sets) or wsj_set.name in NEEDED)
        if entries is None:
            print(f"no {wsj_set.name}: its index file or folder is missing")
            continue
        parts.append(_collect(tree, spoken, out / wsj_set.name, entries))
    # Nothing is written until everything has been found.
    datadir.write(*parts)
    for part in parts:
        _write_genders(part, male_or_female)
    counts.warn_of_others(count for part in parts for count in _counts(part))
    return parts


def _entries(tree: Tree, wsj_set: WsjSet, *, needed: bool) -> list[Entry] | None:
    """List a set's recordings; None if it is missing and not needed.

    Raises:
        FileNotFoundError: naming what is missing and needed.
    """
    entries: list[Entry] = []
    for index in wsj_set.indices:
        path = tree.find(index.name, index.disc)
        if path is not None:
            entries += read_index(path)
        elif needed:
            raise FileNotFoundError(_missing(wsj_set, index))
        else:
            return None
    if wsj_set.folder:
        entries = [Entry("", name) for name in tree.below(wsj_set.folder)]
        if not entries and needed:
            raise FileNotFoundError(
                f"{wsj_set.name}: no folder {wsj_set.folder} with recordings (disc 13-16.1)"
            )
    return entries or None


def _missing(wsj_set: WsjSet, index: Index) -> str:
    corpus, disc = index.name[:4].upper(), index.disc.replace("_", "-", 1).replace("_", ".")
    return (
        f"{wsj_set.name}: no index file {index.name} (disc {disc} of {corpus}); if you have only a part of "
        "WSJ, choose its sets with --sets"
    )


def _collect(tree: Tree, spoken: Transcripts, path: Path, entries: Iterable[Entry]) -> DataDir:
    wavs: dict[str, str] = {}
    texts: dict[str, str] = {}
    left_out: dict[str, list[str]] = {}
    for entry in entries:
        sound = tree.find(entry.name, entry.disc)
        utterance = entry.name.rpartition("/")[2].rpartition(".")[0]
        if len(utterance) != _ID_LENGTH:
            raise ValueError(
                f"{path.name}: {entry.name}: an utterance's name must have {_ID_LENGTH} characters"
            )
        raw = spoken.find(utterance)
        text = transcripts.normalise(raw or "")
        if sound is None:
            left_out.setdefault("is not on the discs", []).append(entry.name)
        elif raw is None:
            left_out.setdefault("has no transcript", []).append(utterance)
        elif not text:
            left_out.setdefault("has no words", []).append(utterance)
        else:
            wavs[utterance] = str(sound)
            texts[utterance] = text
    for reason, names in left_out.items():
        print(f"warning: {path.name}: left out {len(names)}, each {reason} ({listed(names)})")
    if not texts:
        raise ValueError(f"{path.name}: no utterances found; leave this set out with --sets")
    return DataDir(
        path=path, wavs=wavs, text=texts, utt2spk={utterance: utterance[:3] for utterance in texts}
    )


def _write_genders(part: DataDir, male_or_female: Mapping[str, str]) -> None:
    speakers = part.spk2utt()
    target = part.path / "spk2gender"
    unknown = [speaker for speaker in speakers if speaker not in male_or_female]
    if unknown:
        target.unlink(missing_ok=True)
        if male_or_female:
            print(f"{target}: not written, since {len(unknown)} of {len(speakers)} speakers are not listed")
        return
    datadir.write_table(target, {speaker: male_or_female[speaker] for speaker in speakers})


def _counts(part: DataDir) -> list[Count]:
    name = part.path.name
    known = _BY_NAME[name]
    words, characters = transcripts.count(part.text.values())
    return [
        Count(f"utterances, {name}", known.utterances, len(part.text)),
        Count(f"words, {name}", () if known.words is None else (known.words,), words),
        Count(f"characters, {name}", () if known.characters is None else (known.characters,), characters),
    ]
