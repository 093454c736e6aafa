"""Check and repair of the length in a sound file's header.

libsndfile silently reads many files that are shorter than their headers say, and fails on others; it cuts MP3
files without a header (`mp3.py`). So the header is checked first; if it is wrong or missing, a copy in memory
with a correct one is read instead.
"""

import io
import re
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

from asr_topdown.audio import mp3

_MOST_CHUNKS = 10_000
_OGG_HEADER, _OGG_FIRST, _OGG_LAST, _OGG_CHECKSUM = 27, 2, 4, 22
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_FLAC_BEGINS = re.compile(rb"fLaC[\0\x80]\0\0\x22")
_CHAIN = "several files in one, of which only the first is read"


class Examined(NamedTuple):
    """Remarks on a file, the content to read instead (None: the file itself); is its length an estimate?."""

    remarks: tuple[str, ...] = ()
    repaired: bytes | None = None
    estimated: bool = False


class _Layout(NamedTuple):
    """How a format divides a file into chunks of name, length and content.

    Attributes:
        first: offset of the first chunk.
        name, width: size in bytes of a chunk's name and of its length.
        order: byte order of a length.
        counted: size of name and length if the length includes them, else 0.
        align: alignment of chunks.
        data: prefix of the name of the chunk with the sound.
        lead: bytes before the samples in that chunk.
    """

    first: int
    name: int
    width: int
    order: Literal["little", "big"]
    counted: int
    align: int
    data: bytes
    lead: int


_RIFF = _Layout(12, 4, 4, "little", 0, 2, b"data", 0)
_AIFF = _Layout(12, 4, 4, "big", 0, 2, b"SSND", 8)
_LAYOUTS: Mapping[bytes, _Layout] = {
    b"RIFF": _RIFF,
    b"RIFX": _RIFF._replace(order="big"),
    b"RF64": _RIFF,
    b"BW64": _RIFF,
    b"riff": _Layout(40, 16, 8, "little", 24, 8, b"data", 0),  # Sony Wave64
    b"FORM": _AIFF,
    b"caff": _Layout(8, 4, 8, "big", 0, 1, b"data", 4),
}

_AU_ORDERS: Mapping[bytes, Literal["little", "big"]] = {b".snd": "big", b"dns.": "little"}


class _Chunk(NamedTuple):
    name: bytes
    size_at: int
    body: int
    size: int  # as in the file


class _Promise(NamedTuple):
    """The place in a header of the number of bytes of sound.

    Attributes:
        at, width, order: offset, size and byte order of the number.
        counted: bytes before the samples that the number includes.
        start: offset of the samples.
    """

    at: int
    width: int
    order: Literal["little", "big"]
    counted: int
    start: int

    @property
    def streamed(self) -> int:
        """The smallest number that means that the length was not known when the header was written."""
        return 0x7FFF0000 if self.width == 4 else 1 << 62


def examine(file: Path | bytes) -> Examined:
    """Compare a file's header with its length."""
    with io.BytesIO(file) if isinstance(file, bytes) else open(file, "rb") as opened:
        magic = opened.read(4)
        if magic == b"OggS":
            opened.seek(0)
            return _examine_ogg(opened.read())
        if mp3.is_mp3(magic):
            opened.seek(0)
            return _examine_mp3(opened.read())
        if magic == b"fLaC":
            return Examined((_CHAIN,) if _holds_second_flac(opened) else ())
        if second := _second_file(opened, magic):
            opened.seek(0)
            return Examined((_CHAIN,), opened.read(second))
        promise = _find_promise(opened, magic)
        return Examined() if promise is None else _compare(opened, promise, riff=magic[:3] == b"RIF")


def _second_file(file: BinaryIO, magic: bytes) -> int:
    """The place of a second file behind the chunks of the first, as `cat` writes it; 0 if there is none."""
    if (layout := _LAYOUTS.get(magic)) is None:
        return 0
    places = (chunk.size_at - layout.name for chunk in _chunks(file, layout) if chunk.name.startswith(magic))
    return next(places, 0)


def _holds_second_flac(file: BinaryIO) -> bool:
    """Whether another beginning of a file, with the header that comes first, is in a FLAC file."""
    return _FLAC_BEGINS.search(file.read()) is not None


def _compare(file: BinaryIO, promise: _Promise, *, riff: bool) -> Examined:
    file.seek(promise.at)
    said = int.from_bytes(file.read(promise.width), promise.order)
    promised, there = said - promise.counted, file.seek(0, io.SEEK_END) - promise.start
    if there <= 0:
        return Examined()
    if 0 < promised <= there:
        end = promise.start + promised + promised % 2
        if riff and there >= 2 * promised and not _chunks_follow(file, end):
            return Examined((f"no chunk in {there - promised} bytes after its {promised} bytes of sound",))
        return Examined()
    remarks: tuple[str, ...] = ()
    if promised <= 0:
        if riff and _chunks_follow(file, promise.start):
            return Examined()
        remarks = (f"its header gives no length; {there} bytes of sound follow",)
    elif said < promise.streamed:
        remarks = (f"truncated: {there} of {promised} bytes of sound",)
    number = min(there + promise.counted, (1 << 8 * promise.width) - 1)
    file.seek(0)
    data = bytearray(file.read())
    data[promise.at : promise.at + promise.width] = number.to_bytes(promise.width, promise.order)
    return Examined(remarks, bytes(data))


