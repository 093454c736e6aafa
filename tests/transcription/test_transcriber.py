"""From sound to texts, times and confidences, on tones whose times are known."""

import io
import tracemalloc

import numpy as np
import pytest
import soundfile
import torch

import asr_topdown
from asr_topdown.bin.main import main
from asr_topdown.nn.precision import has_bfloat16
from asr_topdown.transcription.transcript import Failure

from .conftest import EACH, RATE


@pytest.fixture(scope="module")
def recognizer(toy):
    return asr_topdown.load(toy.model)


def long_sound(toy, folder, words, pause=0.5):
    """Words in one file, with a pause after each, and when each begins and ends."""
    parts, times = [], []
    for word in words:
        sound, _ = soundfile.read(toy.write(folder / "word.wav", word))
        start = sum(map(len, parts)) / RATE
        times.append((start, start + len(sound) / RATE))
        parts += [sound, 1e-3 * np.random.default_rng(0).standard_normal(int(pause * RATE))]
    soundfile.write(folder / "long.wav", np.concatenate(parts), RATE)
    return folder / "long.wav", times


def test_texts_times_and_confidences(recognizer, toy, tmp_path):
    toy.write(tmp_path / "a.wav", "ab cab c")
    (found,) = recognizer.transcribe([tmp_path / "a.wav"])
    assert (found.source, found.text) == (str(tmp_path / "a.wav"), "ab cab c")
    assert found.seconds == pytest.approx(8 * EACH)
    assert [word.text for word in found.words] == ["ab", "cab", "c"]
    for word, letters in zip(found.words, [(0, 2), (3, 6), (7, 8)], strict=True):
        # A peak of CTC's output lies somewhere in its letter.
        assert letters[0] * EACH - 0.03 <= word.start < word.end <= letters[1] * EACH + 0.03
        assert 0.5 < word.confidence <= 1.0
    (segment,) = found.segments
    assert (segment.start, segment.end) == (0.0, found.seconds)


def test_sounds_of_every_kind_give_the_same(recognizer, toy, tmp_path):
    path = toy.write(tmp_path / "a.wav", "abc ba")
    samples, rate = soundfile.read(path, dtype="int16")
    sources = [path, str(path), io.BytesIO(path.read_bytes()), (samples, rate), (samples / 32768, rate)]
    assert {found.words for found in recognizer.transcribe(sources)} == {recognizer.transcribe(path)[0].words}
    assert recognizer.transcribe((samples, rate))[0].text == "abc ba"
    with open(path, "rb") as opened:
        assert recognizer.transcribe(opened)[0].source == str(path)


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_other_precisions_hear_the_same_tones(recognizer, toy, tmp_path, capsys, precision):
    """Through the programming interface, `transcribe` and `decode`; confidences differ."""
    path = str(toy.write(tmp_path / "a.wav", "ab cab c"))
    (exact,), (found,) = (
        one.transcribe(path) for one in (recognizer, asr_topdown.load(toy.model, precision=precision))
    )
    assert found.text == exact.text == "ab cab c"
    for one, two in zip(found.words, exact.words, strict=True):
        assert one.confidence == pytest.approx(two.confidence, abs=0.05)
        rounded = precision == "int8" or has_bfloat16(torch.device("cpu"))
        assert (one.confidence != two.confidence) == rounded
    assert main(["transcribe", str(toy.model), path, "--precision", precision]) == 0
    assert capsys.readouterr().out == f"{path}: ab cab c\n"
    command = ["decode", str(toy.root / "data" / "dev"), "--model", str(toy.model), "--out", str(tmp_path)]
    texts = []
    for said in ("float32", precision):
        assert main([*command, "--set", f"decode.precision={said}"]) == 0
        texts.append((tmp_path / "dev" / "text").read_text())
    assert "done already" not in capsys.readouterr().out
    assert texts[0] == texts[1]


def test_batched_is_one_by_one(recognizer, toy, tmp_path):
    texts = ["a", "ab cab c b a", "b c", "cab", "a b c a b c a b c", "cc"]
    paths = [toy.write(tmp_path / f"{number}.wav", text) for number, text in enumerate(texts)]
    together = recognizer.transcribe(paths)
    alone = [recognizer.transcribe(path)[0] for path in paths]
    assert [found.text for found in together] == [found.text for found in alone]
    for one, other in zip(together, alone, strict=True):
        for word, same in zip(one.words, other.words, strict=True):
            assert (word.start, word.end) == (same.start, same.end)
            assert word.confidence == pytest.approx(same.confidence, abs=1e-4)


