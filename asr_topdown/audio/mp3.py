"""The length of MP3 files (MPEG audio, layer III).

libsndfile reads as many frames as the first one says, if it holds a header by Xing (`Xing` or `Info`).
Otherwise it estimates their number from the bit rate of the first one. That is wrong if the bit rate varies,
and encoders that write to a pipe, or are killed, leave the header or its number out. Format of frames:
ISO/IEC 11172-3, 2.4.1.3.
"""

from collections.abc import Mapping, Sequence

_MPEG1 = 3
_HALVINGS: Mapping[int, int] = {_MPEG1: 0, 2: 1, 0: 2}
"""Version in a header -> how often the sampling rate is halved (MPEG-1, MPEG-2, MPEG-2.5)."""
_RATES = (44100, 48000, 32000)
_KBITS: Mapping[bool, Sequence[int]] = {
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Whether MPEG-1 -> bit rates; the first is unknown."""
_KIND = 0xFFFE0C00
"""The bits of a header that all frames share: sync word, version, layer and sampling rate."""
_BIT_RATE = 0xF000
_LARGEST, _UNPROTECTED, _PADDED = 0xE000, 0x10000, 0x200
_NUM_FRAMES, _NUM_BYTES = 1, 2
"""Bits of a Xing header for the numbers that it holds, in this order."""


def is_mp3(start: bytes) -> bool:
    """Whether a file is MP3, or begins with tags as MP3 files do, by its first four bytes."""
    return start.startswith(b"ID3") or _size(int.from_bytes(start)) > 0


def with_length(data: bytes) -> bytes | None:
    """Insert a Xing header with the number of frames; None if there is one or the bit rate is constant."""
    start = _first(data)
    tag = _tag(data, start)
    if _field(data, tag, _NUM_FRAMES):
        return None
    frames = _frames(data, start)
    sound = start
    if tag and frames:
        sound += _size(frames.pop(0))
    elif len({frame & _BIT_RATE for frame in frames}) == 1:
        return None
    if not frames:
        return None
    head = frames[0] & ~_BIT_RATE & ~_PADDED | _LARGEST | _UNPROTECTED
    header = b"Xing" + _NUM_FRAMES.to_bytes(4) + len(frames).to_bytes(4)
    first = head.to_bytes(4) + bytes(_side_size(head)) + header
    return data[:start] + first.ljust(_size(head), b"\0") + data[sound:]


def has_length(data: bytes) -> bool:
    """Whether a Xing header gives the number of frames."""
    start = _first(data)
    return _field(data, _tag(data, start), _NUM_FRAMES) > 0


def is_chain(data: bytes) -> bool:
    """Whether more frames follow those that the Xing header tells of; libsndfile does not read them."""
    start = _first(data)
    size = _field(data, _tag(data, start), _NUM_BYTES)
    # One frame more is the header itself, which some encoders do not count.
    return size > 0 and len(_frames(data, _first(data, start + size))) > 1


def _first(data: bytes, position: int = 0) -> int:
    """Skip ID3v2's tags."""
    while data.startswith(b"ID3", position) and len(data) >= position + 10:
        sizes = data[position + 6 : position + 10]
        footer = 10 if data[position + 5] & 0x10 else 0
        position += 10 + sum(size << 7 * (3 - place) for place, size in enumerate(sizes)) + footer
    return position


def _frames(data: bytes, position: int) -> list[int]:
    """Return the headers of the complete frames from `position` on, without what is between them."""
    first = int.from_bytes(data[position : position + 4])
    frames: list[int] = []
    if not _size(first):
        return frames
    while 0 <= position < len(data):
        frame = int.from_bytes(data[position : position + 4])
        size = _size(frame)
        if size and not (frame ^ first) & _KIND and position + size <= len(data):
            frames.append(frame)
            position += size
        else:
            position = data.find(b"\xff", position + 1)
    return frames


def _size(frame: int) -> int:
    """Return the size in bytes of a frame with this header; 0 if it is none, or has no bit rate."""
    version, layer, kbits, rate = frame >> 19 & 3, frame >> 17 & 3, frame >> 12 & 15, frame >> 10 & 3
    if frame >> 21 != 0x7FF or version not in _HALVINGS or layer != 1 or kbits in (0, 15) or rate == 3:
        return 0
    first = version == _MPEG1
    hertz = _RATES[rate] >> _HALVINGS[version]
    return (144_000 if first else 72_000) * _KBITS[first][kbits] // hertz + (frame >> 9 & 1)


def _side_size(frame: int) -> int:
    """Return the number of bytes between a frame's header and its content."""
    mono = frame >> 6 & 3 == 3
    if frame >> 19 & 3 == _MPEG1:
        return 17 if mono else 32
    return 9 if mono else 17


def _tag(data: bytes, start: int) -> int:
    """Return the offset of Xing's header in the first frame; 0 if it has none."""
    at = start + 4 + _side_size(int.from_bytes(data[start : start + 4]))
    return at if data[at : at + 4] in (b"Xing", b"Info") else 0


def _field(data: bytes, tag: int, which: int) -> int:
    """Return a number in the Xing header at `tag`; 0 if there is none."""
    flags = int.from_bytes(data[tag + 4 : tag + 8])
    if not tag or not flags & which:
        return 0
    at = tag + 8 + (4 if which == _NUM_BYTES and flags & _NUM_FRAMES else 0)
    return int.from_bytes(data[at : at + 4])
