"""NIST SPHERE: a text header, then PCM, µ-law or A-law, plain or compressed with shorten."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from asr_topdown.audio import shorten
from asr_topdown.audio.opened import InMemory, as_file

_MAGIC = b"NIST_1A"
_HEADER_BYTES = 1 << 16
"""Far more than any header's size."""
_PADDING = 1024
"""As many samples after the last may be padding, to a whole block of the file or of the compression."""
_SHORTEN = b"ajkg"
_LAWS: Mapping[str, str] = {
    "ulaw": "ULAW",
    "mu-law": "ULAW",
    "mulaw": "ULAW",
    "alaw": "ALAW",
    "a-law": "ALAW",
}
_PCM: Mapping[int, str] = {1: "PCM_S8", 2: "PCM_16", 3: "PCM_24", 4: "PCM_32"}
_ORDERS: Mapping[str, str] = {"01": "LITTLE", "10": "BIG"}


class Header(NamedTuple):
    """A parsed header.

    Attributes:
        size: of the header in bytes.
        num_samples: per channel.
        channels: number of channels.
        rate: in Hz.
        coding: `pcm`, `ulaw`, `alaw`, without the compression.
        bytes: per sample, before compression.
        order: `01` low byte first, `10` high byte first; "" if missing.
        checksum: sum of all samples modulo 65536, or None.
    """

    size: int
    num_samples: int
    channels: int
    rate: int
    coding: str
    bytes: int
    order: str
    checksum: int | None


def is_sphere(file: Path | bytes) -> bool:
    """Whether a file is SPHERE, by its first bytes."""
    return _start(file, len(_MAGIC)) == _MAGIC


def read_header(file: Path | bytes, source: str) -> Header:
    """Read the header of a file.

    Raises:
        ValueError: naming the source, if it is damaged.
    """
    try:
        return parse_header(_start(file, _HEADER_BYTES))
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None


def parse_header(head: bytes) -> Header:
    """Parse the header at the beginning of `head`.

    Raises:
        ValueError: if it is damaged, or has no length or rate.
    """
    lines = re.match(rb"NIST_1A\r?\n\s*(\d{1,9})\s*\r?\n(.*?)^end_head\s", head, re.DOTALL | re.MULTILINE)
    if lines is None:
        raise ValueError("damaged SPHERE header (no size or no end_head)")
    found = re.findall(rb"^(\w+)[ \t]+-(?:i|r|s\d*)[ \t]+(.*?)[ \t\r]*$", lines[2], re.MULTILINE)
    fields = {name.decode(): value.decode("latin-1") for name, value in found}
    coding = fields.get("sample_coding", "pcm").partition(",")[0].lower()
    law = coding in _LAWS
    channels = _number(fields, "channel_count", 1)
    if channels > 1 and fields.get("channels_interleaved", "TRUE").upper() != "TRUE":
        raise ValueError("SPHERE whose channels follow each other (channels_interleaved)")
    return Header(
        size=int(lines[1]),
        num_samples=_number(fields, "sample_count"),
        channels=channels,
        rate=_number(fields, "sample_rate"),
        coding=coding,
        bytes=1 if law else _number(fields, "sample_n_bytes", 2),
        order=fields.get("sample_byte_format", "")[:2],
        checksum=int(fields["sample_checksum"]) if fields.get("sample_checksum", "").isdecimal() else None,
    )


def decode(data: bytes) -> InMemory:
    """Decode a file, with remarks on truncation, a length that is too small, or a wrong checksum.

    Raises:
        ValueError: if the header is damaged, or the coding is not supported.
    """
    header = parse_header(data[:_HEADER_BYTES])
    stored = data[header.size :]
    compressed = stored.startswith(_SHORTEN)
    remarks = []
    if compressed:
        samples, problem = shorten.decode(stored)
        if samples.shape[1] != header.channels:
            raise ValueError(f"must have {header.channels} channels by its header, got {samples.shape[1]}")
        there = len(samples)
        samples = samples[: header.num_samples]
        plain = samples.tobytes()
        coding = header._replace(bytes=samples.itemsize, order="01")
    else:
        frame = header.bytes * header.channels
        there = len(stored) // frame
        plain = stored[: header.num_samples * frame]
        plain = plain[: len(plain) // frame * frame]
        coding, problem = header, ""
    samples = _expanded(plain, coding)
    if len(samples) < header.num_samples:
        why = f" ({problem})" if problem else ""
        remarks.append(f"truncated: {len(samples)} of {header.num_samples} samples{why}")
    elif header.checksum is not None and header.checksum not in _checksums(plain, coding.bytes):
        remarks.append("its samples differ from the header's sample_checksum")
    if there > header.num_samples + _PADDING:
        remarks.append(f"its header says {header.num_samples} samples, {there} are there")
    return InMemory(samples, header.rate, remarks)


def find_sph2pipe() -> str:
    """Find LDC's decoder, which may support other codings; "" if it is not installed."""
    return shutil.which("sph2pipe") or ""


def _start(file: Path | bytes, size: int) -> bytes:
    if isinstance(file, bytes):
        return file[:size]
    with open(file, "rb") as opened:
        return opened.read(size)


def _number(fields: Mapping[str, str], name: str, default: int = 0) -> int:
    """Read a whole number above 0, or the whole part of a decimal number."""
    value = fields.get(name, str(default or ""))
    number = re.fullmatch(r"(\d{1,12})(?:\.\d*)?", value)
    if number is None or (int(number[1]) < 1 and name != "sample_count"):
        raise ValueError(
            f"damaged SPHERE header ({name} is {value!r})" if value else f"SPHERE without {name}"
        )
    return int(number[1])


def _expanded(plain: bytes, header: Header) -> np.ndarray:
    """Decode samples to (n, channels), int16 if that is lossless, else float32."""
    law = _LAWS.get(header.coding)
    if header.coding != "pcm" and law is None:
        raise ValueError(f"unknown coding {header.coding!r}")
    subtype = law or _PCM.get(header.bytes)
    order = _ORDERS.get(header.order) if header.bytes > 1 else "FILE"
    if subtype is None or order is None:
        raise ValueError(f"unknown format: {header.bytes} bytes per sample in the order {header.order!r}")
    if not plain:
        return np.zeros((0, header.channels), np.int16)
    kind = "int16" if law or header.bytes <= 2 else "float32"
    samples, _ = soundfile.read(
        as_file(plain),
        dtype=kind,
        always_2d=True,
        samplerate=header.rate,
        channels=header.channels,
        subtype=subtype,
        endian=order,
        format="RAW",
    )
    return np.asarray(samples)


def _checksums(plain: bytes, width: int) -> set[int]:
    """Return possible sums of the samples: signed or unsigned, in either byte order."""
    if width > 2:
        return set(range(1 << 16))
    kinds = ("u1", "i1") if width == 1 else ("<i2", ">i2")
    return {int(np.frombuffer(plain, kind).sum(dtype=np.int64)) & 0xFFFF for kind in kinds}
