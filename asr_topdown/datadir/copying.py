"""Copy a data directory's tables, so that other kinds of features need not share a folder."""

import filecmp
import shutil
from pathlib import Path

from asr_topdown import files
from asr_topdown.datadir import parsing
from asr_topdown.datadir.directory import DERIVED

_TABLES = frozenset({*parsing.PARSERS, "text", "sample_rate", "stm", "glm", "licence"}.difference(DERIVED))
"""What this package writes into a data directory, or Kaldi does, besides what is derived."""


def copy_tables(source: Path, target: Path) -> None:
    """Copy the tables of the data directory `source`, and other files next to them, to `target`.

    Files derived from tables (features, statistics) are not copied; those in `target` are kept, since
    `asr-topdown features` checks whether they are still valid. Identical files are left alone. Tables that
    `source` has no more are removed from `target`, but no other file.

    Raises:
        FileNotFoundError: if `source` is not a data directory.
        ValueError: if `target` is `source`, or holds something else than a data directory.
    """
    if not (source / "utt2spk").is_file():
        raise FileNotFoundError(f"{source}: not a data directory (it has no utt2spk)")
    if target.exists() and target.samefile(source):
        raise ValueError(f"{target}: is the source itself; name another folder")
    present = files.without_hidden(source.iterdir())
    names = {path.name for path in present if path.is_file()} - set(DERIVED)
    _check_target(target, names)
    for path in (target / name for name in _TABLES - names):
        if path.is_file():
            path.unlink()
    # utt2spk, without which it is no data directory, comes last.
    for name in (*sorted(names - {"utt2spk"}), "utt2spk"):
        if not (target / name).is_file() or not filecmp.cmp(source / name, target / name, shallow=False):
            with files.written_aside(target / name) as aside:
                shutil.copyfile(source / name, aside)


def _check_target(target: Path, names: set[str]) -> None:
    """Refuse a folder that is neither a data directory nor a copy that was interrupted."""
    if not target.is_dir() or (target / "utt2spk").is_file():
        return
    from asr_topdown.features.store import ARKS

    known = names.union(_TABLES, DERIVED, {ARKS})
    present = files.without_hidden(target.iterdir())
    other = sorted(path.name for path in present if path.name not in known)
    if other:
        raise ValueError(f"{target}: holds {other[0]} and is no data directory; name another folder")
