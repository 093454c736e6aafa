"""Truncated files, in every format with a length in its header."""

import io
import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr_topdown import audio
from asr_topdown.audio import Clip

RATE = 8000
SAMPLES = (
    np.round(3000 * np.random.default_rng(0).standard_normal(40000)).clip(-32768, 32767).astype(np.int16)
)
EXACT = ["WAV", "WAVEX", "W64", "RF64", "AIFF", "AU", "CAF", "FLAC", "NIST", "SVX"]
LOSSY = [
    *(("OGG", "VORBIS"), ("OGG", "OPUS"), ("WAV", "GSM610"), ("WAV", "ULAW"), ("WAV", "IMA_ADPCM")),
    *(("WAV", "MS_ADPCM"), ("CAF", "ALAC_16"), ("AIFF", "IMA_ADPCM"), ("WAV", "G721_32")),
]


def encoded(kind: str, subtype: str = "PCM_16") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, SAMPLES, RATE, format=kind, subtype=subtype)
    return file.getvalue()


def read(data: bytes, folder: Path) -> tuple[np.ndarray, list[str]]:
    """Read samples on the scale of 16 bits, and the remarks."""
    path, told = folder / "a.snd", list[str]()
    path.write_bytes(data)
    samples, rate = audio.read(Clip(str(path)), remark=told.append)
    assert rate == RATE
    assert all(line.startswith(f"{path}: ") and "\n" not in line for line in told)
    return samples * 32768, [line.removeprefix(f"{path}: ") for line in told]


@pytest.mark.parametrize("kind", EXACT)
def test_whole_files_are_read_exactly_and_without_remark(kind: str, tmp_path: Path) -> None:
    samples, told = read(encoded(kind), tmp_path)
    np.testing.assert_array_equal(samples, SAMPLES)
    assert told == []


@pytest.mark.parametrize("kind", EXACT)
@pytest.mark.parametrize("share", [0.5, 0.98])
def test_what_is_cut_off_does_not_cost_what_is_there(kind: str, share: float, tmp_path: Path) -> None:
    data = encoded(kind)
    samples, told = read(data[: int(share * len(data))], tmp_path)
    assert (share - 0.15) * len(SAMPLES) < len(samples) < len(SAMPLES)
    np.testing.assert_array_equal(samples, SAMPLES[: len(samples)])
    assert len(told) == 1
    assert "truncated" in told[0]


