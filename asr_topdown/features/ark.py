r"""Kaldi's matrices and vectors on disk, read and written without ever unpickling or executing a file.

Binary: `\0B`, then `FM `, `DM ` (float, double matrix), `FV `, `DV ` (vectors) or `CM `, `CM2 `, `CM3 `
(compressed to one or two bytes per number), little endian. Text: `[ 1 2` line by line ` ]`. An archive (ark)
is a sequence of `key value`; an scp gives locations: `file`, `file:offset` or
`file:offset[rows,columns]`, whose ranges `first:last` include both ends (https://kaldi-asr.org/doc/io.html).
"""

import math
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from asr_topdown import files
from asr_topdown.logs import warn_once

_BINARY = b"\0B"
_TYPES: Mapping[bytes, np.dtype] = {b"F": np.dtype("<f4"), b"D": np.dtype("<f8")}
_PLACE = re.compile(r"(?P<path>.*?)(?::(?P<offset>\d{1,18}))?(?:\[(?P<ranges>[\d:,]*)\])?", re.DOTALL)
_TOKEN_BYTES = 4
_OVERSHOOT = 3
"""Rows by which a range may exceed its matrix and is cut, as in Kaldi: times of segments are rounded."""
_KEY_BYTES = 1 << 12
"""Maximum length of a key; a file without a blank within it is not an archive."""


class Place(NamedTuple):
    """The location of a matrix: a file, an offset, and ranges of rows and columns."""

    path: str
    offset: int = 0
    ranges: str = ""


def is_command(entry: str) -> bool:
    """Whether an entry of an scp is a command to read from (`cmd |`) or, in Kaldi, to write to (`| cmd`)."""
    return entry.rstrip().endswith("|") or entry.lstrip().startswith("|")


def parse_place(entry: str) -> Place:
    """An entry of an scp, without its key.

    Raises:
        ValueError: if it is a command: features come from files only.
    """
    if is_command(entry):
        raise ValueError(
            f"{entry}: a command; features are read from files only, so copy them to an ark first"
        )
    found = _PLACE.fullmatch(entry)
    assert found is not None
    return Place(found["path"], int(found["offset"] or 0), found["ranges"] or "")


def load(entry: str) -> np.ndarray:
    """The matrix (rows, columns) or vector (n,) at a location from an scp, as float32 or float64.

    Raises:
        FileNotFoundError: naming the file, if there is none.
        ValueError: naming the location, if it is a command, or has no complete matrix or vector, or fewer
            rows.
    """
    place = parse_place(entry)
    with _open(place.path) as file:
        try:
            file.seek(place.offset)
            return _ranged(_read(file), place)
        except ValueError as error:
            raise ValueError(f"{entry}: {error}") from None


def load_archive(path: Path | str) -> Iterator[tuple[str, np.ndarray]]:
    """Iterate over (key, matrix or vector) of an ark; in a file of one matrix the key is "".

    Raises:
        as `load`, naming the damaged location.
    """
    with _open(str(path)) as file:
        while True:
            start = file.tell()
            try:
                key = _read_key(file)
                if key is None:
                    return
                yield key, _read(file)
            except ValueError as error:
                raise ValueError(f"{path}:{start}: {error}") from None


def save(file: BinaryIO, key: str, values: np.ndarray) -> int:
    """Append a float32 or float64 matrix or vector to an open ark; return its offset for an scp."""
    kind = {np.dtype(np.float32): b"F", np.dtype(np.float64): b"D"}[values.dtype]
    file.write(f"{key} ".encode())
    offset = file.tell()
    sizes = b"".join(b"\4" + np.array(size, "<i4").tobytes() for size in values.shape)
    file.write(_BINARY + kind + (b"M " if values.ndim == 2 else b"V ") + sizes)
    file.write(np.ascontiguousarray(values, _TYPES[kind]).tobytes())
    return offset


def _open(path: str) -> BinaryIO:
    if not Path(path).is_file():  # a named pipe would wait for ever
        raise FileNotFoundError(f"{path}: no such file")
    return open(path, "rb")


def _read_key(file: BinaryIO) -> str | None:
    """The key before the next matrix; None at the end; "" for a matrix without a key."""
    start = file.tell()
    head = file.read(_KEY_BYTES)
    if not head.strip():
        return None
    if head.startswith(_BINARY) or head.lstrip().startswith(b"["):
        file.seek(start)
        return ""
    # Behind a matrix in text there is a line feed.
    blank = re.match(rb"\s*([^\s\0]+)[ \t]", head)
    if blank is None:
        raise ValueError("no key followed by a blank")
    file.seek(start + blank.end())
    try:
        return blank[1].decode()
    except UnicodeDecodeError:
        raise ValueError("a key that is not UTF-8 text") from None


def _read(file: BinaryIO) -> np.ndarray:
    start = file.tell()
    if file.read(len(_BINARY)) == _BINARY:
        return _read_binary(file)
    file.seek(start)
    return _read_text(file)


def _read_binary(file: BinaryIO) -> np.ndarray:
    token = _read_token(file)
    if token[:2] == b"CM":
        return _read_compressed(file, token)
    if token[:1] not in _TYPES or token[1:] not in (b"M", b"V"):
        raise ValueError(f"no matrix or vector of numbers (it begins with {token!r})")
    kind = _TYPES[token[:1]]
    if token[1:] == b"V":
        return _array(file, kind, (_size(file),))
    rows = _size(file)
    return _array(file, kind, (rows, _size(file)))


