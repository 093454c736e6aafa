"""An encoder for shorten, the lossless compression in NIST SPHERE, for test files.

After Robinson 1994, CUED/F-INFENG/TR.156: blocks of polynomial differences of order 0 to 3, of a linear
predictor, or of zeros; residuals are Rice codes; low bits that are zero in a whole block are shifted out.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from asr_topdown.audio.shorten import ulaw_codes

BLOCK = 256  # samples of one channel
MEANS = 4  # number of blocks in a running mean
_PCM16, _ULAW = 5, 8  # header types: 16 bits, low byte first; µ-law
_QUIT, _NEW_BLOCK_SIZE, _BIT_SHIFT, _QLPC, _ZERO, _VERBATIM = range(4, 10)
_LPC_BITS = 5

Bits = np.ndarray  # uint8, zeros and ones


def encode(
    channels: np.ndarray,
    *,
    block: int = BLOCK,
    means: int = MEANS,
    orders: Sequence[int] = (0, 1, 2, 3),
    weights: Sequence[int] = (),
    verbatim: bytes = b"",
    version: int = 2,
) -> bytes:
    """Compress 16-bit samples (int16) or µ-law codes (uint8), without loss.

    Args:
        channels: (n,) or (n, channels).
        block: samples per block.
        means: number of blocks in the mean that order 0 and the linear predictor subtract; 0 = none.
        orders: of the polynomial predictors; each block uses the one with the smallest residuals.
        weights: of a linear predictor, in 32nds; if given, it is used instead.
        verbatim: bytes to put before the first block, which a decoder skips.
        version: of the stream, 1 or 2.

    Raises:
        ValueError: for samples of another type.
    """
    if channels.dtype not in (np.int16, np.uint8):
        raise ValueError(f"samples must be int16, or uint8 µ-law codes, got {channels.dtype}")
    columns = channels.reshape(len(channels), -1)
    kind = _PCM16 if channels.dtype == np.int16 else _ULAW
    header = (kind, columns.shape[1], block, len(weights), means, 0)
    pieces = [_long(field) for field in header]
    if verbatim:
        pieces += [_rice([_VERBATIM], 2), _rice([len(verbatim)], 5), _rice(list(verbatim), 8)]
    pieces += _Encoder(columns.shape[1], block, means, orders, weights, version).blocks(columns)
    pieces.append(_rice([_QUIT], 2))
    bits = np.concatenate(pieces)
    bits = np.pad(bits, (0, -len(bits) % 32))
    return b"ajkg" + bytes([version]) + np.packbits(bits).tobytes()


class _Encoder:
    """The decoder's state for each channel: the last samples and the last blocks' means."""

    def __init__(
        self,
        channels: int,
        block: int,
        means: int,
        orders: Sequence[int],
        weights: Sequence[int],
        version: int,
    ) -> None:
        self._block, self._orders, self._weights, self._version = block, orders, list(weights), version
        self._history = [[0] * max(3, len(weights)) for _ in range(channels)]
        self._means = [[0] * means for _ in range(channels)]
        self._shift = 0

    def blocks(self, columns: np.ndarray) -> Iterator[Bits]:
        """Encode (N, channels) samples, block by block."""
        for start in range(0, len(columns), self._block):
            part = columns[start : start + self._block]
            if len(part) < self._block:
                yield _rice([_NEW_BLOCK_SIZE], 2)
                yield _long(len(part))
            for number, channel in enumerate(part.T):
                shift, values = _shifted(channel)
                if shift != self._shift and values.any():
                    yield _rice([_BIT_SHIFT], 2)
                    yield _rice([shift], 2)
                    self._shift = shift
                yield from self._encoded(number, values)

    def _encoded(self, number: int, values: np.ndarray) -> Iterator[Bits]:
        history = np.array([*self._history[number], *values.tolist()], np.int64)
        mean = self._mean(number)
        self._history[number] = history[-len(self._history[number]) :].tolist()
        if self._means[number]:
            self._means[number] = [*self._means[number][1:], self._mean_of(values)]
        if not values.any():
            yield _rice([_ZERO], 2)
            return
        size = len(values)
        if self._weights:
            command, residuals = _QLPC, self._unpredicted(history, size, mean)
        else:
            tried = [(order, _differences(history, size, order, mean)) for order in self._orders]
            command, residuals = min(tried, key=lambda pair: int(np.abs(pair[1]).sum()))
        codes = np.where(residuals >= 0, 2 * residuals, -2 * residuals - 1)
        low = min(8, max(1, int(codes.mean()).bit_length() - 1))
        yield _rice([command], 2)
        yield _rice([low - 1], 3)
        if command == _QLPC:
            yield _rice([len(self._weights)], 2)
            yield _rice([2 * w if w >= 0 else -2 * w - 1 for w in self._weights], _LPC_BITS + 1)
        yield _rice(codes, low)

    def _unpredicted(self, history: np.ndarray, size: int, mean: int) -> np.ndarray:
        """Return the residuals of the linear predictor."""
        first = len(history) - size
        rounding = 1 << _LPC_BITS if self._version > 1 else 0
        predicted = np.full(size, rounding, np.int64)
        for back, weight in enumerate(self._weights, 1):
            predicted += weight * (history[first - back : len(history) - back] - mean)
        return np.asarray(history[first:] - mean - (predicted >> _LPC_BITS))

    def _mean(self, number: int) -> int:
        means = self._means[number]
        if not means:
            return 0
        if self._version == 1:
            return int(sum(means) / len(means))
        return int((sum(means) + len(means) // 2) / len(means)) >> self._shift

    def _mean_of(self, values: np.ndarray) -> int:
        if self._version == 1:
            return int(values.sum() / len(values))
        return int((values.sum() + len(values) // 2) / len(values)) << self._shift


def _shifted(samples: np.ndarray) -> tuple[int, np.ndarray]:
    """Return the largest lossless shift and the shifted samples."""
    if samples.dtype == np.int16:
        every = int(np.bitwise_or.reduce(samples.astype(np.int64)))
        shift = (every & -every).bit_length() - 1 if every else 0
        return shift, samples.astype(np.int64) >> shift
    for shift in range(12, -1, -1):
        codes = ulaw_codes(shift)
        if np.isin(samples, codes).all():
            places = np.zeros(256, np.int64)
            places[codes] = np.arange(len(codes)) - len(codes) // 2
            return shift, places[samples]
    raise AssertionError("with a shift of 0 every code is possible")


def _differences(history: np.ndarray, size: int, order: int, mean: int) -> np.ndarray:
    if order == 0:
        return np.asarray(history[-size:] - mean)
    return np.asarray(np.diff(history, order)[-size:])


def _long(value: int) -> Bits:
    """Encode a header field or block size: the number of low bits, then the Rice code."""
    low = max(0, value.bit_length() - 1)
    return np.concatenate((_rice([low], 2), _rice([value], low)))


def _rice(codes: np.ndarray | Sequence[int], low: int) -> Bits:
    """Rice-code each value: its upper part as that many zeros and a one, then its `low` lowest bits."""
    codes = np.asarray(codes, np.int64)
    zeros = codes >> low
    ends = np.cumsum(zeros + 1 + low)
    bits = np.zeros(int(ends[-1]), np.uint8)
    bits[ends - low - 1] = 1
    for place in range(low):
        bits[ends - 1 - place] = (codes >> place) & 1
    return bits
