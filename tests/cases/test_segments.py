"""Segments that do not fit their recording are cut or left out as in Kaldi, with a warning, or refused."""

from pathlib import Path

import pytest

from asr_topdown import datadir

from .conftest import Command, data_dir, sound, table


def directory(root: Path, segments: str) -> Path:
    """Two recordings of one second, and segments of utterances u1, u2 …"""
    wavs = {"r1": sound(root / "1.wav"), "r2": sound(root / "2.wav", seed=1)}
    names = [line.split()[0] for line in segments.splitlines()]
    text = "".join(f"{name} a b\n" for name in names)
    return data_dir(root / "set", wavs, text=text, segments=segments)


# Segments -> frames of each that is used (10 ms each, of 25 ms), lines of warnings.
CUT = {
    "the case: 0.3 s behind the sound": ("u1 r1 0 0.5\nu2 r2 0 1.3\n", {"u1": 48, "u2": 98}, 1),
    "rounded by the transcriber": ("u1 r1 0 0.5\nu2 r2 0.5 1.004\n", {"u1": 48, "u2": 48}, 1),
    "half a second, all that Kaldi allows": ("u1 r1 0 0.5\nu2 r2 0.5 1.5\n", {"u1": 48, "u2": 48}, 1),
    "several of one recording": (
        "u1 r1 0 1.1\nu2 r1 0.5 1.2\nu3 r1 0 0.5\n",
        {"u1": 98, "u2": 48, "u3": 48},
        2,
    ),
}
DROPPED = {
    "the case: 10 ms": ("u1 r1 0 0.5\nu2 r2 0 0.01\n", {"u1": 48}, 1),
    "begins behind the sound": ("u1 r1 0 0.5\nu2 r2 1.2 1.5\n", {"u1": 48}, 1),
    "begins where the sound ends": ("u1 r1 0 0.5\nu2 r2 1.0 1.4\n", {"u1": 48}, 1),
    "ends 5 s behind the sound": ("u1 r1 0 0.5\nu2 r2 0 6\n", {"u1": 48}, 1),
    "the end of the sound is shorter than a frame": ("u1 r1 0 0.5\nu2 r2 0.99 1.3\n", {"u1": 48}, 2),
}


@pytest.mark.parametrize("name", CUT | DROPPED)
def test_segments_outside_their_recording_are_cut_or_left_out_with_a_warning(
    name: str, config: Path, tmp_path: Path, command: Command
) -> None:
    segments, frames, warnings = (CUT | DROPPED)[name]
    folder = directory(tmp_path, segments)
    said = command("features", folder, "--config", config, "--nj", "1")
    assert said.code == 0, said.err
    assert {key: int(value) for key, value in table(folder / "utt2num_frames").items()} == frames
    told = [line for line in said.err.splitlines() if line.startswith("  ")]
    assert len(told) == warnings, said.err
    assert all(".wav: " in line for line in told)
    said = command("features", folder, "--config", config, "--nj", "1", "--strict")
    assert said.code == 1
    assert said.err.count(".wav: ") == warnings


def test_all_that_is_wrong_is_named_at_once(config: Path, tmp_path: Path, command: Command) -> None:
    folder = directory(tmp_path, "".join(f"u{n:02} r{n % 2 + 1} 0 0.{n + 10}\n" for n in range(20)))
    (tmp_path / "1.wav").write_bytes(b"no sound")
    said = command("features", folder, "--config", config, "--nj", "1")
    assert said.code == 1
    lines = [line for line in said.err.splitlines() if "1.wav: cannot be decoded" in line]
    assert len(lines) == 10
    assert "utterance u00" in said.err
    assert not (folder / "feats.scp").exists()


def test_training_and_decoding_do_without_them(
    config: Path, model: Path, tmp_path: Path, command: Command
) -> None:
    folder = directory(tmp_path, "u1 r1 0 0.5\nu2 r2 0.2 0.9\nu3 r2 7 8\n")
    assert command("features", folder, "--config", config, "--nj", "1").code == 0
    options = ["--config", config, "--train", folder, "--dev", folder, "--tokens", model / "tokens.txt"]
    said = command("train", *options, "--exp", tmp_path / "exp", "--seed", "1")
    assert said.code == 0
    assert f"{folder}: 1 utterances without sound are left out: u3" in said.err
    out = tmp_path / "out"
    assert command("decode", folder, "--model", model, "--out", out).code == 0
    heard = datadir.read_table(out / "set" / "text")
    assert list(heard) == ["u1", "u2", "u3"]
    assert heard["u3"] == ""
    assert command("score", folder, out / "set").code == 0


def test_a_transcript_without_a_speaker_is_not_a_lack_of_features(
    config: Path, model: Path, tmp_path: Path, command: Command
) -> None:
    folder = data_dir(tmp_path / "set", {"u1": sound(tmp_path / "1.wav")}, text="u1 ab\n")
    (folder / "text").write_text("u1 ab\nu2 ab\n")
    assert command("features", folder, "--config", config, "--nj", "1").code == 0
    code, _, said = command("decode", folder, "--model", model, "--out", tmp_path / "out")
    assert code == 1
    assert f"{folder / 'utt2spk'}: no line for u2, which has a transcript" in said
