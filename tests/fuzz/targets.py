"""Every parser of what users bring: whole files, pieces that mean something in them, and how they are read.

Whatever is read, nothing may come out but a value, a ValueError or an OSError that names the file.
"""

import contextlib
import io
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import safetensors.torch
import soundfile
import torch
from hypothesis import strategies as st

from asr_topdown import audio, config, datadir
from asr_topdown.audio import Clip
from asr_topdown.corpora.fake import sphere
from asr_topdown.corpora.table import reading
from asr_topdown.features import ark
from asr_topdown.features.cmvn import Cmvn
from asr_topdown.score import ctm, hub5, stm
from asr_topdown.text import Vocabulary
from asr_topdown.train.checkpoint import CheckpointPair
from asr_topdown.weights import load_weights


class Target(NamedTuple):
    """A parser.

    Attributes:
        name: of the file.
        parse: reads it; its folder holds nothing else.
        seeds: files that it reads.
        pieces: what to put into them, besides random bytes.
    """

    name: str
    parse: Callable[[Path], object]
    seeds: tuple[bytes, ...]
    pieces: tuple[bytes, ...]


@st.composite
def inputs(draw: st.DrawFn, target: Target) -> bytes:
    """A seed with a few edits: something is cut out, and random bytes or pieces put in."""
    data = draw(st.sampled_from(target.seeds))
    text = st.text(max_size=4).map(lambda text: text.encode("utf-8", errors="surrogatepass"))
    piece = st.sampled_from(target.pieces) | st.binary(max_size=8) | text
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        removed = draw(st.sampled_from([0, 0, 1, 2, 4, 8, 64, 1 << 20]))
        data = data[:start] + b"".join(draw(st.lists(piece, max_size=3))) + data[start + removed :]
    return data


