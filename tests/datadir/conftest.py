"""A small data directory in three forms, and a way to write it with faults."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

PLAIN = {
    "wav.scp": "ann-1 {wav}\nann-2 cat {wav} |\nbob-1 {wav}\n",
    "text": "ann-1 one\nann-2 two three\nbob-1 four\n",
    "utt2spk": "ann-1 ann\nann-2 ann\nbob-1 bob\n",
    "spk2utt": "ann ann-1 ann-2\nbob bob-1\n",
}
WITH_SEGMENTS = {
    "wav.scp": "rec1 {wav}\nrec2 {wav}\n",
    "segments": "ann-1 rec1 0.0 0.25\nann-2 rec1 0.25 0.5\nbob-1 rec2 0.1 0.4\n",
    "text": PLAIN["text"],
    "utt2spk": PLAIN["utt2spk"],
    "spk2utt": PLAIN["spk2utt"],
}
WITH_FEATS = PLAIN | {
    "feats.scp": "ann-1 {wav}:6\nann-2 {wav}:60\nbob-1 {wav}:600[0:9]\n",
    "utt2num_frames": "ann-1 23\nann-2 48\nbob-1 30\n",
}
KINDS = {"plain": PLAIN, "segments": WITH_SEGMENTS, "features": WITH_FEATS}


@pytest.fixture
def make(tmp_path):
    """A function that writes a directory of tables; `{wav}` stands for half a second of sound."""

    def write(kind: str, **changed: str | None) -> Path:
        wav = tmp_path / "tone.wav"
        soundfile.write(wav, np.full(4000, 0.1), 8000)
        folder = tmp_path / "dir"
        folder.mkdir(exist_ok=True)
        for name, content in {**KINDS[kind], **changed}.items():
            (folder / name).unlink(missing_ok=True)
            if content is not None:
                (folder / name).write_bytes(
                    content.replace("{wav}", str(wav)).encode("utf-8", "surrogateescape")
                )
        return folder

    return write
