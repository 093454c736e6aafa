"""A decoder for shorten, the lossless compression in NIST SPHERE: all of WSJ, some of CallHome.

After Robinson 1994, CUED/F-INFENG/TR.156. A stream is a sequence of bits: a header and commands, which are a
block of one channel (the channels alternate), a new block size, a bit shift, or the end. A block's samples
are predicted by polynomials of order 0 to 3 from the previous three samples, or by a linear predictor (QLPC),
and residuals in Rice codes are added. Order 0 and QLPC subtract the mean of the last blocks' means; means
have the scale of the output, while the samples used for prediction are not shifted. Supports versions 1 and
2, and lossless 16-bit samples and µ-law.
"""

from typing import NamedTuple

import numpy as np

_MAGIC = b"ajkg"
_DIFF = range(4)
_QUIT, _BLOCK_SIZE, _BIT_SHIFT, _QLPC, _ZERO, _VERBATIM = range(4, 10)
_PCM16, _ULAW = (3, 5), 8
_LPC_BITS = 5
_MOST_SAMPLES = 1 << 27
"""Limit, since a few bytes of a damaged stream can mean any number of zeros."""
_MOST_CHANNELS, _MOST_SHIFT, _MOST_LOW = 64, 15, 31


class Decoded(NamedTuple):
    """(n, channels) int16 samples or uint8 µ-law codes; and why decoding stopped early, or ""."""

    samples: np.ndarray
    problem: str


def decode(data: bytes) -> Decoded:
    """Decode a stream; if it is truncated or damaged, the samples before the damage.

    Raises:
        ValueError: for a header that is not supported.
    """
    if data[:4] != _MAGIC or len(data) < 5:
        raise ValueError("not a shorten stream")
    if data[4] not in (1, 2):
        raise ValueError(f"the shorten version must be 1 or 2, got {data[4]}")
    stream = _Stream(data[5:], version=data[4])
    problem = ""
    try:
        while stream.step():
            pass
    except _DamageError as error:
        problem = str(error)
    return Decoded(stream.samples(), problem)


class _DamageError(Exception):
    """The rest of the stream cannot be decoded."""


class _Bits:
    """Reads numbers from a string of bits, most significant first."""

    def __init__(self, data: bytes) -> None:
        self._bits = np.unpackbits(np.frombuffer(data, np.uint8)).tobytes()  # a byte per bit, for `find`
        self._array = np.frombuffer(self._bits, np.uint8)
        self._position = 0

    def number(self, low: int) -> int:
        """Read a Rice code: the upper part as that many zeros, a one, and `low` lower bits."""
        one = self._bits.find(b"\1", self._position)
        end = one + 1 + low
        if one < 0 or low > _MOST_LOW or end > len(self._bits):
            raise _DamageError("truncated stream")
        value = one - self._position
        for bit in self._bits[one + 1 : end]:
            value = value << 1 | bit
        self._position = end
        return value

    def long(self) -> int:
        """Read a number that is preceded by its number of lower bits."""
        return self.number(self.number(2))

    def numbers(self, count: int, low: int) -> np.ndarray:
        """Read `count` Rice codes at once."""
        if count == 0:
            return np.zeros(0, np.int64)
        if low > _MOST_LOW or count * (low + 1) > len(self._bits) - self._position:
            raise _DamageError("truncated stream")
        find, behind, position = self._bits.find, [], self._position
        for _ in range(count):
            position = find(b"\1", position) + 1 + low
            behind.append(position)
        if min(behind) <= self._position or position > len(self._bits):  # `find` returns -1 if there is none
            raise _DamageError("truncated stream")
        starts = np.array([self._position, *behind[:-1]], np.int64)
        ones = np.array(behind, np.int64) - (1 + low)
        codes = ones - starts
        for place in range(1, low + 1):
            codes = codes << 1 | self._array[ones + place]
        self._position = position
        return codes


def _signed(codes: np.ndarray) -> np.ndarray:
    """Map 0, 1, 2, 3, 4, … to 0, -1, 1, -2, 2, …."""
    return np.asarray(codes >> 1 ^ -(codes & 1))


class _Channel:
    """A channel's state for prediction: its last samples and its last blocks' means."""

    def __init__(self, history: int, means: int) -> None:
        self.history = np.zeros(history, np.int64)
        self.means = [0] * means
        self.blocks: list[np.ndarray] = []


