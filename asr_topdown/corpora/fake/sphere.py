"""NIST SPHERE files: PCM or µ-law, plain or compressed with shorten, with any number of channels."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from asr_topdown.corpora.fake import shorten

HEADER_BYTES = 1024

Coding = Literal["pcm", "ulaw"]


def write(
    path: Path,
    samples: np.ndarray,
    rate: int,
    *,
    coding: Coding = "pcm",
    compressed: bool = False,
    fields: Mapping[str, str | int] | None = None,
) -> None:
    """Write 16-bit `samples`, (n,) or (n, channels), to `path`; see `encode`."""
    # Not atomic and not synchronised: fake corpora have many files, and can be written again.
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(samples, rate, coding=coding, compressed=compressed, fields=fields))


def encode(
    samples: np.ndarray,
    rate: int,
    *,
    coding: Coding = "pcm",
    compressed: bool = False,
    fields: Mapping[str, str | int] | None = None,
) -> bytes:
    """Encode a SPHERE file.

    Args:
        samples: int16, (n,) or (n, channels).
        rate: in Hz.
        coding: `pcm`: 16 bits, low byte first; `ulaw`: 8 bits, lossy.
        compressed: with shorten, as on WSJ's discs.
        fields: additional header fields, such as speaker_id.
    """
    assert samples.dtype == np.int16
    stored = samples if coding == "pcm" else to_ulaw(samples)
    data = shorten.encode(stored) if compressed else stored.astype(stored.dtype.newbyteorder("<")).tobytes()
    lines = header(
        {
            **(fields or {}),
            "sample_count": len(samples),
            "sample_rate": rate,
            "channel_count": 1 if samples.ndim == 1 else samples.shape[1],
            "sample_n_bytes": stored.itemsize,
            "sample_byte_format": "01" if coding == "pcm" else "1",
            "sample_sig_bits": 8 * stored.itemsize,
            "sample_coding": f"{coding},embedded-shorten-v2.00" if compressed else coding,
            "sample_checksum": int(stored.astype(np.int64).sum()) & 0xFFFF,
        }
    )
    return lines + data


def header(fields: Mapping[str, str | int], size: int = HEADER_BYTES) -> bytes:
    """Encode a header of `size` bytes with these fields."""
    lines = ["NIST_1A", f"{size:7d}"]
    for name, value in fields.items():
        kind = "i" if isinstance(value, int) else f"s{len(value)}"
        lines.append(f"{name} -{kind} {value}")
    text = "\n".join([*lines, "end_head\n"]).encode()
    assert len(text) <= size
    return text.ljust(size)


def to_ulaw(samples: np.ndarray) -> np.ndarray:
    """Convert 16-bit samples to µ-law codes (uint8), ITU-T G.711."""
    size = np.minimum(np.abs(samples.astype(np.int32)), 32635) + 132
    exponent = np.floor(np.log2(size)).astype(np.int32) - 7
    codes = (exponent << 4) | ((size >> (exponent + 3)) & 15)
    return (~(codes | np.where(samples < 0, 128, 0)) & 0xFF).astype(np.uint8)
