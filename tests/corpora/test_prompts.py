"""The prompts: every quirk of the transcript file, on tones; the counts, on the real sounds."""

import gzip
import os
import stat
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr_topdown import datadir
from asr_topdown.bin.main import main
from asr_topdown.corpora import download, prompts, split

TRANSCRIPTS = """\
; Core Asterisk Sounds in English

activated: Activated.
agent-pass: Please enter your password followed by the pound key.
at-tone: At the sound of the tone: the time will be exactly...
beep: [this is a simple beep tone]
confbridge-join: <beep ascending>
digits/1: one
digits/h-40: fourtieth
dictate/help: press * to toggle pause, press # to enter a new filename
extra-no-wav: There is no recording of this.
h323: H.323
intro: Please leave your message. (simple tone sound plays)
letters/a: a
letters/at: at [@]
letters/second: the letter second
long: This one goes on and on.
oclock:  7 O'Clock
second: second
silence/1: (1 second of silence)
quiet: Nothing is heard here.
vm-goodbye: Goodbye!
"""

KEPT = {
    "activated": "activated",
    "agent-pass": "please enter your password followed by the pound key",
    "at-tone": "at the sound of the tone the time will be exactly",
    "dictate_help": "press star to toggle pause press pound to enter a new filename",
    "digits_1": "one",
    "digits_h-40": "fortieth",
    "h323": "h three two three",
    "intro": "please leave your message",
    "letters_a": "a",
    "letters_at": "at",
    "letters_second": "the letter second",
    "long": "this one goes on and on",
    "oclock": "seven o'clock",
    "second": "second",
    "vm-goodbye": "goodbye",
}


@pytest.fixture
def sounds(tmp_path):
    """A miniature of a Debian package's folder."""
    root = tmp_path / "sounds" / "usr" / "share" / "asterisk" / "sounds" / "en_US_f_Allison"
    names = [line.split(":")[0] for line in TRANSCRIPTS.splitlines()[2:]]
    for name in [*names, "no-transcript"]:
        if name == "extra-no-wav":
            continue
        length = 13.0 if name == "long" else 0.1
        level = 0.0005 if name in ("silence/1", "quiet") else 0.3
        file = root / f"{name}.wav"
        file.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(file, level * np.sin(np.arange(int(8000 * length))), 8000, subtype="PCM_16")
    text = tmp_path / "sounds" / "usr" / "share" / "doc" / "core-sounds-en.txt.gz"
    text.parent.mkdir(parents=True)
    text.write_bytes(gzip.compress(TRANSCRIPTS.encode()))
    return tmp_path / "sounds"


def everything(parts):
    return {utterance: text for part in parts for utterance, text in part.text.items()}


def test_all_prompts_are_in_one_set_or_left_out_for_a_reason(sounds, tmp_path, capsys):
    parts = prompts.prepare(tmp_path / "data", prompts=sounds)
    assert [part.path.name for part in parts] == ["train", "dev", "test"]
    assert everything(parts) == {f"allison-{name}": text for name, text in KEPT.items()}
    assert capsys.readouterr().out.splitlines() == [
        "left out, nothing is spoken: 3 (beep, confbridge-join, silence/1)",
        "left out, no transcript: 1 (no-transcript)",
        "left out, silence: 1 (quiet)",
        "longer than 12 s, and so in train: 1 (long)",
    ]
    for part in parts:
        datadir.validate(part.path)
        assert datadir.read(part.path) == part
        assert all(Path(wav).is_absolute() for wav in part.wavs.values())


def test_a_second_time_nothing_is_touched(sounds, tmp_path):
    prompts.prepare(tmp_path / "data", prompts=sounds)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*")}
    prompts.prepare(tmp_path / "data", prompts=sounds)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*")} == before


def test_long_ones_are_trained_on_whatever_their_hash(sounds, tmp_path):
    for path in ("data", "again"):
        train, dev, _ = prompts.prepare(
            tmp_path / path, prompts=sounds, long_seconds=60 if path == "again" else 12
        )
        home = dev if path == "again" else train
        assert split.part_of(home.text["allison-long"]) == "dev"


def test_the_layout_of_the_projects_archive(sounds, tmp_path):
    flat = tmp_path / "flat"
    next(sounds.rglob("en_US_f_Allison")).rename(flat)
    (flat / "core-sounds-en.txt").write_text(TRANSCRIPTS)
    parts = prompts.prepare(tmp_path / "data", prompts=flat)
    assert everything(parts) == {f"allison-{name}": text for name, text in KEPT.items()}


