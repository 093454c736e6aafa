"""Miniature Switchboard-1, MS98 transcripts, eval2000 and RT-03, with every quirk that the recipe handles.

Names, folders and formats are those of the discs; the sentences and speakers are invented.
"""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from asr_topdown import files
from asr_topdown.corpora.fake import speech, sphere
from asr_topdown.corpora.swbd.acronyms import LETTERS

RATE = 8000
_SILENCE = 0.3  # seconds between turns

# (in the transcript, spoken)
QUIRKS = (
    ("[laughter-really]", "really"),
    ("[it'n/isn't]", "it'n"),
    ("-[an]y", "y"),
    ("ab[solute]-", "ab"),
    ("yea[h]", "yea"),
    ("ex[specially]-/especially]", "ex"),
    ("{yuppiedom}", "yuppiedom"),
    ("ammu[n]it-", "amm"),
    ("them_1", "them"),
    ("IBM", "i b m"),
    ("TVs", "t v s"),
    ("BBC's", "b b c's"),
    ("I", "i"),
    ("[noise]", ""),
    ("[laughter]", ""),
    ("[vocalized-noise]", ""),
    ("<b_aside> hi <e_aside>", "hi"),
    ("[silence]", ""),
)
_WORDS = ("yes", "no", "bad", "dog", "call", "one", "two", "jam", "fix", "zip", "uh-huh", "okay")

GLM = """\
;; Rules of the kinds in en20000405_hub5.glm
* name "fake.glm"
* desc "a miniature"
* format = 'NIST1'
* max_nrules = '2500'
* copy_no_hit = 'T'
* case_sensitive = 'F'
UH-HUH  =>  %BCACK      / [ ] __ [ ] ;; affirmative token
UH      =>  %HESITATION / [ ] __ [ ] ;; hesitation token
UM      =>  %HESITATION / [ ] __ [ ] ;; hesitation token
%UH     =>  %HESITATION / [ ] __ [ ] ;; hesitation token
OKAY    =>  O. K.       / [ ] __ [ ]
;; INPUT_DEPENDENT_APPLICATION = "ctm"
[IT'S]  =>  [{IT'S / IT IS / IT HAS}] / [ ] __ [ ]
"""
_STM_HEADER = """\
;; LABEL "O" "Overall" "All segments"
;; LABEL "sw" "Switchboard" "From Switchboard"
;; LABEL "en" "CallHome" "From CallHome"
"""


class Fake(NamedTuple):
    """The corpora's folders and files."""

    swbd: Path
    transcripts: Path
    conv_tab: Path
    eval2000_speech: Path
    eval2000_transcripts: Path
    rt03: Path


class Turn(NamedTuple):
    """An utterance on one side: times in seconds, text in the transcript, spoken text."""

    side: str
    start: float
    end: float
    written: str
    spoken: str


def write(
    folder: Path,
    *,
    calls: int = 12,
    turns: int = 12,
    engine: speech.Engine = "auto",
    seconds_each: float = 0.07,
    seed: int = 0,
) -> Fake:
    """Write all corpora below `folder`.

    Args:
        folder: gets a subfolder for each.
        calls: number of Switchboard's calls.
        turns: utterances per call, alternating between A and B.
        engine: see `speech.say`.
        seconds_each: see `speech.say`.
        seed: of the sentences.
    """
    draw = random.Random(seed)
    say = _Voice(engine, seconds_each)
    made = Fake(
        folder / "LDC97S62",
        folder / "switchboard_word_alignments",
        folder / "switchboard_word_alignments" / "conv_tab.csv",
        folder / "LDC2002S09" / "hub5e_00",
        folder / "LDC2002T43",
        folder / "LDC2007S10",
    )
    _switchboard(made, calls, turns, say, draw)
    _eval2000(made.eval2000_speech, made.eval2000_transcripts, turns, say, draw)
    _rt03(made.rt03, turns, say, draw)
    return made


class _Voice(NamedTuple):
    engine: speech.Engine
    seconds_each: float

    def say(self, text: str, speaker: str) -> np.ndarray:
        return speech.say(
            text, speaker=speaker, rate=RATE, engine=self.engine, seconds_each=self.seconds_each
        )


def _sentence(draw: random.Random, quirk: tuple[str, str] | None) -> tuple[str, str]:
    """Draw a sentence, with the quirk if given; return it as written and as spoken."""
    said = [(word, word) for word in draw.choices(_WORDS, k=draw.randint(2, 4))]
    if quirk:
        said.insert(draw.randint(0, len(said)), quirk)
    return " ".join(written for written, _ in said), " ".join(spoken for _, spoken in said)


def _call(path: Path, sentences: Sequence[tuple[str, str]], voice: _Voice) -> list[Turn]:
    """Write a two-channel µ-law call in which A and B alternate; return its turns."""
    pieces: list[np.ndarray] = [np.zeros((round(_SILENCE * RATE), 2), np.int16)]
    position = len(pieces[0])
    turns = []
    for number, (written, spoken) in enumerate(sentences):
        channel = number % 2
        sound = voice.say(spoken, f"{path.stem}-{channel}")
        piece = np.zeros((len(sound) + round(_SILENCE * RATE), 2), np.int16)
        piece[: len(sound), channel] = sound
        turns.append(Turn("AB"[channel], position / RATE, (position + len(sound)) / RATE, written, spoken))
        pieces.append(piece)
        position += len(piece)
    sphere.write(path, np.concatenate(pieces), RATE, coding="ulaw", fields={"conversation_id": path.stem})
    return turns