def _find_promise(file: BinaryIO, magic: bytes) -> _Promise | None:
    if order := _AU_ORDERS.get(magic):
        return _Promise(8, 4, order, 0, int.from_bytes(file.read(4), order))
    layout = _LAYOUTS.get(magic)
    if layout is None:
        return None
    file.seek(8)
    if magic == b"FORM" and file.read(3) != b"AIF":
        layout = layout._replace(data=b"BODY", lead=0)
    long: int | None = None  # RF64 has a length of more than 32 bits in a separate chunk
    for chunk in _chunks(file, layout):
        if chunk.name == b"ds64":
            long = chunk.body + 8
        if chunk.name.startswith(layout.data):
            start = chunk.body + layout.lead
            if long is not None and chunk.size == 0xFFFFFFFF:
                return _Promise(long, 8, "little", 0, start)
            return _Promise(chunk.size_at, layout.width, layout.order, layout.counted + layout.lead, start)
    return None


def _chunks(file: BinaryIO, layout: _Layout) -> Iterator[_Chunk]:
    """Iterate over the chunks of a file, up to one that is incomplete or has an impossible length."""
    position, header = layout.first, layout.name + layout.width
    end = file.seek(0, io.SEEK_END)
    for _ in range(_MOST_CHUNKS):
        if position > end:
            return
        file.seek(position)
        head = file.read(header)
        if len(head) < header:
            return
        size = int.from_bytes(head[layout.name :], layout.order)
        yield _Chunk(head[: layout.name], position + layout.name, position + header, size)
        if size < layout.counted:
            return
        position += header + size - layout.counted
        position += -position % layout.align


def _chunks_follow(file: BinaryIO, position: int) -> bool:
    """Whether a RIFF file consists, from `position`, of chunks that end with the file."""
    end = file.seek(0, io.SEEK_END)
    for chunk in _chunks(file, _RIFF._replace(first=position)):
        if not all(32 <= byte < 127 for byte in chunk.name):
            return False
        position = chunk.body + chunk.size
    return 0 <= position - end <= 1 or position + 1 == end


def _examine_mp3(data: bytes) -> Examined:
    repaired = mp3.with_length(data)
    estimated = repaired is None and not mp3.has_length(data)
    return Examined((_CHAIN,) if mp3.is_chain(data) else (), repaired, estimated)


def _examine_ogg(data: bytes) -> Examined:
    """Check that all pages are complete and undamaged, none is missing, and the last is marked as such.

    libogg leaves out damaged pages, and decoders go on after the gap.
    """
    position = flags = damaged = 0
    following: dict[bytes, int] = {}  # stream -> number of its next page
    while data.startswith(b"OggS", position) and len(data) >= position + _OGG_HEADER:
        body = position + _OGG_HEADER + data[position + _OGG_HEADER - 1]
        end = body + sum(data[position + _OGG_HEADER : body])
        if end > len(data):
            break
        if flags & _OGG_LAST and data[position + 5] & _OGG_FIRST:
            return Examined((_CHAIN,))
        stream, number = data[position + 14 : position + 18], _little(data[position + 18 : position + 22])
        damaged += max(0, number - following.get(stream, number)) + (not _is_whole_page(data[position:end]))
        following[stream] = number + 1
        flags, position = data[position + 5], end
    remarks = [f"pages missing or damaged, and left out: {damaged}"] if damaged else []
    if position == 0 or (position == len(data) and flags & _OGG_LAST):
        return Examined(tuple(remarks))
    if position == len(data):
        return Examined((*remarks, "truncated: its last page is missing"))
    remarks.append(f"truncated: {position} of {len(data)} bytes are complete pages")
    return Examined(tuple(remarks), data[:position])


def _is_whole_page(page: bytes) -> bool:
    """Compare a page of Ogg with its checksum, a CRC-32 of the page without it (RFC 3533).

    It is that of zlib with the bits of each byte in the other order, and zeros before and after.
    """
    content = (page[:_OGG_CHECKSUM] + bytes(4) + page[_OGG_CHECKSUM + 4 :]).translate(_MIRRORED)
    found = zlib.crc32(content, 0xFFFFFFFF) ^ 0xFFFFFFFF
    return page[_OGG_CHECKSUM : _OGG_CHECKSUM + 4] == found.to_bytes(4).translate(_MIRRORED)


def _little(number: bytes) -> int:
    return int.from_bytes(number, "little")
