"""Opening a sound's source: a file of any format, or a command that writes one."""

import functools
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import soundfile

from asr_topdown.audio import containers, sphere
from asr_topdown.audio.opened import InFile, Opened, Streamed, as_file
from asr_topdown.hashes import state_of

_SEEKABLE = ("PCM_", "FLOAT", "DOUBLE", "ULAW", "ALAW")
_TOLD_BY_LIBSNDFILE = ("VOC", "MAT4")
_NEVER_SEEKABLE = ("FLAC", "OGG", "MP3", "SDS")
_IN_ARCHIVE = re.compile(r"(?P<file>.+):(?P<offset>[0-9]{1,18})", re.DOTALL)


def open_source(source: str, *, pipes: bool = False, again: bool = False) -> Opened:
    """Open a source.

    Args:
        source: a file's path, ARCHIVE:OFFSET (Kaldi's wav-copy), or a shell command that ends in `|`.
        pipes: whether to run commands.
        again: whether to keep the source open, for other parts of it.

    Raises:
        FileNotFoundError: if the file does not exist, also for a command without `pipes`.
        OSError: if a command fails.
        ValueError: naming the source, if nothing in it can be read.
    """
    source = source.strip()
    if pipes and is_command(source):
        return (_recent_output if again else _from_command)(source)
    path = file_of(source)
    state = state_of(path) if path.is_file() else None
    if state is None:
        hint = " (commands are run by `features` and `align --pipes` only)" if is_command(source) else ""
        raise FileNotFoundError(f"{source}: no such file{hint}")
    return (_recent_file if again else _from_file)(source, tuple(state))


def is_command(source: str) -> bool:
    """Whether a source is a shell command whose output is the sound."""
    return source.rstrip().endswith("|")


def file_of(source: str) -> Path:
    """The file that a source is, or that holds it: ARCHIVE of `ARCHIVE:OFFSET`."""
    return _place_of(source)[0]


def open_bytes(data: bytes, name: str) -> Opened:
    """Open a file's content.

    Raises:
        ValueError: with `name`, if nothing in it can be read.
    """
    if not data:
        raise ValueError(f"{name}: empty file")
    return _open(data, name)


def num_channels(source: str) -> int:
    """Read the number of channels from a sound file's header.

    Raises:
        FileNotFoundError: if the file does not exist.
        ValueError: naming the source, if its header cannot be read.
    """
    path = Path(source)
    if path.is_file() and sphere.is_sphere(path):
        return sphere.read_header(path, source).channels
    with open_source(source) as sound:
        return sound.channels


def header_seconds(source: str) -> float | None:
    """Read the duration in seconds from a sound file's header; None if it cannot be read."""
    path = Path(source)
    try:
        if path.is_file() and sphere.is_sphere(path):
            header = sphere.read_header(path, source)
            return header.num_samples / header.rate
        with open_source(source) as sound:
            return sound.frames / sound.rate
    except (OSError, ValueError):
        return None


def _from_file(source: str, state: tuple[int, ...]) -> Opened:
    """Open a file; `state`, its size and times, is part of the cache's key, so that changes are noticed."""
    if state[0] == 0:
        raise ValueError(f"{source}: empty file")
    path, offset = _place_of(source)
    return _open(path if offset is None else _wav_at(path, offset, source), source)


def _place_of(source: str) -> tuple[Path, int | None]:
    """A source's file, and the offset in it of one in an archive."""
    path, found = Path(source.strip()), _IN_ARCHIVE.fullmatch(source.strip())
    return (path, None) if found is None or path.exists() else (Path(found["file"]), int(found["offset"]))


def _wav_at(path: Path, offset: int, source: str) -> bytes:
    """Read the wav file that begins at an offset of an archive."""
    with path.open("rb") as archive:
        archive.seek(offset)
        head = archive.read(8)
        if not head.startswith(b"RIFF"):
            raise ValueError(f"{source}: no wav file begins there")
        return head + archive.read(int.from_bytes(head[4:], "little"))


def _from_command(source: str) -> Opened:
    return _open(command_output(["/bin/sh", "-c", source[:-1]], source), source)


_recent_file = functools.lru_cache(maxsize=1)(_from_file)
_recent_output = functools.lru_cache(maxsize=1)(_from_command)


def _open(file: Path | bytes, source: str) -> Opened:
    if sphere.is_sphere(file):
        return _open_sphere(file, source)
    examined = containers.examine(file)
    file = file if examined.repaired is None else examined.repaired
    try:
        with soundfile.SoundFile(as_file(file)) as sound:
            if sound.format == "RAW":  # guessed from the file's suffix (.snd, .gsm, .vox) only
                raise ValueError(f"{source}: cannot be decoded: it has no header")
            remarks = (*examined.remarks, *_remarks_of_libsndfile(sound))
            if sound.format not in _NEVER_SEEKABLE and sound.subtype.startswith(_SEEKABLE):
                return InFile(file, sound, remarks)
        return Streamed(file, source, remarks, estimated=examined.estimated)
    except soundfile.LibsndfileError as error:
        raise ValueError(f"{source}: cannot be decoded: {error.error_string}") from error


def _remarks_of_libsndfile(sound: soundfile.SoundFile) -> Sequence[str]:
    """Return what libsndfile's log says of a length in formats that are not examined here."""
    said = sound.extra_info.splitlines() if sound.format in _TOLD_BY_LIBSNDFILE else ()
    return [f"truncated: {line.strip(' *')}" for line in said if "truncated" in line]


def _open_sphere(file: Path | bytes, source: str) -> Opened:
    data = file.read_bytes() if isinstance(file, Path) else file
    try:
        return sphere.decode(data)
    except ValueError as error:
        if isinstance(file, Path) and sphere.find_sph2pipe():
            command = [sphere.find_sph2pipe(), "-f", "wav", "-p", str(file.resolve())]
            return _open(command_output(command, f"sph2pipe {file}"), source)
        raise ValueError(f"{source}: cannot be decoded: {error}") from error


def command_output(command: Sequence[str], name: str) -> bytes:
    """Run a command and return its output.

    Raises:
        OSError: with `name`, if it fails or writes nothing.
    """
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["it wrote no error message"]
        raise OSError(f"{name}: the command failed with exit status {done.returncode}: {lines[-1].strip()}")
    if not done.stdout:
        raise OSError(f"{name}: the command wrote nothing")
    return done.stdout
