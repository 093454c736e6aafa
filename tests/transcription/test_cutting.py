"""Long sound is cut at quiet places."""

import tracemalloc

import numpy as np
import pytest

from asr_topdown.transcription.cutting import cut, quietest

RATE = 1000


def speech(*spans, seconds):
    """Noise, quieter within spans (from, to, loudness)."""
    sound = np.random.default_rng(0).normal(size=seconds * RATE).astype(np.float32)
    for start, end, loudness in spans:
        sound[int(start * RATE) : int(end * RATE)] *= loudness
    return sound


def blocks(sound, size):
    return (sound[i : i + size] for i in range(0, len(sound), size))


def test_the_quietest_place():
    assert quietest(speech((6, 6.5, 0.01), (8, 8.5, 0.1), seconds=10), RATE) / RATE == pytest.approx(
        6.25, abs=0.15
    )
    # What is quieter still in the first third would make too short a piece.
    assert quietest(speech((1, 2, 0.0), (8, 8.5, 0.1), seconds=10), RATE) / RATE == pytest.approx(
        8.25, abs=0.15
    )


def test_of_several_silences_the_latest():
    sound = speech((5, 5.6, 0.0), (7, 7.6, 0.0), seconds=10)
    assert 7.0 < quietest(sound, RATE) / RATE < 7.6
    assert quietest(np.zeros(10 * RATE, np.float32), RATE) / RATE > 9.8


@pytest.mark.parametrize("size", [RATE, 7 * RATE, 100 * RATE])
def test_pieces_are_the_whole_sound_however_it_comes(size):
    sound = speech((8, 8.5, 0.0), (17, 17.5, 0.0), (20, 20.5, 0.01), seconds=33)
    pieces = list(cut(blocks(sound, size), RATE, 10.0))
    assert np.array_equal(np.concatenate([piece.samples for piece in pieces]), sound)
    starts = [piece.start for piece in pieces]
    assert starts == [sum(len(piece.samples) for piece in pieces[:i]) for i in range(len(pieces))]
    assert 8.0 < starts[1] / RATE < 8.5
    assert 17.0 < starts[2] / RATE < 17.5
    assert all(len(piece.samples) <= 11 * RATE for piece in pieces)
    assert all(len(piece.samples) >= RATE for piece in pieces)


@pytest.mark.parametrize("seconds", [1, 10, 11])
def test_what_is_short_is_not_cut(seconds):
    sound = speech(seconds=seconds)
    (piece,) = cut(blocks(sound, RATE), RATE, 10.0)
    assert np.array_equal(piece.samples, sound)


def test_memory_does_not_grow_with_the_length():
    def peak(minutes):
        noise = np.random.default_rng(0).normal(size=RATE * 10).astype(np.float32)
        tracemalloc.start()
        for _ in cut((noise for _ in range(6 * minutes)), RATE, 30.0):
            pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(60) < 1.1 * peak(5)
