"""Connected digits: each recording once, disjoint speakers, the same on every machine."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from asr_topdown import datadir
from asr_topdown.corpora import download, fsdd

RATE = 8000


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """One recording of each digit and speaker: a different constant for each."""
    folder = tmp_path_factory.mktemp("fsdd") / "free-spoken-digit-dataset-1" / "recordings"
    folder.mkdir(parents=True)
    for s, speaker in enumerate(fsdd.SPEAKERS):
        for digit in range(10):
            level = (1000 + 100 * s + digit) / 32768
            sound = np.full(800 + 100 * digit, level)
            soundfile.write(folder / f"{digit}_{speaker}_0.wav", sound, RATE, subtype="PCM_16")
    return folder


@pytest.fixture
def prepare(recordings, tmp_path):
    def run(name="data", **options):
        return fsdd.prepare(tmp_path / name, fsdd=recordings, **options)

    return run


def test_speakers_are_disjoint_and_rotate():
    tests = []
    for fold in range(6):
        sets = fsdd.speakers_of(fold)
        assert {name: len(speakers) for name, speakers in sets.items()} == {"train": 4, "dev": 1, "test": 1}
        assert sorted(speaker for speakers in sets.values() for speaker in speakers) == list(fsdd.SPEAKERS)
        assert sets["dev"] == fsdd.speakers_of((fold + 1) % 6)["test"]
        tests += sets["test"]
    assert tests == list(fsdd.SPEAKERS)
    for fold in (-1, 6):
        with pytest.raises(ValueError, match=f"--fold {fold}: must be 0 to 5"):
            fsdd.speakers_of(fold)


@given(st.integers(3, 700), st.integers(0, 9), st.integers(1, 3))
def test_each_recording_is_used_equally_often(count, seed, repeats):
    names = [f"{i % 10}_theo_{i // 10}" for i in range(count)]
    strings = fsdd.plan("theo", names, seed, repeats)
    assert Counter(name for string in strings for name in string.names) == dict.fromkeys(names, repeats)
    for i, string in enumerate(strings):
        assert string.utterance == f"theo-{i:04}"
        assert 3 <= len(string.names) <= 7
        assert len(string.gaps_ms) == len(string.names) - 1
        assert all(50 <= gap <= 250 for gap in string.gaps_ms)


NAMES = [f"{digit}_theo_{index}" for digit in range(10) for index in range(50)]


def test_strings_are_the_same_everywhere():
    # Golden: SHA-256 has no versions.
    strings = fsdd.plan("theo", NAMES, seed=0)
    assert len(strings) == 99
    assert strings[0].text == "six nine four six seven one five"
    assert strings[0].names == tuple(
        f"{name[0]}_theo_{name[1:]}" for name in ["640", "918", "443", "648", "742", "121", "526"]
    )
    assert strings[0].gaps_ms == (57, 151, 57, 242, 53, 61)
    assert fsdd.plan("theo", NAMES, seed=0, repeats=2)[:99] == strings


def test_another_seed_joins_others():
    one, other = (fsdd.plan("theo", NAMES, seed) for seed in (0, 1))
    assert not {string.names for string in one} & {string.names for string in other}
    again = fsdd.plan("theo", NAMES, 0, repeats=2)[99:]
    assert not {string.names for string in one} & {string.names for string in again}


def test_lengths_and_digits_are_spread():
    strings = fsdd.plan("theo", NAMES, seed=0, repeats=20)
    lengths = Counter(len(string.names) for string in strings)
    for length in range(3, 8):
        assert lengths[length] / len(strings) == pytest.approx(0.2, abs=0.03)
    first = Counter(string.names[0][0] for string in strings)
    assert min(first.values()) > 0.7 * len(strings) / 10
    gaps = np.array([gap for string in strings for gap in string.gaps_ms])
    assert gaps.mean() == pytest.approx(150, abs=2)


def test_join_is_recordings_with_noise_between():
    drawn = np.random.default_rng(0)
    digits = [level * drawn.standard_normal(n) for level, n in ((0.1, 1600), (0.01, 2000), (0.2, 900))]
    digits[2][400:500] *= 0.05  # its quietest 10 ms have an RMS of about 0.01
    joined = fsdd.join(digits, [2000, 1000], RATE, noise_seed=7)
    assert len(joined) == 1600 + 16000 + 2000 + 8000 + 900
    np.testing.assert_array_equal(joined[:1600], digits[0])
    np.testing.assert_array_equal(joined[17600:19600], digits[1])
    np.testing.assert_array_equal(joined[-900:], digits[2])
    levels = [min(np.sqrt(np.mean(d[: len(d) // 80 * 80].reshape(-1, 80) ** 2, axis=1))) for d in digits]
    for gap, level in ((joined[1600:17600], min(levels[:2])), (joined[19600:27600], min(levels[1:]))):
        assert np.sqrt(np.mean(gap**2)) == pytest.approx(level, rel=0.02)
        assert abs(gap.mean()) < 0.05 * level
    np.testing.assert_array_equal(joined, fsdd.join(digits, [2000, 1000], RATE, noise_seed=7))
    assert (joined[1600:17600] != fsdd.join(digits, [2000, 1000], RATE, noise_seed=8)[1600:17600]).all()


def test_a_recording_shorter_than_a_frame():
    assert len(fsdd.join([np.ones(30), np.ones(30)], [50], RATE, 0)) == 460


def test_every_recording_is_used_once_and_only_in_its_speaker_s_set(prepare, recordings):
    parts = prepare()
    words = {"train": 40, "dev": 10, "test": 10}
    for part in parts:
        datadir.validate(part.path)
        assert datadir.read(part.path) == part
        assert sum(len(text.split()) for text in part.text.values()) == words[part.path.name]
        assert set(part.utt2spk.values()) == set(fsdd.speakers_of(0)[part.path.name])
    used = Counter()
    for part in parts:
        for utterance, wav in part.wavs.items():
            info = soundfile.info(wav)
            assert (info.samplerate, info.channels, info.subtype) == (RATE, 1, "PCM_16")
            samples, _ = soundfile.read(wav, dtype="int16")
            levels = [n for n, times in Counter(samples.tolist()).items() if times >= 800]
            assert len(levels) == len(part.text[utterance].split())
            heard = sorted(fsdd.WORDS[level % 100] for level in levels)
            assert heard == sorted(part.text[utterance].split())
            assert {fsdd.SPEAKERS[(level - 1000) // 100] for level in levels} == {part.utt2spk[utterance]}
            used.update(levels)
    assert len(used) == 60
    assert set(used.values()) == {1}


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.wav")}


def test_the_same_again_touches_nothing_and_a_seed_changes_all(prepare, tmp_path):
    prepare("one")
    prepare("two")
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "one").rglob("*")}
    prepare("one")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "one").rglob("*")} == before
    prepare("two", seed=1)
    one, two = tree(tmp_path / "one"), tree(tmp_path / "two")
    assert not any(one[name] == two.get(name) for name in one)
    listed = [line.split()[1] for scp in (tmp_path / "two").rglob("wav.scp") for line in scp.open()]
    assert {str(tmp_path / "two" / name) for name in two} == set(listed)


def test_a_speakers_strings_are_the_same_in_every_fold(prepare, tmp_path):
    prepare("fold0", fold=0)
    prepare("fold1", fold=1)
    assert tree(tmp_path / "fold0") == tree(tmp_path / "fold1")
    assert (tmp_path / "fold0" / "dev" / "text").read_text() == (
        tmp_path / "fold1" / "test" / "text"
    ).read_text()


def test_repeats_are_of_training_only(prepare):
    train, dev, test = prepare(repeats=3)
    assert [sum(len(t.split()) for t in part.text.values()) for part in (train, dev, test)] == [120, 10, 10]
    with pytest.raises(ValueError, match="--repeats 0: must be at least 1"):
        prepare(repeats=0)


def test_the_folder_may_be_the_recordings_or_hold_them(recordings, capsys):
    found = fsdd.find_recordings(recordings)
    assert found == {
        speaker: {f"{d}_{speaker}_0": recordings / f"{d}_{speaker}_0.wav" for d in range(10)}
        for speaker in fsdd.SPEAKERS
    }
    warning, *table = capsys.readouterr().out.splitlines()
    assert warning == f"warning: {recordings}: expected 50 recordings of every digit and speaker, found"
    assert table[0].split() == ["digit", *"0123456789"]
    assert [line.split() for line in table[1:]] == [[speaker, *"1" * 10] for speaker in fsdd.SPEAKERS]
    for folder in (recordings.parent, recordings.parent.parent):
        assert fsdd.find_recordings(folder) == found


def test_missing_recordings_are_named(recordings, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder"):
        fsdd.find_recordings(tmp_path / "nowhere")
    for wav in recordings.iterdir():
        if "theo" not in wav.name and wav.name[0] != "3":
            (tmp_path / wav.name).symlink_to(wav)
    with pytest.raises(ValueError, match="no recordings of speaker george saying 3"):
        fsdd.find_recordings(tmp_path)
    for wav in recordings.glob("3_*"):
        (tmp_path / wav.name).symlink_to(wav)
    (tmp_path / "3_theo_0.wav").unlink()
    with pytest.raises(ValueError, match="no recordings of speaker theo saying 0, 1, 2, 3, 4, 5, 6, 7, 8, 9"):
        fsdd.find_recordings(tmp_path)


def test_a_download_that_fails_says_what_to_do(tmp_path, monkeypatch):
    def unreachable(url, path, checksum=""):
        raise OSError(f"cannot download {url}: no network")

    monkeypatch.setattr(download, "fetch", unreachable)
    with pytest.raises(OSError, match=r"v1\.0\.10\.tar\.gz: no network\. Download .* --fsdd DIR$"):
        fsdd.prepare(tmp_path / "data")


def test_the_real_recordings(fsdd_dir, capsys):
    found = fsdd.find_recordings(fsdd_dir)
    assert not capsys.readouterr().out
    assert sum(map(len, found.values())) == 3000
    counts = {speaker: len(fsdd.plan(speaker, sorted(found[speaker]), 0)) for speaker in fsdd.SPEAKERS}
    expected = [100, 104, 102, 98, 99, 103]
    assert counts == dict(zip(fsdd.SPEAKERS, expected, strict=True))
