"""Copy a data directory's tables, so that other kinds of features need not share a folder."""

import contextlib
import filecmp
import os
import shutil
from pathlib import Path

from asr_topdown import files
from asr_topdown.datadir import parsing
from asr_topdown.datadir.writing import DERIVED, ORIGIN
from asr_topdown.engines.alone import alone_in

_TABLES = frozenset({*parsing.PARSERS, "text", "sample_rate", "stm", "glm", "licence"}.difference(DERIVED))
"""What this package writes into a data directory, or Kaldi does, besides what is derived."""


def copy_tables(source: Path, target: Path) -> None:
    """Copy the tables of the data directory `source`, and other files next to them, to `target`.

    Files derived from tables (features, statistics) are not copied; those in `target` are kept, since
    `asr-topdown features` checks whether they are still valid. Identical files are left alone. Tables that
    `source` has no more are removed from `target`, but no other file. As in `write`, a copy that is cut short
    is no data directory.

    Raises:
        FileNotFoundError: if `source` is not a data directory.
        ValueError: if `target` is `source`, or holds something else than a data directory or other data.
    """
    if not (source / "utt2spk").is_file():
        raise FileNotFoundError(f"{source}: not a data directory (it has no utt2spk)")
    if target.exists() and target.samefile(source):
        raise ValueError(f"{target}: is the source itself; name another folder")
    with alone_in(target):
        _copy(source, target)


def _copy(source: Path, target: Path) -> None:
    present = files.without_hidden(source.iterdir())
    names = {path.name for path in present if path.is_file()} - set(DERIVED)
    # utt2spk, without which it is no data directory, comes last.
    ordered = (*sorted(names - {"utt2spk"}), "utt2spk")
    changed = [name for name in ordered if not _same(source / name, target / name)]
    gone = [target / name for name in _TABLES - names if (target / name).is_file()]
    # As they were named: what a link leads to may be replaced, like the content of a folder.
    origin = files.printable(os.path.relpath(source, target)) + "\n"
    if not (target / ORIGIN).is_file() or files.read_text(target / ORIGIN) != origin:
        _check_target(target, source, names)
        with contextlib.nullcontext() if changed else contextlib.suppress(OSError):  # to be read only
            files.write_text(target / ORIGIN, origin)
    if changed or gone:
        files.remove_leftovers(target)
        # Nobody may take a mixture of old and new tables for a data directory.
        for path in (target / "utt2spk", *gone):
            path.unlink(missing_ok=True)
        for name in dict.fromkeys([*changed, "utt2spk"]):
            with files.written_aside(target / name) as aside:
                shutil.copyfile(source / name, aside)


def _check_target(target: Path, source: Path, names: set[str]) -> None:
    """Refuse a data directory with other data, and a folder that is neither one nor an interrupted copy."""
    if (target / "utt2spk").is_file():
        if not all(_same(source / name, target / name) for name in ("utt2spk", "wav.scp", "text")):
            raise ValueError(
                f"{target}: holds other data, not copied from {source}; name another folder, or remove it"
            )
        return
    if not target.is_dir():
        return
    from asr_topdown.features.store import ARKS

    known = names.union(_TABLES, DERIVED, {ARKS})
    present = files.without_hidden(target.iterdir())
    other = sorted(path.name for path in present if path.name not in known)
    if other:
        raise ValueError(f"{target}: holds {other[0]} and is no data directory; name another folder")


def _same(one: Path, other: Path) -> bool:
    """Whether both have the same content, or neither is there."""
    if not (one.is_file() and other.is_file()):
        return one.is_file() == other.is_file()
    return filecmp.cmp(one, other, shallow=False)