def test_a_bad_file_costs_no_other(recognizer, toy, tmp_path):
    good = toy.write(tmp_path / "good.wav", "ab")
    blip = tmp_path / "blip.wav"
    soundfile.write(blip, np.zeros(9), RATE)
    (tmp_path / "bad.wav").write_text("no sound")
    sources = [good, tmp_path / "missing.wav", tmp_path / "bad.wav", blip, good]
    found = list(recognizer.stream(sources))
    assert [isinstance(one, Failure) for one in found] == [False, True, True, True, False]
    assert [one.source for one in found] == [str(source) for source in sources]
    for one in found[1:4]:
        assert one.source in one.reason
        assert "\n" not in one.reason
    with pytest.raises(ValueError, match=r"bad\.wav: cannot be decoded"):
        recognizer.transcribe([good, tmp_path / "bad.wav"])


def test_texts_come_before_all_sounds_are_read(recognizer, toy, tmp_path):
    """At most a minute is read ahead."""
    path = toy.write(tmp_path / "a.wav", "abc " * 30)
    read = []

    def sources():
        for number in range(40):
            read.append(number)
            yield path

    stream = recognizer.stream(sources())
    assert next(stream).text
    assert len(read) < 10
    assert len(list(stream)) == 39


def test_a_long_sound_is_cut_at_its_silences(recognizer, toy, tmp_path):
    words = ["ab", "cab", "c", "bac", "abc", "ba", "cc", "ab"] * 4
    path, times = long_sound(toy, tmp_path, words)
    whole = asr_topdown.load(toy.model, longest=4.0).transcribe(path)[0]
    assert len(whole.segments) >= 6
    assert whole.segments[0].start == 0.0
    for one, following in zip(whole.segments, whole.segments[1:], strict=False):
        assert one.end == following.start
        # Each cut lies in a pause.
        assert not any(start < one.end < end for start, end in times)
    samples, _ = soundfile.read(path, dtype="float32")
    assert whole.seconds == pytest.approx(len(samples) / RATE)
    for segment in whole.segments:
        start, end = round(segment.start * RATE), round(segment.end * RATE)
        (alone,) = recognizer.transcribe((samples[start:end], RATE))
        assert segment.text == alone.text
        for word, same in zip(segment.words, alone.words, strict=True):
            assert (word.start, word.end) == pytest.approx(
                (segment.start + same.start, segment.start + same.end)
            )


@pytest.mark.parametrize("suffix", [".wav", ".ogg"])
def test_memory_does_not_grow_with_the_length(toy, tmp_path, suffix, monkeypatch):
    recognizer = asr_topdown.load(toy.model, longest=2.0)
    monkeypatch.setattr("asr_topdown.transcription.transcriber._AHEAD", 1000)
    noise = 0.01 * np.random.default_rng(0).standard_normal((RATE * 10, 1))

    def peak(tens):
        path = tmp_path / f"{tens}{suffix}"
        with soundfile.SoundFile(path, "w", RATE, 1) as file:
            for _ in range(tens):
                file.write(noise)
        tracemalloc.start()
        (found,) = recognizer.transcribe(path)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert found.seconds == pytest.approx(10 * tens, abs=0.1)
        return most

    peak(1)  # what is allocated once
    assert peak(24) < 1.2 * peak(8)


@pytest.mark.parametrize("beam", [None, 2])  # too narrow for so many: widened
def test_nbest_hypotheses_come_best_first(toy, tmp_path, beam):
    path = toy.write(tmp_path / "a.wav", "abc ba")
    (found,) = asr_topdown.load(toy.model, nbest=4, beam=beam).transcribe(path)
    hypotheses = found.segments[0].hypotheses
    assert len(hypotheses) == 4
    assert hypotheses[0].text == found.text == "abc ba"
    assert [one.score for one in hypotheses] == sorted((one.score for one in hypotheses), reverse=True)
