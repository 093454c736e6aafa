"""`fsdd --task digit` or `speaker`: single recordings of the Free Spoken Digit Dataset, labelled.

For digits, fold k tests on speaker k and uses the next one as dev set, as for connected digits. For speakers,
who must all be in the training set, fold k tests on the recordings whose index modulo six is k, and uses
those with the next index as dev set.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from asr_topdown import datadir
from asr_topdown.corpora import fsdd
from asr_topdown.datadir import DataDir

Task = Literal["digit", "speaker"]
TASKS: tuple[Task, ...] = get_args(Task)
FOLDS = len(fsdd.SPEAKERS)


def prepare(
    out: Path, *, task: Task, source: Path | None = None, downloads: Path | None = None, fold: int = 0
) -> list[DataDir]:
    """Write `out/train`, `out/dev`, `out/test`; the sound is not copied.

    Args:
        out: folder for the three data directories.
        task: the label: the digit as a word, or the speaker's name.
        source: folder with the recordings, or one with `recordings` at any depth; None downloads it.
        downloads: folder for downloads; None is `downloads` next to `out`.
        fold: 0 to 5.

    Raises:
        OSError, ValueError: as in `fsdd.prepare`; naming the fold, if one of its sets has no recording.
    """
    recordings = fsdd.find_recordings(source or fsdd.fetch(downloads or out.parent / "downloads"))
    found: dict[str, list[_Labelled]] = {name: [] for name in fsdd.speakers_of(fold)}
    for speaker, wavs in recordings.items():
        for name, wav in wavs.items():
            digit, _, index = name.split("_")
            one = _Labelled(
                f"{speaker}-{digit}-{int(index):02}",
                speaker,
                fsdd.WORDS[int(digit)] if task == "digit" else speaker,
                str(wav.resolve()),
            )
            found[_set_of(task, speaker, int(index), fold)].append(one)
    for name, utterances in found.items():
        if not utterances:
            raise ValueError(f"--fold {fold}: no recording belongs to {name} (by its index % {FOLDS})")
    parts = [_data(out / name, utterances) for name, utterances in found.items()]
    datadir.write(*parts)
    return parts


class _Labelled(NamedTuple):
    utterance: str
    speaker: str
    label: str
    wav: str


def _data(path: Path, utterances: Sequence[_Labelled]) -> DataDir:
    return DataDir(
        path=path,
        wavs={one.utterance: one.wav for one in utterances},
        text={one.utterance: one.label for one in utterances},
        utt2spk={one.utterance: one.speaker for one in utterances},
    )


def _set_of(task: Task, speaker: str, index: int, fold: int) -> str:
    if task == "digit":
        return next(name for name, speakers in fsdd.speakers_of(fold).items() if speaker in speakers)
    return {0: "test", 1: "dev"}.get((index - fold) % FOLDS, "train")
