"""Shorten: streams decoded equally by sph2pipe 2.5 and (except µ-law) FFmpeg, and our encoder's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_topdown.audio import shorten
from asr_topdown.corpora.fake import shorten as fake

# Stream -> samples, as both decoders give them.
GOLDEN: dict[str, tuple[str, list[int] | list[list[int]]]] = {
    # The running mean of order 0 must follow the bit shift.
    "a shift before order 0": ("616a6b6702cb1c93926d11b18d65a17cf100000000", [8, 5, 5, 7, 18, -6, -8, 14]),
    "order 0, a shift of 2 and back": (
        "616a6b6702cb1e89c933cac16e284440991082b8709b4d68647a78745e707e69398845259909c2719462200000",
        [
            *(300, 311, 289, 264, 281, 260, 302, 353, 280, 272, 316, 312, 304, 260, 296, 324),
            *(246, 281, 223, 248, 226, 290, 249, 310),
        ],
    ),
    "two channels, zeros, shifts": (
        "616a6b6702cb5649aa5acc1540224cd2e966df4deded1e627653df09211adc2a71dd331718d32a0000",
        [
            *([106, -77], [0, -91], [98, -65], [38, -89], [56, -104], [136, -104], [96, -40], [72, -80]),
            *([0, 0], [0, 0], [0, 0], [0, 0], [74, 10], [130, -118], [102, -46], [92, -42]),
        ],
    ),
    "a linear predictor and a shift": (
        "616a6b6702cb1e8ab24be674ee2219695435ebdb57cce9dc0ec0e2fa678a2a9a3ee74ee731c325cb13a1494000",
        [
            *(50, 148, 235, 302, 341, 348, 322, 266, 186, 92, -8, -100, -178, -228, -250, -238),
            *(-193, -123, -33, 65, 162, 247, 310, 344),
        ],
    ),
    "version 1": (
        "616a6b6701cb1c939267952318728904f731967195c9ffe47974621000",
        [297, 326, 357, 272, 308, 281, 305, 252, 276, 292, 335, 345],
    ),
    "µ-law with shifts of 3 and 6": (
        "616a6b6702e88f44e496d363348aa40147fc0b0de6b31a15ed185c739619a61e7995c67a9f5e800000",
        [
            *(243, 55, 1, 171, 3, 76, 255, 223, 174, 141, 46, 217, 9, 33, 70, 149, 130, 165, 175, 182),
            *(5, 41, 129, 47),
        ],
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_decodes_as_sph2pipe_and_ffmpeg(name: str) -> None:
    stream, expected = GOLDEN[name]
    samples, problem = shorten.decode(bytes.fromhex(stream))
    assert problem == ""
    np.testing.assert_array_equal(samples, np.array(expected).reshape(len(expected), -1))


@st.composite
def sounds(draw: st.DrawFn) -> np.ndarray:
    """Samples in pieces of different loudness, including zeros and unused bits."""
    pieces = draw(
        st.lists(
            st.tuples(st.integers(1, 40), st.integers(0, 14), st.integers(0, 8), st.booleans()),
            min_size=1,
            max_size=6,
        )
    )
    channels, seed, ulaw = draw(st.integers(1, 3)), draw(st.integers(0, 1 << 30)), draw(st.booleans())
    random = np.random.default_rng(seed)
    columns = []
    for length, loud, shift, silent in pieces:
        shape = (length, channels)
        if ulaw:
            columns.append(random.choice(shorten.ulaw_codes(shift), shape))
        else:
            noise = random.integers(-(1 << loud), 1 << loud, shape) >> shift << shift
            columns.append((0 * noise if silent else noise).astype(np.int16))
    return np.concatenate(columns)


@given(
    sounds(),
    st.sampled_from([8, 16, 256]),
    st.sampled_from([0, 1, 4]),
    st.sampled_from([(0,), (1, 2, 3), (0, 1, 2, 3)]),
    st.sampled_from([(), (58, -28), (30, 10, -5, -5, 3)]),
    st.binary(max_size=5),
    st.sampled_from([1, 2]),
)
def test_what_the_encoder_writes_is_read_back(
    samples: np.ndarray,
    block: int,
    means: int,
    orders: tuple[int, ...],
    weights: tuple[int, ...],
    verbatim: bytes,
    version: int,
) -> None:
    stream = fake.encode(
        samples,
        block=block,
        means=means,
        orders=orders,
        weights=weights,
        verbatim=verbatim,
        version=version,
    )
    decoded, problem = shorten.decode(stream)
    assert problem == ""
    assert decoded.dtype == samples.dtype
    np.testing.assert_array_equal(decoded, samples)


def test_what_breaks_off_is_decoded_up_to_there() -> None:
    samples = np.random.default_rng(0).integers(-500, 500, (4000, 2)).astype(np.int16)
    stream = fake.encode(samples)
    lengths = []
    for share in (0.25, 0.5, 0.75, 0.99):
        decoded, problem = shorten.decode(stream[: int(share * len(stream))])
        assert problem == "truncated stream"
        np.testing.assert_array_equal(decoded, samples[: len(decoded)])
        lengths.append(len(decoded) / len(samples))
    np.testing.assert_allclose(lengths, (0.25, 0.5, 0.75, 0.99), atol=0.08)


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (b"", "not a shorten stream"),
        (b"ajkg", "not a shorten stream"),
        (b"ajkg\0" + b"a" * 9, "must be 1 or 2, got 0"),
        (b"ajkg\3" + b"a" * 9, "must be 1 or 2, got 3"),
        (b"ajkg\2", "damaged shorten header"),
        (b"ajkg\2" + b"\xff" * 40, "got type"),
    ],
)
def test_what_is_no_stream_is_an_error(stream: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        shorten.decode(stream)


@given(st.binary(max_size=60), st.sampled_from(["", *(stream[:22] for stream, _ in GOLDEN.values())]))
def test_any_bytes_are_samples_or_an_error(data: bytes, head: str) -> None:
    try:
        samples, _ = shorten.decode((bytes.fromhex(head) or b"ajkg\2") + data)
    except ValueError:
        return
    assert samples.ndim == 2


def test_a_few_bytes_do_not_become_gigabytes_of_zeros() -> None:
    bits = [fake._long(field) for field in (5, 1, 1 << 24, 0, 0, 0)] + [fake._rice([8], 2)] * 40
    stream = np.packbits(np.concatenate(bits)).tobytes()
    assert len(stream) < 40
    samples, problem = shorten.decode(b"ajkg\2" + stream)
    assert "a block of" in problem
    assert samples.nbytes <= 1 << 28
