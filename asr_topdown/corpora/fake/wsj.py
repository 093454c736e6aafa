"""A fake WSJ0 and WSJ1: invented sentences in the discs' exact form, including every known quirk.

The quirks: `13_34.1` for `13-34.1`; disc 13-16.1 in upper case; a speaker, 401, who is listed but missing;
index lines without extension (eval92), with blanks or a slash after the colon, with carriage returns; the
wrong disc in the index files of eval93; verbalised punctuation in WSJ0's training set; and all conventions
of the transcripts. The sound is SPHERE compressed with shorten.
"""

import functools
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from asr_topdown.corpora.fake import speech, sphere

Layout = Literal["discs", "nested", "merged"]
"""`wsj0/11-1.1/wsj0/…`, `wsj0/csr_1_senn_d1/11-1.1/wsj0/…`, `wsj0/wsj0/…`."""

RATE = 16000
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_PER_SESSION = 30
_SENTENCES = 300

# Few letters, so that a small network learns their tones from few sentences.
_WORDS = (
    *("bad", "cab", "face", "head", "badge", "each", "beach", "decade", "cafe", "age", "had", "fed"),
    *("edge", "cage", "deaf", "ace", "add", "bag", "bead", "dead", "egg", "fade"),
)


class Token(NamedTuple):
    """A token as transcribed, as expected after preparation, and as spoken."""

    raw: str
    normalised: str
    spoken: str


_TOKENS = (
    Token("[loud_breath]", "<NOISE>", ""),
    Token("ba[noise]", "<NOISE>", "ba"),
    Token("[<door_slam]", "", ""),
    Token("[door_slam>]", "", ""),
    Token("[phone_ring/] egg [/phone_ring]", "EGG", "egg"),
    Token("[tongue-click]", "[TONGUE-CLICK]", ""),
    Token("~", "", ""),
    Token(".", "", ""),
    Token("<had>", "HAD", "had"),
    Token("*faced*", "*FACED*", "faced"),
    Token("be:ad", "BE:AD", "bead"),
    Token("head!", "HEAD!", "head"),
    Token("bead(ed)-", "BEAD(ED)-", "bead"),
    Token("cab\\'d", "CAB'D", "cabd"),
    Token("A\\. B\\. C\\.", "A. B. C.", "a b c"),
)
_VERBALISED = (
    Token("\\,comma", ",COMMA", "comma"),
    Token("\\.period", ".PERIOD", "period"),
    Token("\\-\\-dash", "-DASH", "dash"),
    Token('\\"double\\-quote', '"DOUBLE-QUOTE', "double quote"),
    Token("two \\.point five \\%percent", "TWO POINT FIVE PERCENT", "two point five percent"),
)


class _Set(NamedTuple):
    """A set: the places of its files and the names of its speakers."""

    discs: tuple[str, ...]
    folder: str
    dots_disc: str
    dots_folder: str
    index_disc: str
    index_name: str
    first_speaker: str
    session: int
    line: str = "{disc}:{path}"


_NVP = "wsj0/doc/indices/test/nvp"
_EVAL = "wsj1/doc/indices/wsj1/eval"
_TRAIN0 = ("11-1.1", "11-2.1", "11-3.1")
_TRAIN1 = ("13-1.1", "13-2.1", "13-3.1")