@pytest.mark.parametrize(("kind", "subtype"), LOSSY)
def test_so_with_what_loses_something(kind: str, subtype: str, tmp_path: Path) -> None:
    data = encoded(kind, subtype)
    whole, told = read(data, tmp_path)
    assert told == []
    assert len(SAMPLES) <= len(whole) < 1.02 * len(SAMPLES)
    half, told = read(data[: len(data) // 2], tmp_path)
    assert 0.2 * len(SAMPLES) < len(half) < 0.55 * len(SAMPLES)
    # The first of what is there is the same; a codec may need what follows for the last.
    np.testing.assert_allclose(half[:6000], whole[:6000], atol=1)
    assert told


def test_mp3_that_breaks_off(tmp_path: Path) -> None:
    data = encoded("MP3", "MPEG_LAYER_III")
    assert read(data, tmp_path)[1] == []
    half, told = read(data[: len(data) // 2], tmp_path)
    assert 0.3 * len(SAMPLES) < len(half) < 0.6 * len(SAMPLES)
    assert told == [f"truncated: {len(half)} of 40000 samples"]


def with_changing_bit_rate() -> tuple[bytes, bytes]:
    """An MP3 of noise, then a tone, and the same without its first frame, which has the number of frames."""
    file = io.BytesIO()
    tone = 3000 * np.sin(np.arange(80000) / 3)
    sound = np.concatenate([SAMPLES, tone.astype(np.int16)])
    soundfile.write(file, sound, RATE, format="MP3", bitrate_mode="VARIABLE", compression_level=0.5)
    data = file.getvalue()
    assert b"Xing" in data[:100]
    return data, data[data.index(data[:2], 4) :]


def test_mp3_that_says_how_many_frames_it_has_is_missed_a_few_of(tmp_path: Path) -> None:
    """Less than 5 % may be missing from a length that is estimated, but not from one that is given."""
    file = io.BytesIO()
    soundfile.write(file, np.tile(SAMPLES, 4), RATE, format="MP3", subtype="MPEG_LAYER_III")
    data = file.getvalue()
    assert b"Xing" in data[:200] or b"Info" in data[:200]
    most, told = read(data[: int(0.97 * len(data))], tmp_path)
    assert 150_000 < len(most) < 157_000
    assert told == [f"truncated: {len(most)} of 160000 samples"]


def pages(data: bytes) -> list[bytes]:
    """The pages of an Ogg file."""
    return [b"OggS" + page for page in data.split(b"OggS")[1:]]


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
@pytest.mark.parametrize("fault", ["a bit is wrong", "a page is missing"])
def test_ogg_with_a_gap(fault: str, subtype: str, tmp_path: Path) -> None:
    """Decoders leave out what is damaged and go on; some then give the end of the sound only."""
    file = io.BytesIO()
    soundfile.write(file, np.tile(SAMPLES, 4), RATE, format="OGG", subtype=subtype)
    whole = pages(file.getvalue())
    assert len(whole) > 4
    assert read(b"".join(whole), tmp_path)[1] == []
    middle = bytearray(whole[-2])
    middle[len(middle) // 2] ^= 4
    changed = [] if fault == "a page is missing" else [bytes(middle)]
    samples, told = read(b"".join([*whole[:-2], *changed, whole[-1]]), tmp_path)
    assert told[0] == "pages missing or damaged, and left out: 1"
    assert len(samples) < 4 * len(SAMPLES)


def test_mp3_of_changing_bit_rate_without_a_number_of_frames(tmp_path: Path) -> None:
    """As encoders write it to a pipe: libsndfile takes the first frame's bit rate for that of all."""
    data, bare = with_changing_bit_rate()
    with soundfile.SoundFile(io.BytesIO(bare)) as sound:
        assert sound.frames < 100_000
    whole, _ = read(data, tmp_path)
    tag = b"ID3\x04\0\0\0\0\0\x64" + bytes(100)
    number = data.index(b"Xing") + 8
    unfinished = data[:number] + bytes(4) + data[number + 4 :]
    for content in (bare, tag + bare, unfinished):
        samples, told = read(content, tmp_path)
        # Without the header, the encoder's delay of 576 samples is not known.
        np.testing.assert_array_equal(samples[576:][: len(whole)], whole)
        assert told == []
        assert audio.info(Clip(str(tmp_path / "a.snd"))) == (RATE, len(samples))
    # Neither a second such file nor damage between frames ends it.
    for between in (b"", tag, bytes(100)):
        twice, told = read(bare + between + bare, tmp_path)
        assert len(twice) > 1.98 * len(samples)
        assert told == []
    assert audio.num_channels(str(tmp_path / "a.snd")) == 1


@pytest.mark.parametrize(
    "form", ["MP3 constant", "MP3 variable", "VORBIS", "OPUS", "WAV", "WAVEX", "W64", "AIFF", "CAF", "FLAC"]
)
def test_several_files_in_one_are_told(form: str, tmp_path: Path) -> None:
    if form == "MP3 variable":
        data = with_changing_bit_rate()[0]
    elif form == "MP3 constant":
        data = encoded("MP3", "MPEG_LAYER_III")
    elif form in EXACT:
        data = encoded(form)
    else:
        data = encoded("OGG", form)
    once, told = read(data, tmp_path)
    assert told == []
    samples, told = read(data + data, tmp_path)
    np.testing.assert_array_equal(samples, once)
    assert told == ["several files in one, of which only the first is read"]


def put(kind: str, chunk: bytes, behind: int, form: str) -> Callable[[int], bytes]:
    """Return a function that writes a number at an offset after a chunk's name."""

    def with_number(number: int) -> bytes:
        data = bytearray(encoded(kind))
        struct.pack_into(form, data, data.index(chunk) + behind, number)
        return bytes(data)

    return with_number


LENGTHS = {
    "wav": (put("WAV", b"data", 4, "<I"), 4, 0),
    "au": (put("AU", b".snd", 8, ">I"), 4, 0),
    "aiff": (put("AIFF", b"SSND", 4, ">I"), 4, 8),
    "caf": (put("CAF", b"data", 4, ">Q"), 8, 4),
    "w64": (put("W64", b"data", 16, "<Q"), 8, 24),
    "rf64": (put("RF64", b"ds64", 16, "<Q"), 8, 0),
}


@pytest.mark.parametrize("name", LENGTHS)
def test_lengths_that_were_not_known_when_the_header_was_written(name: str, tmp_path: Path) -> None:
    written, width, counted = LENGTHS[name]
    unknown = (1 << 8 * width) - 1
    for number, remarks in ((unknown, 0), (unknown >> 1, 0), (0, 1), (counted, 1), (90000, 1)):
        samples, told = read(written(number), tmp_path)
        np.testing.assert_array_equal(samples, SAMPLES)
        assert len(told) == remarks, told
        if number == 90000:
            assert told == [f"truncated: 80000 of {90000 - counted} bytes of sound"]
        elif remarks:
            assert told == ["its header gives no length; 80000 bytes of sound follow"]


def test_a_command_that_streams_is_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(LENGTHS["wav"][0](0xFFFFFFFF))
    samples, _ = audio.read(Clip(f"cat {tmp_path / 'a'} |"), pipes=True)
    np.testing.assert_array_equal(samples * 32768, SAMPLES)


def test_flac_without_a_length_and_with_one_that_is_too_large(tmp_path: Path) -> None:
    data = bytearray(encoded("FLAC"))
    for number, expected in ((0, []), (90000, ["truncated: 40000 of 90000 samples"])):
        struct.pack_into(">I", data, 22, number)
        samples, told = read(bytes(data), tmp_path)
        np.testing.assert_array_equal(samples, SAMPLES)
        assert told == expected


def test_what_follows_flac_costs_nothing(tmp_path: Path) -> None:
    samples, told = read(encoded("FLAC") + b"ID3\4" + bytes(1000), tmp_path)
    np.testing.assert_array_equal(samples, SAMPLES)
    assert told == []


def test_damage_in_the_middle_of_flac_costs_what_follows(tmp_path: Path) -> None:
    data = bytearray(encoded("FLAC"))
    data[30000:30050] = b"\x55" * 50
    samples, told = read(bytes(data), tmp_path)
    assert 10000 < len(samples) < len(SAMPLES)
    np.testing.assert_array_equal(samples[:10000], SAMPLES[:10000])
    assert "truncated" in told[0]


def test_a_length_of_zero_is_believed_where_chunks_follow(tmp_path: Path) -> None:
    empty = bytearray(encoded("WAV")[:44])
    struct.pack_into("<I", empty, 40, 0)
    for tail in (b"", b"LIST\4\0\0\0abcd", b"LIST\4\0\0\0abcdJUNK\2\0\0\0ab"):
        with pytest.raises(audio.NoSoundError, match="has no samples"):
            read(bytes(empty) + tail, tmp_path)


def test_a_length_that_is_far_too_small_is_told(tmp_path: Path) -> None:
    samples, told = read(LENGTHS["wav"][0](8), tmp_path)
    np.testing.assert_array_equal(samples, SAMPLES[:4])
    assert told == ["no chunk in 79992 bytes after its 8 bytes of sound"]
    # Chunks behind the sound are none of its business, however long they are.
    data = encoded("WAV") + b"LIST" + struct.pack("<I", 200000) + bytes(200000)
    assert read(data, tmp_path)[1] == []


def test_the_header_alone_tells_length_and_channels(tmp_path: Path) -> None:
    path = tmp_path / "a.snd"
    for kind in EXACT:
        path.write_bytes(encoded(kind))
        assert audio.header_seconds(str(path)) == 5.0
        assert audio.num_channels(str(path)) == 1
        assert audio.info(Clip(str(path))) == (RATE, 40000)
    path.write_bytes(encoded("WAV")[:20044])
    assert audio.header_seconds(str(path)) == 1.25
    path.write_bytes(b"no sound")
    assert audio.header_seconds(str(path)) is None
    assert audio.header_seconds("nowhere") is None


def test_segments_of_a_file_that_must_be_decoded_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(encoded("WAV", "GSM610"))
    whole, _ = audio.read(Clip(str(path)))
    for start in (0.0, 1.0, 0.5, 4.0):
        part, _ = audio.read(Clip(str(path), start=start, end=start + 0.25))
        np.testing.assert_array_equal(part, whole[round(start * RATE) :][:2000])
    # What is kept of it is not taken for another file of the same name.
    path.write_bytes(encoded("WAV"))
    part, _ = audio.read(Clip(str(path), start=0.5, end=0.75))
    np.testing.assert_array_equal(part * 32768, SAMPLES[4000:6000])


def test_a_long_sound_is_read_in_blocks_without_being_decoded_whole(tmp_path: Path) -> None:
    for kind, subtype in (("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("WAV", "GSM610"), ("WAV", "PCM_16")):
        data = encoded(kind, subtype)
        (tmp_path / "a.snd").write_bytes(data)
        whole, _ = audio.read(Clip(str(tmp_path / "a.snd")))
        for sound in (audio.open_source(str(tmp_path / "a.snd")), audio.open_bytes(data, "a")):
            with sound:
                assert (sound.rate, sound.channels, sound.frames) == (RATE, 1, len(whole))
                blocks = [sound.read(at, min(at + 3000, sound.frames)) for at in range(0, sound.frames, 3000)]
                np.testing.assert_array_equal(np.concatenate(blocks)[:, 0], whole)
                np.testing.assert_array_equal(sound.read(100, 200)[:, 0], whole[100:200])


def test_bytes_that_hold_no_sound_are_named() -> None:
    for data, problem in ((b"", "empty file"), (b"no sound at all", "cannot be decoded")):
        with pytest.raises(ValueError, match=f"standard input: {problem}"):
            audio.open_bytes(data, "standard input")


def test_segments_behind_the_end_of_a_file_that_breaks_off(tmp_path: Path) -> None:
    path, told = tmp_path / "a.flac", list[str]()
    data = encoded("FLAC")
    path.write_bytes(data[: len(data) // 2])
    whole, _ = audio.read(Clip(str(path)), remark=told.append)
    seconds = len(whole) / RATE
    cut, _ = audio.read(Clip(str(path), start=seconds - 1, end=seconds + 1), remark=told.append)
    np.testing.assert_array_equal(cut, whole[-RATE:])
    with pytest.raises(audio.NoSoundError, match=r"a\.flac: truncated before a clip that starts at 3 s"):
        audio.read(Clip(str(path), start=3, end=4), remark=told.append)
    (line,) = set(told)
    assert "truncated: 16384 of 40000 samples" in line


@pytest.mark.parametrize(("kind", "endian"), [("AU", "LITTLE"), ("VOC", "FILE"), ("MAT4", "FILE")])
def test_rarer_formats_that_break_off(kind: str, endian: str, tmp_path: Path) -> None:
    file = io.BytesIO()
    soundfile.write(file, SAMPLES, RATE, format=kind, subtype="PCM_16", endian=endian)
    samples, told = read(file.getvalue(), tmp_path)
    np.testing.assert_array_equal(samples, SAMPLES)
    assert told == []
    half, (line,) = read(file.getvalue()[: len(file.getvalue()) // 2], tmp_path)
    np.testing.assert_array_equal(half, SAMPLES[: len(half)])
    assert line.startswith("truncated: ")


def test_the_suffix_raw_is_no_reason_to_fail(tmp_path: Path) -> None:
    """soundfile raises a TypeError for any file of that name."""
    path = tmp_path / "a.raw"
    path.write_bytes(encoded("WAV"))
    samples, _ = audio.read(Clip(str(path), start=1, end=2))
    np.testing.assert_array_equal(32768 * samples, SAMPLES[RATE : 2 * RATE])
    path.write_bytes(SAMPLES.tobytes())
    with pytest.raises(ValueError, match=r"a\.raw: cannot be decoded"):
        audio.read(Clip(str(path)))


def test_a_file_that_is_replaced_with_its_times_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.gsm.wav"
    clip = Clip(str(path), start=1, end=2)
    path.write_bytes(encoded("WAV", "GSM610"))
    first, _ = audio.read(clip)
    times = path.stat()
    soundfile.write(path, SAMPLES[::-1].copy(), RATE, format="WAV", subtype="GSM610")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    second, _ = audio.read(clip)
    assert len(second) == len(first)
    assert not np.array_equal(second, first)