def _switchboard(made: Fake, calls: int, turns: int, voice: _Voice, draw: random.Random) -> None:
    root = made.transcripts / "swb_ms98_transcriptions"
    quirks = [QUIRKS[number % len(QUIRKS)] for number in range(calls * turns)]
    tab = []
    for call in range(calls):
        number = 2001 + call
        # Every third sentence has a quirk; the file names on one disc are in upper case.
        sentences = [
            _sentence(draw, quirks[(call * turns + turn) // 3] if turn % 3 == 0 else None)
            for turn in range(turns)
        ]
        disc = f"swb1_d{1 + call % 4}"
        name = f"sw0{number}.sph" if call % 4 else f"SW0{number}.SPH"
        said = _call(made.swbd / disc / "data" / name, sentences, voice)
        for side in "AB":
            _ms98(
                root / f"{number // 100}" / f"{number}",
                f"{number}{side}",
                [t for t in said if t.side == side],
            )
        tab.append(f'{number}, "topic", {1000 + call}, {1100 + call}, 0')
    files.write_text(made.conv_tab, "".join(f"{line}\n" for line in tab))
    files.write_text(root / "sw-ms98-dict.text", _dictionary())


def _ms98(folder: Path, side: str, turns: Sequence[Turn]) -> None:
    """Write a side's transcript, with `[silence]` between turns, like the real ones."""
    lines = []
    end = 0.0
    for turn in turns:
        lines.append((end, turn.start, "[silence]"))
        lines.append((turn.start, turn.end, turn.written))
        end = turn.end
    text = "".join(
        f"sw{side}-ms98-a-{number:04d} {start:.6f} {end:.6f} {words}\n"
        for number, (start, end, words) in enumerate(lines, 1)
    )
    files.write_text(folder / f"sw{side}-ms98-a-trans.text", text)


def _dictionary() -> str:
    def letters(word: str) -> str:
        return " ".join(LETTERS[letter] for letter in word)

    entries: Mapping[str, str] = {
        "IBM": letters("ibm"),
        "TVs": f"{letters('tv')} z",
        "BBC's": f"{letters('bbc')} z",
        "NIT": "eh ay t iy",  # misspelt in the real one, too
        "I": "ay",
        "Ed": "eh d",
        "them": "dh eh m",
        "them_1": "eh m",
        "a": "ax",
    }
    return "#\n#  file: $SWB/data/dictionary/sw-ms98-dict.text\n#\n\n" + "".join(
        f"{word} {phones}\n" for word, phones in entries.items()
    )


# Special references: (written, spoken)
_MARKED = (
    ("(%UH) YES", "uh yes"),
    ("(SO-) NO", "no"),
    ("{ IT IS / IT'S } BAD", "it's bad"),
    ("((%HESITATION) TWO", "two"),
    ("<B_ASIDE> CALL <E_ASIDE> ONE", "call one"),
    ("(%UH)", "uh"),
)


def _references(turns: int, draw: random.Random) -> list[tuple[str, str]]:
    sentences = []
    for turn in range(turns):
        plain = _sentence(draw, None)
        sentences.append(_MARKED[turn % len(_MARKED)] if turn % 2 else (plain[0].upper(), plain[1]))
    return sentences


def _eval2000(speech_folder: Path, transcripts: Path, turns: int, voice: _Voice, draw: random.Random) -> None:
    english = speech_folder / "english"
    pem, lines = [";; PEM file"], [_STM_HEADER.rstrip("\n")]
    for name in ("en_4156", "en_4170", "sw_4390", "sw_4484"):
        said = _call(english / f"{name}.sph", _references(turns, draw), voice)
        for turn in sorted(said):
            times = f"{turn.start:.2f} {turn.end:.2f}"
            pem.append(f"{name} {turn.side} unknown_speaker {times}")
            labels = f"<O,{name[:2]}>"
            text = "IGNORE_TIME_SEGMENT_IN_SCORING" if turn is said[-1] else turn.written
            lines.append(f"{name} {turn.side} {name}_{turn.side} {times} {labels} {text}")
    reference = transcripts / "2000_hub5_eng_eval_tr" / "reference"
    files.write_text(english / "hub5e_00.pem", "".join(f"{line}\n" for line in pem))
    files.write_text(reference / "hub5e00.english.000405.stm", "".join(f"{line}\n" for line in lines))
    files.write_text(reference / "en20000405_hub5.glm", GLM)


def _rt03(root: Path, turns: int, voice: _Voice, draw: random.Random) -> None:
    for name in ("fsh_60262", "sw_30262"):
        path = root / "data/audio/eval03/english/cts" / f"{name}.sph"
        lines = [";; a comment"]
        end = 0.0
        for turn in _call(path, _references(turns, draw), voice):
            channel = 1 + "AB".index(turn.side)
            lines.append(f"{name} {channel} inter_segment_gap {end:.2f} {turn.start:.2f} <O> ")
            where = f"{name} {channel} {name}_{turn.side} {turn.start:.2f} {turn.end:.2f}"
            lines.append(f"{where} <O,{name[:2]}> {turn.written}")
            end = turn.end
        stm = root / "data/references/eval03/english/cts" / f"{name}.stm"
        files.write_text(stm, "".join(f"{line}\n" for line in lines))
    files.write_text(root / "data/trans_rules/en20030506.glm", GLM)