def check(target: Target, data: bytes, folder: Path) -> None:
    """Parse `data` in a fresh `folder`; raise AssertionError if anything else comes out than may."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    path = folder / target.name
    path.write_bytes(data)
    _named(lambda: target.parse(path), str(folder))


def _named(call: Callable[[], object], *names: str) -> None:
    try:
        call()
    except AssertionError:
        raise
    except (ValueError, OSError) as error:
        if not any(name in str(error) for name in names):
            raise AssertionError(f"the file is not named: {error!r}") from error
    except Exception as error:
        raise AssertionError(f"{type(error).__name__}: {error}") from error


# How each kind of file is read.


def _hear(path: Path) -> None:
    for clip in (Clip(str(path)), Clip(str(path), start=0.01, end=0.02, channel=0)):
        _named(lambda clip=clip: audio.info(clip), str(path))
        _named(lambda clip=clip: audio.read(clip, remark=lambda _: None), str(path))
    audio.header_seconds(str(path))
    audio.num_channels(str(path))


def _arks(path: Path) -> None:
    for _, values in ark.load_archive(path):
        assert values.ndim in (1, 2)
    for offset in (0, 2, 7):
        ark.load(f"{path}:{offset}")


def _table(path: Path) -> None:
    """One table of a data directory is the file, the others are sound."""
    for name, content in DIRECTORY.items():
        if name != path.name:
            (path.parent / name).write_text(content, encoding="utf-8")
    folder = path.parent
    calls: tuple[Callable[[Path], object], ...] = (
        lambda folder: datadir.read(folder).clips(),
        datadir.validate,
        datadir.summarise,
        lambda folder: datadir.read_transcripts(folder / "text"),
        datadir.fix,
    )
    for call in calls:
        _named(lambda call=call: call(folder), str(folder))


def _rules(path: Path) -> None:
    hub5.GlmRules.read(path).hypothesis.apply(" uh can't a b ")


def _score(path: Path) -> None:
    """A reference and the words of a hypothesis, all through the rules."""
    (path.parent / "rules").write_text(GLM)
    segments = stm.read(path)
    words = [ctm.Word(*one[:2], one.start, 0.1, "can't") for one in segments]
    with contextlib.suppress(ValueError):  # which names the segment
        hub5.score(segments, words, hub5.GlmRules.read(path.parent / "rules"))


def _checkpoint(path: Path) -> None:
    state, _ = CheckpointPair(path.parent).load()
    assert isinstance(state, dict)


def _of_kind(kind: str) -> Callable[[Path], object]:
    return lambda path: reading.read(path, kind, {}, None)


# Files that can be read.


def _sound(kind: str, subtype: str = "PCM_16", channels: int = 1) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, SAMPLES[:, :channels], 8000, format=kind, subtype=subtype)
    return file.getvalue()


def _spheres() -> Iterable[bytes]:
    for compressed in (False, True):
        yield sphere.encode(SAMPLES[:, 0], 8000, compressed=compressed)
        yield sphere.encode(SAMPLES, 8000, coding="ulaw", compressed=compressed)


def _ark(**values: np.ndarray) -> bytes:
    file = io.BytesIO()
    for key, matrix in values.items():
        ark.save(file, key, matrix)
    return file.getvalue()


def _saved(value: object) -> bytes:
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


SAMPLES = np.stack([2000 * np.sin(np.arange(300) / n) for n in (3, 5)], axis=1).astype(np.int16)
SOUNDS = (
    *(_sound(kind) for kind in ("WAV", "W64", "RF64", "AIFF", "AU", "CAF", "FLAC", "NIST")),
    *(_sound("WAV", "FLOAT"), _sound("WAV", "GSM610"), _sound("OGG", "VORBIS"), _sound("OGG", "OPUS")),
    _sound("WAV", channels=2),
)
DIRECTORY = {
    "utt2spk": "ann-1 ann\nann-2 ann\nbob-1 bob\n",
    "text": "ann-1 one\nann-2 two three\nbob-1 caf\u00e9\n",
    "wav.scp": "rec1 a.wav\nrec2 cat a.wav |\n",
    "segments": "ann-1 rec1 0.0 0.25\nann-2 rec1 0.25 0.5\nbob-1 rec2 0.1 0.4\n",
    "feats.scp": "ann-1 a.ark:6\nann-2 a.ark:60\nbob-1 a.ark:600[0:9]\n",
    "utt2num_frames": "ann-1 23\nann-2 48\nbob-1 30\n",
    "utt2speed": "ann-1 1.1\n",
    "reco2file_and_channel": "rec1 call A\nrec2 call B\n",
    "sample_rate": "8000\n",
    "spk2utt": "ann ann-1 ann-2\nbob bob-1\n",
}
GLM = """;; rules
* name "x.glm"
* case_sensitive = 'F'
UH => %HESITATION / [ ] __ [ ]
[CAN'T] => [{CAN NOT / CANNOT}] / [ ] __ [ ]
;; INPUT_DEPENDENT_APPLICATION = "ctm"
"A B" => "C "
"""
STM = """;; comment
f A s 0.0 2.0 <o,f0> a (%uh) { b / c d / @ } it's
f A s 2.0 3 IGNORE_TIME_SEGMENT_IN_SCORING
"""
CTM = ";; comment\nf A 0.1 0.2 hello 0.9\nf A 1.0 0.5 can't\nf A 2.5 0.1 x\n"
YAML = """# an experiment
include: []
features: {fbank: {sample_rate: 8000, num_mels: 20}, deltas: 1}
model:
  layers: 1
train: {epochs: 3, optimizer: {lr: 1e-4}}
"""
CSV = 'id,text,speaker\na,one,x\nb,"two, three",y\n'
TSV = "id\ttext\tspeaker\na\tone\tx\n"
JSON = '{"audio_filepath": "a.wav", "text": "one", "duration": 1.5}\n'
UNITS = "# unit: char\n<blank> 0\n<unk> 1\na 2\nb 3\n"

# What is put into them.
WORDS = (
    *(b"\n", b"\r\n", b"\r", b"\xef\xbb\xbf", b" ", b"\t", b"\0", b"|", b"-1", b"nan", b"inf"),
    *(b"1e999", b"\xff", b"9" * 30, b'"', b"\xe2\x80\xa8", b"\xc2\x85"),
)
SIZES = tuple(
    number.to_bytes(4, order) for number in (0, 1, 2**31 - 1, 2**32 - 1) for order in ("little", "big")
)
CHUNKS = (b"RIFF", b"data", b"fmt ", b"ds64", b"SSND", b"COMM", b"LIST", b"OggS", b"fLaC", b"ajkg")
FIELDS = (
    b"sample_count -i 9\n",
    b"channel_count -i 3\n",
    b"sample_n_bytes -i 4\n",
    b"end_head\n",
    b"NIST_1A\n",
)
BRACES = (b"{ ", b" }", b"(", b")", b" / ", b"@", b"<", b"-", b"{ " * 99)
MATRICES = (b"\0B", b"FM ", b"DM ", b"CM ", b"CM2 ", b"PKL", b"[", b"]", b"\4")
MARKS = (b"{", b"}", b"[", b"]", b": ", b"&a", b"*a", b"<<", b"!!python/x", b"- ", b"include: [c.yaml]\n")


def _target(
    name: str, parse: Callable[[Path], object], seeds: Iterable[str | bytes], *pieces: bytes
) -> Target:
    return Target(name, parse, tuple(s if isinstance(s, bytes) else s.encode() for s in seeds), pieces)


TARGETS: dict[str, Target] = {
    **{name: _target(name, _table, [content], *WORDS) for name, content in DIRECTORY.items()},
    "stm": _target("x.stm", stm.read, [STM, STM.encode("utf-16")], *WORDS, *BRACES),
    "ctm": _target("x.ctm", ctm.read, [CTM], *WORDS, b"*", b"<ALT_BEGIN>"),
    "glm": _target("x.glm", _rules, [GLM], *WORDS, *BRACES, b"=>", b"[", b"]", b"__", b";;", b"*"),
    "hub5": _target("x.stm", _score, [STM], *BRACES, b"\n"),
    "yaml": _target("c.yaml", config.load, [YAML], *WORDS, *MARKS),
    "csv": _target("t.csv", _of_kind("csv"), [CSV, TSV, "\ufeff" + CSV], *WORDS, b",", b";", b'""'),
    "tsv": _target("t.tsv", _of_kind("csv"), [TSV], *WORDS),
    "json lines": _target("t.jsonl", _of_kind("json"), [JSON], *WORDS, b"{", b"}", b"null", b"[" * 5000),
    "lines": _target("t.txt", _of_kind("lines"), ["a one\nb two three\n"], *WORDS),
    "sphere": _target("a.sph", _hear, _spheres(), *CHUNKS, *SIZES, *FIELDS),
    "sound": _target("a.snd", _hear, SOUNDS, *CHUNKS, *SIZES),
    "ark": _target(
        "x.ark",
        _arks,
        [_ark(a=np.ones((3, 2), np.float32), b=np.ones(4)), "a  [\n 1 2\n 3 4 ]\nb [ 1 ]\n"],
        *SIZES,
        *MATRICES,
    ),
    "cmvn": _target("cmvn.ark", Cmvn.load, [_ark(g=np.array([[4.0, 2, 2], [9, 2, 0]]))], *SIZES, *MATRICES),
    "units": _target("tokens.txt", Vocabulary.load, [UNITS], *WORDS, b"# unit: bpe", b"<blank>"),
    "checkpoint": _target(
        "last.pt", _checkpoint, [_saved({"epoch": 1, "weights": {"a": torch.ones(2)}})], *SIZES, b"PK\3\4"
    ),
    "weights": _target(
        "w.safetensors", load_weights, [safetensors.torch.save({"a": torch.ones(2, 3)})], *SIZES, b'{"a":'
    ),
}