def _read_token(file: BinaryIO) -> bytes:
    token, blank, _ = file.read(_TOKEN_BYTES).partition(b" ")
    if not blank:
        raise ValueError("no matrix or vector (no type follows)")
    file.seek(len(token) + 1 - _TOKEN_BYTES, os.SEEK_CUR)
    return token


def _size(file: BinaryIO) -> int:
    """A length: a byte with the value 4, and that many bytes."""
    if _exactly(file, 1) != b"\4":
        raise ValueError("no length of 4 bytes where one must be")
    return int.from_bytes(_exactly(file, 4), "little", signed=True)


def _exactly(file: BinaryIO, count: int) -> bytes:
    """Read this many bytes."""
    _check_left(file, count)
    return file.read(count)


def _check_left(file: BinaryIO, count: int) -> None:
    """Refuse to read beyond the end of the file: a damaged length may be any number."""
    left = os.fstat(file.fileno()).st_size - file.tell()
    if not 0 <= count <= left:
        raise ValueError(f"{count} bytes must follow, {max(0, left)} do")


def _array(file: BinaryIO, kind: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    if min(shape) < 0:
        raise ValueError(f"a shape of {shape}")
    _check_left(file, kind.itemsize * math.prod(map(int, shape)))
    values = np.empty(math.prod(map(int, shape)) * kind.itemsize, np.uint8)
    file.readinto(values.data)  # type: ignore[attr-defined]
    return values.view(kind).reshape(shape)


def _read_compressed(file: BinaryIO, token: bytes) -> np.ndarray:
    """A compressed matrix, as float32.

    The header holds the minimum, the range, rows and columns. CM2 and CM3 spread 16 and 8 bits
    evenly over that range, row by row. CM stores for each column (column by column) its minimum,
    two quartiles and its maximum as 16 bits of the range; its bytes are piecewise linear between those.
    """
    low, extent = np.frombuffer(_exactly(file, 8), "<f4")
    rows, columns = (int(size) for size in np.frombuffer(_exactly(file, 8), "<i4"))
    bits = {b"CM": 16, b"CM2": 16, b"CM3": 8}.get(token)
    if bits is None:
        raise ValueError(f"an unknown kind of compressed matrix, {token!r}")
    shape = (columns, 4) if token == b"CM" else (rows, columns)
    with np.errstate(over="ignore", invalid="ignore"):  # of damaged ranges come infinities
        step = np.float32(extent) * np.float32(1 / (2**bits - 1))
        numbers = low + step * _array(file, np.dtype(f"<u{bits // 8}"), shape).astype(np.float32)
        if token != b"CM":
            return numbers
        codes = _array(file, np.dtype("u1"), (columns, rows)).astype(np.float32)
        return np.ascontiguousarray(_between_quartiles(codes, numbers).T)


def _between_quartiles(codes: np.ndarray, quartiles: np.ndarray) -> np.ndarray:
    """Numbers from the codes (columns, rows) of kind CM and from each column's four marks (columns, 4)."""
    least, first, third, largest = (quartiles[:, mark : mark + 1] for mark in range(4))
    lowest = least + (first - least) * codes * np.float32(1 / 64)
    middle = first + (third - first) * (codes - 64) * np.float32(1 / 128)
    highest = third + (largest - third) * (codes - 192) * np.float32(1 / 63)
    return np.where(codes <= 64, lowest, np.where(codes <= 192, middle, highest))


def _read_text(file: BinaryIO) -> np.ndarray:
    """`[ 1 2 ]` is a vector, numbers on lines below the bracket are a matrix."""
    if re.match(rb"\s*\[", head := file.read(_KEY_BYTES)) is None:
        raise ValueError("no matrix or vector")
    content = bytearray(head)
    while b"]" not in content[-_KEY_BYTES:]:
        more = file.read(_KEY_BYTES)
        if not more:
            raise ValueError("a matrix without its closing bracket")
        content += more
    end = content.index(b"]")
    file.seek(end + 1 - len(content), os.SEEK_CUR)
    body = bytes(content[content.index(b"[") + 1 : end]).decode("ascii", errors="replace")
    try:
        rows = [[files.number(word) for word in line.split()] for line in body.split("\n") if line.strip()]
    except ValueError:
        raise ValueError("a matrix of what is no numbers") from None
    if len({len(row) for row in rows}) > 1:
        raise ValueError("a matrix with rows of different length")
    matrix = np.array(rows, np.float32)
    return matrix if "\n" in body.rstrip("\n ") or not rows else matrix[0]


def _ranged(values: np.ndarray, place: Place) -> np.ndarray:
    """Rows and columns `first:last` of a matrix, both ends included; an empty range, and `:`, mean all."""
    ranges = place.ranges
    parts = ranges.split(",") if ranges else []
    if len(parts) > values.ndim:
        raise ValueError(f"a range [{ranges}] of values with {values.ndim} dimensions")
    for axis, part in enumerate(parts):
        if part and part != ":":
            first, last = _ends(part, ranges)
            size = values.shape[axis]
            if first >= size or last >= size + (0 if axis else _OVERSHOOT):
                raise ValueError(f"a range [{ranges}] of values of shape {values.shape}")
            if last >= size:
                warn_once(
                    f"{place.path}: ranges of rows that end up to {_OVERSHOOT} rows behind a matrix are cut"
                )
            values = np.take(values, range(first, min(last + 1, size)), axis)
    return values


def _ends(part: str, ranges: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,9}):(\d{1,9})", part)
    if found is None or int(found[2]) < int(found[1]):
        raise ValueError(f"[{ranges}] is no range first:last")
    return int(found[1]), int(found[2])