class _Stream:
    """Decodes a stream command by command."""

    def __init__(self, data: bytes, version: int) -> None:
        self._bits = _Bits(data)
        self._version = version
        try:
            kind, channels, self._size, order, means, skipped = (self._bits.long() for _ in range(6))
            self._bits.numbers(skipped, 1)
        except _DamageError as error:
            raise ValueError(f"damaged shorten header ({error})") from None
        if kind not in (*_PCM16, _ULAW):
            raise ValueError(f"shorten's samples must be 16 bits or µ-law, got type {kind}")
        if not 1 <= channels <= _MOST_CHANNELS or order > 1024 or means > 1024:
            raise ValueError("damaged shorten header")
        self._ulaw = kind == _ULAW
        self._channels = [_Channel(max(3, order), means) for _ in range(channels)]
        self._next = self._shift = self._total = 0

    def step(self) -> bool:
        """Execute a command; return False at the end."""
        command = self._bits.number(2)
        if command == _BLOCK_SIZE:
            self._size = self._bits.long()
        elif command == _BIT_SHIFT:
            self._shift = self._bits.number(2)
            if self._shift > _MOST_SHIFT:
                raise _DamageError(f"a bit shift of {self._shift}")
        elif command == _VERBATIM:
            self._bits.numbers(self._bits.number(5), 8)
        elif command != _QUIT:
            self._block(command)
        return command != _QUIT

    def samples(self) -> np.ndarray:
        """Return the samples decoded so far in all channels."""
        columns = [
            np.concatenate([*one.blocks, np.zeros(0, np.uint8 if self._ulaw else np.int16)])
            for one in self._channels
        ]
        shortest = min(map(len, columns))
        return np.stack([column[:shortest] for column in columns], axis=1)

    def _block(self, command: int) -> None:
        channel = self._channels[self._next]
        self._total += self._size
        if not 1 <= self._size <= _MOST_SAMPLES or self._total > _MOST_SAMPLES:
            raise _DamageError(f"a block of {self._size} samples")
        if command in _DIFF:
            values = self._difference(channel, command)
        elif command == _QLPC:
            values = self._linear(channel)
        elif command == _ZERO:
            values = np.zeros(self._size, np.int64)
        else:
            raise _DamageError(f"an unknown command, {command}")
        channel.blocks.append(self._output(values))
        channel.history = np.concatenate((channel.history, values))[-len(channel.history) :]
        if channel.means:
            half = self._size // 2 if self._version > 1 else 0
            mean = _divide(int(values.sum()) + half, self._size)
            channel.means = [*channel.means[1:], mean << self._shift if self._version > 1 else mean]
        self._next = (self._next + 1) % len(self._channels)

    def _difference(self, channel: _Channel, order: int) -> np.ndarray:
        """Decode a block with a polynomial predictor, by summing the residuals `order` times."""
        values = _signed(self._bits.numbers(self._size, self._bits.number(3) + 1))
        if order == 0:
            return np.asarray(values + self._mean(channel))
        # The differences of the last samples, the highest order first.
        for times in reversed(range(order)):
            values = np.cumsum(values) + np.diff(channel.history[-1 - times :], times)[-1]
        return values

    def _linear(self, channel: _Channel) -> np.ndarray:
        """Decode a block with a linear predictor of the samples minus their mean."""
        low = self._bits.number(3) + 1
        order = self._bits.number(2)
        if order > len(channel.history):
            raise _DamageError(f"a linear predictor of order {order}")
        weights = _signed(self._bits.numbers(order, _LPC_BITS + 1)).tolist()
        residuals = _signed(self._bits.numbers(self._size, low)).tolist()
        mean = self._mean(channel)
        rounding = 1 << _LPC_BITS if self._version > 1 else 0
        values = [int(value) - mean for value in channel.history[len(channel.history) - order :]]
        for residual in residuals:
            predicted = rounding
            for back, weight in enumerate(weights, 1):
                predicted += weight * values[-back]
            values.append(residual + (predicted >> _LPC_BITS))
            if abs(values[-1]) >> 31:
                raise _DamageError("samples that do not fit")
        return np.array(values[order:], np.int64) + mean

    def _mean(self, channel: _Channel) -> int:
        if not channel.means:
            return 0
        half = len(channel.means) // 2 if self._version > 1 else 0
        mean = _divide(sum(channel.means) + half, len(channel.means))
        return mean >> self._shift if self._version > 1 else mean

    def _output(self, values: np.ndarray) -> np.ndarray:
        """Convert a block to output: shifted back, or as µ-law codes."""
        least, most = int(values.min()), int(values.max())
        if self._ulaw:
            codes = ulaw_codes(self._shift)
            if not -len(codes) // 2 <= least <= most < len(codes) // 2:
                raise _DamageError("samples that do not fit")
            return codes[values + len(codes) // 2]
        if not -(1 << 15) >> self._shift <= least <= most < 1 << 15 - self._shift:
            raise _DamageError("samples that do not fit")
        return (values << self._shift).astype(np.int16)


def _divide(whole: int, parts: int) -> int:
    """Divide and round towards zero, as in C."""
    return whole // parts if whole >= 0 else -(-whole // parts)


def ulaw_codes(shift: int) -> np.ndarray:
    """Return the µ-law codes that are possible with a shift, from the lowest sample.

    A magnitude from 0 to 127 is possible if it is the first to reach a multiple of 2**shift as a linear
    sample of 13 bits: without a shift, all are.
    """
    linear = [((33 + 2 * (m % 16) << m // 16) - 32) // 2 >> shift for m in range(128)]
    reached = [m for m in range(128) if m == 0 or linear[m] > linear[m - 1]]
    magnitudes = np.array(reached, np.uint8)
    return np.concatenate((127 - magnitudes[::-1], 255 - magnitudes))