# fmt: off
_SETS: Mapping[str, _Set] = {
    "train_si84": _Set(_TRAIN0, "wsj0/si_tr_s", "11-10.1", "wsj0/transcrp/dots/si_tr_s",
                       "11-13.1", "wsj0/doc/indices/train/tr_s_wv1.ndx", "011", 2),
    "train_wsj1": _Set(_TRAIN1, "wsj1/si_tr_s", "13-34.1", "wsj1/trans/wsj1/si_tr_s",
                       "13-34.1", "wsj1/doc/indices/si_tr_s.ndx", "46c", 2, "{disc}: {path}\r"),
    "test_dev93": _Set(("13-16.1",), "wsj1/si_dt_20", "13-34.1", "wsj1/trans/wsj1/si_dt_20",
                       "13-34.1", "wsj1/doc/indices/h1_p0.ndx", "4k0", 3, "{disc}:/{path}"),
    "test_dev93_5k": _Set(("13-16.1",), "wsj1/si_dt_05", "13-34.1", "wsj1/trans/wsj1/si_dt_05",
                          "13-34.1", "wsj1/doc/indices/h2_p0.ndx", "4k0", 2),
    "test_eval92": _Set(("11-14.1",), "wsj0/si_et_20", "11-14.1", "wsj0/si_et_20",
                        "11-13.1", f"{_NVP}/si_et_20.ndx", "440", 4, "{disc}:{stem}"),
    "test_eval92_5k": _Set(("11-14.1",), "wsj0/si_et_05", "11-14.1", "wsj0/si_et_05",
                           "11-13.1", f"{_NVP}/si_et_05.ndx", "440", 2, "{disc}:{stem}"),
    "test_eval93": _Set(("13-33.1",), "wsj1/si_et_h1", "13-32.1", "wsj1/trans/wsj1/si_et_h1",
                        "13-32.1", f"{_EVAL}/h1_p0.ndx", "4oa", 3, "13_32_1:{path}"),
    "test_eval93_5k": _Set(("13-33.1",), "wsj1/si_et_h2", "13-32.1", "wsj1/trans/wsj1/si_et_h2",
                           "13-32.1", f"{_EVAL}/h2_p0.ndx", "4oa", 2, "13_32_1:{path}"),
}
# fmt: on
_SPEAKER_LISTS = {
    "test_eval93": ("13-32.1", "wsj1/doc/evl_spok/spkrinfo.txt"),
    "test_dev93": ("13-34.1", "wsj1/doc/dev_spok/spkrinfo.txt"),
    "train_wsj1": ("13-34.1", "wsj1/doc/train/spkrinfo.txt"),
    "test_eval92": ("11-13.1", "wsj0/doc/spkrinfo.txt"),
}

Sizes = Mapping[str, tuple[int, int]]
"""Set -> (speakers, utterances). train_wsj1 is train_si284 without train_si84."""

SMALL: Sizes = {
    "train_si84": (4, 60),
    "train_wsj1": (4, 60),
    "test_dev93": (2, 16),
    "test_dev93_5k": (2, 4),
    "test_eval92": (2, 16),
    "test_eval92_5k": (2, 4),
    "test_eval93": (2, 4),
    "test_eval93_5k": (2, 4),
}
FULL: Sizes = {
    "train_si84": (84, 7138),
    "train_wsj1": (200, 30278),
    "test_dev93": (10, 503),
    "test_dev93_5k": (10, 513),
    "test_eval92": (8, 333),
    "test_eval92_5k": (8, 330),
    "test_eval93": (10, 213),
    "test_eval93_5k": (10, 215),
}


class FakeWsj(NamedTuple):
    """The two folders, and the expected prepared transcripts: set -> utterance -> text."""

    wsj0: Path
    wsj1: Path
    texts: Mapping[str, Mapping[str, str]]


def write(
    folder: Path,
    sizes: Sizes = SMALL,
    *,
    layout: Layout = "discs",
    seed: int = 0,
    engine: speech.Engine = "auto",
    seconds_each: float = 0.07,
) -> FakeWsj:
    """Write `folder/wsj0` and `folder/wsj1`; the sets do not depend on each other.

    Args:
        folder: target folder.
        sizes: numbers of speakers and utterances for each set.
        layout: the folders above wsj0 and wsj1.
        seed: of the sentences.
        engine: see `speech.say`.
        seconds_each: see `speech.say`.
    """
    texts = {}
    for name, (speakers, utterances) in sizes.items():
        draw = random.Random(f"{seed} {name}")
        members = _members(_SETS[name], speakers, utterances)
        said = {utterance: _sentence(draw, name == "train_si84") for utterance, _ in members}
        for utterance, disc in members:
            spoken = " ".join(token.spoken for token in said[utterance] if token.spoken)
            sound = _sphere(spoken, utterance[:3] if sizes is not FULL else "", engine, seconds_each)
            _put(folder, layout, disc, _sound_name(_SETS[name], utterance), sound)
        _write_dots(folder, layout, _SETS[name], said)
        _write_index(folder, layout, name, members)
        _write_speakers(folder, layout, name, sorted({utterance[:3] for utterance, _ in members}))
        texts[name] = {
            u: " ".join(t.normalised for t in tokens if t.normalised) for u, tokens in said.items()
        }
    return FakeWsj(folder / "wsj0", folder / "wsj1", texts)


