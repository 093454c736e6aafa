"""An encoder for shorten, the lossless compression inside NIST SPHERE, good enough to make test files.

After Robinson 1994, CUED/F-INFENG/TR.156: blocks of polynomial differences of order 1 to 3 (an LPC predictor
without coefficients), whose residuals are Rice codes. Version 2 of the stream.
"""

from collections.abc import Iterator, Sequence

import numpy as np

BLOCK = 256  # samples of one channel
_PCM16, _ULAW = 5, 8  # types of the header: 16 bits, low byte first; µ-law
_NEW_BLOCK_SIZE, _QUIT = 5, 4
_MEANS = 4  # blocks that a running mean spans; only order 0 would use it

Bits = np.ndarray  # uint8, zeros and ones


def encode(channels: np.ndarray) -> bytes:
    """Compress 16-bit samples (int16) or µ-law codes (uint8), without loss.

    Args:
        channels: (n,) or (n, channels).

    Raises:
        ValueError: if they are of another type.
    """
    if channels.dtype not in (np.int16, np.uint8):
        raise ValueError(f"shorten takes int16 samples or uint8 µ-law codes, got {channels.dtype}")
    columns = channels.reshape(len(channels), -1).astype(np.int64)
    if channels.dtype == np.uint8:
        columns = np.where(columns >= 128, 255 - columns, columns - 128)  # codes on a scale through zero
    kind = _PCM16 if channels.dtype == np.int16 else _ULAW
    pieces = [_number(field) for field in (kind, columns.shape[1], BLOCK, 0, _MEANS, 0)]
    pieces += _blocks(columns)
    pieces.append(_rice(np.array([_QUIT]), 2))
    bits = np.concatenate(pieces)
    bits = np.pad(bits, (0, -len(bits) % 32))
    return b"ajkg\x02" + np.packbits(bits).tobytes()


def _blocks(columns: np.ndarray) -> Iterator[Bits]:
    # The three samples before the first are zeros.
    history = np.concatenate((np.zeros((3, columns.shape[1]), np.int64), columns))
    for start in range(0, len(columns), BLOCK):
        stop = min(start + BLOCK, len(columns))
        if stop - start < BLOCK:
            yield _rice(np.array([_NEW_BLOCK_SIZE]), 2)
            yield _number(stop - start)
        for channel in history.T:
            yield from _block(channel[start : stop + 3])


def _block(samples: np.ndarray) -> Iterator[Bits]:
    """One channel's block after the three samples before it, by the order that needs fewest bits."""
    differences = [np.diff(samples, order)[3 - order :] for order in (1, 2, 3)]
    order, residuals = min(enumerate(differences, 1), key=lambda pair: int(np.abs(pair[1]).sum()))
    codes = np.where(residuals >= 0, 2 * residuals, -2 * residuals - 1)
    low = max(1, int(codes.mean()).bit_length() - 1)
    yield _rice(np.array([order]), 2)
    yield _rice(np.array([low - 1]), 3)
    yield _rice(codes, low)


def _number(value: int) -> Bits:
    """A header field or block size: how many low bits, then the Rice code."""
    low = max(0, value.bit_length() - 1)
    return np.concatenate((_rice(np.array([low]), 2), _rice(np.array([value]), low)))


def _rice(codes: np.ndarray | Sequence[int], low: int) -> Bits:
    """Each code's upper part as so many zeros and a one, then its `low` lowest bits."""
    codes = np.asarray(codes, np.int64)
    zeros = codes >> low
    ends = np.cumsum(zeros + 1 + low)
    bits = np.zeros(int(ends[-1]), np.uint8)
    bits[ends - low - 1] = 1
    for place in range(low):
        bits[ends - 1 - place] = (codes >> place) & 1
    return bits