def test_another_sampling_rate_is_named(sounds, tmp_path):
    wav = next(sounds.rglob("oclock.wav"))
    soundfile.write(wav, np.ones(1600) * 0.1, 16000)
    with pytest.raises(ValueError, match=rf"{wav}: 16000 Hz, but the recordings before it have 8000 Hz"):
        prompts.prepare(tmp_path / "data", prompts=sounds)


def test_two_channels_are_named(sounds, tmp_path):
    wav = next(sounds.rglob("oclock.wav"))
    soundfile.write(wav, np.ones((800, 2)) * 0.1, 8000)
    with pytest.raises(ValueError, match=f"{wav}: has 2 channels"):
        prompts.prepare(tmp_path / "data", prompts=sounds)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("a: one\nno colon here\n", r"t\.txt:2: not `name: transcript`: 'no colon here'"),
        ("a: one\n; x\na: two\n", r"t\.txt:3: a occurs twice, with different transcripts"),
    ],
)
def test_bad_transcript_files(tmp_path, content, problem):
    (tmp_path / "t.txt").write_text(content)
    with pytest.raises(ValueError, match=problem):
        prompts.read_transcripts(tmp_path / "t.txt")


def test_a_transcript_may_stand_there_twice(tmp_path):
    (tmp_path / "t.txt").write_text("a: one: two\n\n a :one: two\n")
    assert prompts.read_transcripts(tmp_path / "t.txt") == {"a": "one: two"}


