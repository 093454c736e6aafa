"""Copy a data directory's tables, so that other kinds of features need not share a folder."""

import filecmp
import shutil
from pathlib import Path

from asr_topdown import files
from asr_topdown.datadir.directory import DERIVED


def copy_tables(source: Path, target: Path) -> None:
    """Copy the tables of the data directory `source`, and other files next to them, to `target`.

    Files derived from tables (features, statistics) are not copied; those in `target` are kept, since
    `asr-topdown features` checks whether they are still valid. Identical files are left alone.

    Raises:
        FileNotFoundError: if `source` is not a data directory.
        ValueError: if `target` is `source`.
    """
    if not (source / "utt2spk").is_file():
        raise FileNotFoundError(f"{source}: not a data directory (it has no utt2spk)")
    if target.exists() and target.samefile(source):
        raise ValueError(f"{target}: is the source itself; name another folder")
    present = (path.name for path in source.iterdir() if path.is_file())
    names = {name for name in present if not name.startswith(".")} - set(DERIVED)
    for path in target.iterdir() if target.is_dir() else ():
        if path.is_file() and path.name not in names.union(DERIVED):
            path.unlink()
    # utt2spk, without which it is no data directory, comes last.
    for name in (*sorted(names - {"utt2spk"}), "utt2spk"):
        if not (target / name).is_file() or not filecmp.cmp(source / name, target / name, shallow=False):
            with files.written_aside(target / name) as aside:
                shutil.copyfile(source / name, aside)