def _members(part: _Set, speakers: int, utterances: int) -> list[tuple[str, str]]:
    """Return (utterance, disc), divided evenly among speakers and discs, in the index file's order."""
    first = int(part.first_speaker, 36)
    members = []
    for i in range(speakers):
        speaker, disc = _base36(first + i, 3), part.discs[i * len(part.discs) // speakers]
        for k in range(utterances * i // speakers, utterances * (i + 1) // speakers):
            session, number = divmod(k - utterances * i // speakers, _PER_SESSION)
            members.append((f"{speaker}c{_base36(part.session + session, 2)}{_base36(number + 1, 2)}", disc))
    return members


def _sentence(draw: random.Random, verbalised: bool) -> tuple[Token, ...]:
    return _pool(draw.randrange(_SENTENCES), verbalised)


@functools.lru_cache(maxsize=2 * _SENTENCES)
def _pool(number: int, verbalised: bool) -> tuple[Token, ...]:
    draw = random.Random(f"sentence {number} {verbalised}")
    tokens = [Token(w, w.upper(), w) for w in draw.choices(_WORDS, k=draw.randint(3, 5))]
    tokens.insert(draw.randint(0, len(tokens)), _TOKENS[number % len(_TOKENS)])
    if verbalised:
        tokens.insert(draw.randint(1, len(tokens)), _VERBALISED[number % len(_VERBALISED)])
    return tuple(tokens)


@functools.lru_cache(maxsize=2 * _SENTENCES)
def _sphere(spoken: str, speaker: str, engine: speech.Engine, seconds_each: float) -> bytes:
    samples = speech.say(spoken, speaker=speaker, rate=RATE, engine=engine, seconds_each=seconds_each)
    return sphere.encode(samples, RATE, compressed=True, fields={"database_id": "fake"})


def _write_dots(folder: Path, layout: Layout, part: _Set, said: Mapping[str, tuple[Token, ...]]) -> None:
    sessions: dict[str, list[str]] = {}
    for utterance, tokens in said.items():
        line = f"{' '.join(token.raw for token in tokens)} ({utterance})"
        sessions.setdefault(utterance[:6], []).append(line)
    for session, lines in sessions.items():
        name = f"{part.dots_folder}/{session[:3]}/{session}00.dot"
        _put(folder, layout, part.dots_disc, name, "\n".join([*lines, ""]).encode())


def _write_index(folder: Path, layout: Layout, name: str, members: list[tuple[str, str]]) -> None:
    part = _SETS[name]
    lines = ["; an index file", ";; 16 kHz, first microphone"]
    for utterance, disc in [*_absent(name), *members]:
        path = _sound_name(part, utterance)
        disc_id = disc.replace("-", "_").replace(".", "_")
        lines.append(part.line.format(disc=disc_id, path=path, stem=path.removesuffix(".wv1")))
    _put(folder, layout, part.index_disc, part.index_name, "\n".join([*lines, ""]).encode())


def _absent(name: str) -> Iterator[tuple[str, str]]:
    """Return the utterances of speaker 401, which are in the index and on no disc."""
    if name == "train_si84":
        yield from ((f"401c02{_base36(number, 2)}", "11-2.1") for number in range(1, 99))


def _write_speakers(folder: Path, layout: Layout, name: str, speakers: list[str]) -> None:
    lines = ["; speaker, gender, dialect"]
    lines += [f"{speaker.upper()}   {'MF'[i % 2]}   somewhere" for i, speaker in enumerate(speakers)]
    if name == "train_si84":  # the list from the web page
        lines += [";"] * (134 - len(lines))
        (folder / "wsj0" / "wsj0-train-spkrinfo.txt").write_text("\n".join([*lines, ""]))
    elif name in _SPEAKER_LISTS:
        _put(folder, layout, *_SPEAKER_LISTS[name], "\n".join([*lines, "--- end", ""]).encode())


def _sound_name(part: _Set, utterance: str) -> str:
    return f"{part.folder}/{utterance[:3]}/{utterance}.wv1"


def _put(folder: Path, layout: Layout, disc: str, name: str, content: bytes) -> None:
    """Write the file `name` of `disc` under its name in this layout."""
    corpus = name[:4]
    above = folder / corpus
    if layout == "nested":
        above = above / f"csr_{disc[1]}_senn_d{disc[3]}"
    if layout != "merged":
        if disc == "13-16.1":
            name = name.upper()
        above = above / ("13_34.1" if disc == "13-34.1" else disc)
    path = above / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _base36(number: int, width: int) -> str:
    digits = ""
    while number:
        number, last = divmod(number, 36)
        digits = _DIGITS[last] + digits
    return digits.rjust(width, "0")