def test_folders_without_what_is_needed(sounds, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder"):
        prompts.prepare(tmp_path / "data", prompts=tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"no core-sounds-en\.txt or core-sounds-en\.txt\.gz"):
        prompts.prepare(tmp_path / "data", prompts=next(sounds.rglob("digits")))
    for wav in sounds.rglob("*.wav"):
        wav.unlink()
    with pytest.raises(ValueError, match="none of its 0 wav files has a transcript"):
        prompts.prepare(tmp_path / "data", prompts=sounds)


# ---- other languages

FRENCH = """\
activated: Activé
agent-user: Ouverture de session.  Entrez votre numéro d’agent…
beep: [tonalité]
dictate/forhelp: pour l'aide, appuyez sur 0.
for: Pour (emphase)
is:
lost: Il num? è corretto.
question: Changer pour quel dossier?
star: étoile [*]
starred: appuyez sur *
zero: zéro
zero: dix
"""
NUMBERS = (
    *("un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf", "onze", "douze", "treize"),
    *("vingt", "trente", "quarante", "cent", "mille", "seize", "quinze"),
)


def test_transcripts_of_other_languages_that_are_not_what_is_spoken_are_left_out(
    tmp_path, capsys, monkeypatch
):
    """Transcripts that are not what is spoken are left out: digits, symbols, a lost letter."""
    folder = tmp_path / "sounds" / "fr"
    text = FRENCH + "".join(f"digits/{number}: {number}\n" for number in NUMBERS)
    for line in text.splitlines():
        file = folder / f"{line.split(':')[0]}.wav"
        file.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(file, 0.3 * np.sin(np.arange(800)), 8000, subtype="PCM_16")
    soundfile.write(folder / "is.wav", np.zeros(0), 8000)
    (folder / "core-sounds-fr.txt").write_text(f"\ufeff; French\n{text}", encoding="utf-8")
    data = tmp_path / "data"
    with pytest.raises(ValueError, match=r"core-sounds-fr\.txt:13: zero occurs twice, with different"):
        prompts.prepare(data, language="fr", prompts=folder)
    monkeypatch.setitem(prompts._TWICE, "fr", ("zero",))
    assert main(["prepare", "prompts", "--language", "fr", "--prompts", str(folder), "--out", str(data)]) == 0
    parts = [datadir.read(data / part) for part in ("train", "dev", "test")]
    assert everything(parts) == {
        "june-activated": "activé",
        "june-agent-user": "ouverture de session entrez votre numéro d'agent",
        "june-for": "pour",
        "june-question": "changer pour quel dossier",
        "june-star": "étoile",
        **{f"june-digits_{number}": number for number in NUMBERS},
    }
    assert capsys.readouterr().out.splitlines()[:3] == [
        "left out, nothing is spoken: 2 (beep, is)",
        "left out, the transcript is not what is spoken: 3 (dictate/forhelp, lost, starred)",
        "left out, no transcript: 1 (zero)",
    ]
    assert {(data / part / "licence").read_text() for part in ("train", "dev", "test")} == {
        "Asterisk core sounds, CC BY-SA 3.0\n"
    }


# ---- where the sounds come from


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """No network, and a PATH with only a folder of programs that a test may fill."""

    def unreachable(url, path, checksum=""):
        raise OSError(f"cannot download {url}: no network")

    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setattr(download, "fetch", unreachable)
    monkeypatch.setenv("PATH", str(programs))
    return programs


ARCHIVE = (
    "https://downloads.asterisk.org/pub/telephony/sounds/releases/asterisk-core-sounds-en-wav-1.6.1.tar.gz"
)


def program(folder: Path, name: str, script: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)


def test_from_the_projects_archive(sounds, tmp_path, monkeypatch, offline):
    def fetch(url, path, checksum=""):
        assert (url, checksum) == (ARCHIVE, prompts.VOICES["en"].sha256)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(path, "w:gz") as tar:
            tar.add(sounds, ".")

    monkeypatch.setattr(download, "fetch", fetch)
    with pytest.raises(OSError, match=r"the download must have 568 files \*\.wav, got \d+"):
        prompts.prepare(tmp_path / "x" / "data")
    monkeypatch.setitem(prompts.VOICES, "en", prompts.VOICES["en"]._replace(recordings=len(KEPT)))
    parts = prompts.prepare(tmp_path / "x" / "data")
    assert len(everything(parts)) == len(KEPT)
    downloads = tmp_path / "x" / "downloads"
    archive = ARCHIVE.rpartition("/")[2]
    assert sorted(os.listdir(downloads)) == ["asterisk-core-sounds-en-wav", archive]
    # Another time nothing is fetched.
    monkeypatch.setattr(download, "fetch", None)
    prompts.prepare(tmp_path / "y" / "data", downloads=downloads)


def test_from_debian(sounds, tmp_path, offline, monkeypatch):
    program(offline, "apt-get", 'shift; for package; do echo "$package" >${package}_1_all.deb; done')
    program(offline, "dpkg-deb", f'mkdir -p "$3" && cp -r {sounds}/. "$3"')
    monkeypatch.chdir(tmp_path)
    parts = prompts.prepare(Path("x") / "data")  # relative, as in a recipe
    assert len(everything(parts)) == len(KEPT)
    assert os.listdir(tmp_path / "x" / "downloads") == ["asterisk-core-sounds-en-wav"]


def test_when_nothing_works_one_line_says_what_to_do(tmp_path, offline):
    program(offline, "apt-get", "echo 'E: Unable to locate package' >&2; exit 100")
    with pytest.raises(OSError, match="no network") as error:
        prompts.prepare(tmp_path / "data")
    line = str(error.value)
    assert "\n" not in line
    assert f"cannot download {ARCHIVE}: no network" in line
    assert "apt-get download failed: E: Unable to locate package" in line
    assert "--prompts DIR" in line
    (offline / "apt-get").unlink()
    with pytest.raises(OSError, match="apt-get is not installed"):
        prompts.prepare(tmp_path / "data")
    assert os.listdir(tmp_path / "downloads") == []


# ---- the real sounds


@pytest.fixture(scope="session")
def real():
    folder = os.environ.get("ASR_TOPDOWN_PROMPTS")
    if not folder:
        pytest.skip("set ASR_TOPDOWN_PROMPTS to a folder with the Asterisk core sounds")
    return Path(folder)


def test_the_real_sounds(real, tmp_path):
    parts = prompts.prepare(tmp_path, prompts=real)
    summaries = [datadir.summarise(part.path) for part in parts]
    assert [s.utterances for s in summaries] == [389, 86, 76]
    assert [s.words for s in summaries] == [2547, 430, 316]
    assert [s.characters for s in summaries] == [14099, 2406, 1790]
    assert sum(s.seconds for s in summaries) / 60 == pytest.approx(24.26, abs=0.01)
    letters = set("".join(everything(parts).values()))
    assert letters == set("abcdefghijklmnopqrstuvwxyz' ")


@pytest.mark.parametrize(
    ("language", "utterances", "minutes"),
    [
        ("es", [310, 61, 54], 20.7),
        ("fr", [326, 65, 59], 15.3),
        ("it", [387, 62, 66], 14.6),
        ("ru", [354, 75, 77], 14.9),
    ],
)
def test_the_real_voices(language, utterances, minutes, real, tmp_path):
    folder = real.parent / f"asterisk-core-sounds-{language}-wav"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    parts = prompts.prepare(tmp_path, language=language, prompts=folder)
    summaries = [datadir.summarise(part.path) for part in parts]
    assert [s.utterances for s in summaries] == utterances
    assert sum(s.seconds for s in summaries) / 60 == pytest.approx(minutes, abs=0.1)
