"""Finding a table's sound files by path, name or part of a path."""

import functools
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePath

from asr_topdown.files import require_folder, without_hidden

SUFFIXES = (
    *(".wav", ".flac", ".mp3", ".ogg", ".opus", ".oga", ".sph"),
    *(".wv1", ".wv2", ".aiff", ".aif", ".au", ".w64", ".caf"),
)
"""Suffixes of sound files in folders; a file named exactly in a table may have any suffix."""


class Recordings:
    """The sound files of a table.

    Args:
        folder: with the sound files, at any depth.
        table: the table's folder, from which relative paths may start as well.

    Raises:
        FileNotFoundError: if the folder does not exist.
    """

    def __init__(self, folder: Path, table: Path) -> None:
        require_folder(folder)
        self.folder = folder
        self._starts = (folder, table)

    def find(self, name: str) -> Path:
        """Find the file with this name in a table.

        First, an exact path, absolute or relative to one of the folders (one with a folder in it, also to the
        current one); then the same without suffix. Otherwise the only file whose path ends with `name`, or
        with which `name` ends, with or without suffix, however their accents are written (macOS separates
        them from letters). If there is none, backslashes separate folders.

        Raises:
            ValueError: if `name` matches no file or several.
        """
        from asr_topdown.audio import is_command

        if is_command(name):
            raise ValueError(f"{name!r} is a command, not a sound file")
        starts = [*self._starts, *([Path()] if len(PurePath(name).parts) > 1 else [])]
        for suffix in ("", *SUFFIXES):
            for start in starts:
                if (exact := start / f"{name}{suffix}").is_file():
                    return exact
        wanted = PurePath(name)
        found = self._ending(wanted, self._by_name)
        if not found:
            stem = wanted.with_suffix("") if wanted.suffix.lower() in SUFFIXES else wanted
            found = self._ending(stem, self._by_stem)
        if len(found) == 1:
            return found[0]
        if not found and "\\" in name:
            return self.find(name.replace("\\", "/"))
        if not found:
            raise ValueError(f"{name!r} names no recording")
        raise ValueError(f"{name!r} names {len(found)} recordings: {found[0]}, {found[1]}")

    @functools.cached_property
    def all(self) -> Sequence[Path]:
        """All sound files below the folder."""
        listed = without_hidden(self.folder.rglob("*"))
        return sorted(path for path in listed if path.suffix.lower() in SUFFIXES)

    @functools.cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        return self._index(suffix=True)

    @functools.cached_property
    def _by_stem(self) -> dict[str, list[Path]]:
        return self._index(suffix=False)

    def _index(self, *, suffix: bool) -> dict[str, list[Path]]:
        index: dict[str, list[Path]] = defaultdict(list)
        for path in self.all:
            index[_composed(path.name if suffix else path.stem)].append(path)
        return index

    def _ending(self, wanted: PurePath, index: dict[str, list[Path]]) -> list[Path]:
        parts = [_composed(part) for part in wanted.parts if part not in (".", "..")]
        name = _composed(wanted.name)
        found = []
        for path in index.get(name, []):
            have = [*map(_composed, path.relative_to(self.folder).parts[:-1]), name]
            common = min(len(have), len(parts))
            if have[-common:] == parts[-common:]:
                found.append(path)
        return found


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)
