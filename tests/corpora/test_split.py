"""Sets by transcript, by speaker, and by both."""

import dataclasses
import random
import re
from collections import Counter

import numpy as np
import pytest
import soundfile

from asr_topdown.corpora.split import BY, Division, parse_parts, part_of, split
from asr_topdown.datadir import DataDir, speed_perturb


@pytest.mark.parametrize(
    ("transcript", "part"),
    # The first hex digits of `printf '%s' TRANSCRIPT | sha256sum`; 0.70 is b333, 0.85 is d999.
    [("hello", "train"), ("test", "train"), ("a", "dev"), ("one", "train"), ("", "test")],
)
def test_the_part_follows_from_the_transcript_s_hash(transcript, part):
    assert part_of(transcript) == part


def test_shares_are_met():
    drawn = random.Random(0)
    counts = Counter(part_of(f"sentence {drawn.random()}") for _ in range(20_000))
    for part, share in {"train": 0.70, "dev": 0.15, "test": 0.15}.items():
        assert counts[part] / 20_000 == pytest.approx(share, abs=0.01)


def data(tmp_path, texts):
    utterances = [f"u{i:03}" for i in range(len(texts))]
    return DataDir(
        path=tmp_path,
        wavs=dict.fromkeys(utterances, "x.wav"),
        text=dict(zip(utterances, texts, strict=True)),
        utt2spk=dict.fromkeys(utterances, "s"),
    )


def test_no_sentence_stands_in_two_sets(tmp_path):
    whole = data(tmp_path, [f"sentence {i % 40}" for i in range(120)])
    parts = split(whole)
    assert [part.path.name for part in parts] == ["train", "dev", "test"]
    sentences = [set(part.text.values()) for part in parts]
    assert len(set.union(*sentences)) == sum(map(len, sentences)) == 40
    assert sorted(u for part in parts for u in part.utterances()) == whole.utterances()


def test_a_set_that_stays_empty_is_an_error(tmp_path):
    expected = r"4 utterances with 2 different transcripts are too few .* by transcript: (dev|test) is empty"
    whole = data(tmp_path, ["hello", "test"] * 2)
    with pytest.raises(ValueError, match=f"{expected}$"):
        split(whole)
    voices = dataclasses.replace(whole, utt2spk={name: f"s{name}" for name in whole.utt2spk})
    with pytest.raises(ValueError, match=f"{expected}; there are 4 speakers for --split-by speaker$"):
        split(voices)


SHARES = {"train": 0.8, "dev": 0.1, "test": 0.1}


def spoken(tmp_path, lines):
    """A corpus of (speaker, transcript, seconds), cut from one recording."""
    utterances = [f"{speaker}-{i:05}" for i, (speaker, _, _) in enumerate(lines)]
    return DataDir(
        path=tmp_path,
        wavs={"r": "r.wav"},
        text={u: text for u, (_, text, _) in zip(utterances, lines, strict=True)},
        utt2spk={u: speaker for u, (speaker, _, _) in zip(utterances, lines, strict=True)},
        segments={u: ("r", 0.0, seconds) for u, (_, _, seconds) in zip(utterances, lines, strict=True)},
    )


def seconds(part):
    return sum(end - start for _, start, end in part.segments.values())


def drawn(speakers, sentences, number, seed=0):
    """Speakers of very different sizes; some sentences are frequent."""
    random_ = random.Random(seed)
    weights = [random_.random() ** 2 + 0.02 for _ in range(speakers)]
    return [
        (
            f"s{random_.choices(range(speakers), weights)[0]:03}",
            f"sentence {random_.randrange(sentences)}",
            1 + 5 * random_.random(),
        )
        for _ in range(number)
    ]


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("seed", [0, 1])
def test_each_rule_keeps_its_promise_and_the_shares(tmp_path, by, seed):
    whole = spoken(tmp_path, drawn(60, 100_000 if by == "both" else 900, 3000))
    parts = split(whole, Division(SHARES, by, seed))
    assert [part.path.name for part in parts] == list(SHARES)
    members = [set(part.utterances()) for part in parts]
    assert len(set.union(*members)) == sum(map(len, members)) <= len(whole.utt2spk)
    texts = [set(part.text.values()) for part in parts]
    speakers = [set(part.utt2spk.values()) for part in parts]
    if by != "speaker":
        assert len(set.union(*texts)) == sum(map(len, texts))
    if by in ("speaker", "both"):
        assert len(set.union(*speakers)) == sum(map(len, speakers)) == len(set(whole.utt2spk.values()))
    else:
        assert sum(map(len, members)) == len(whole.utt2spk)
    total = sum(map(seconds, parts))
    assert total > 0.95 * seconds(whole)
    near = 0.04 if by == "transcript" else 0.02  # a hash draws lots
    for part, share in zip(parts, SHARES.values(), strict=True):
        assert seconds(part) / total == pytest.approx(share, abs=near)


def test_a_seed_chooses_others_and_the_same_one_the_same(tmp_path):
    whole = spoken(tmp_path, drawn(20, 1000, 500))
    for by in BY:
        first, again, other = (split(whole, Division(SHARES, by, seed)) for seed in (3, 3, 4))
        assert first == again
        assert first != other


def test_stratified_has_every_speaker_in_every_set_by_the_shares(tmp_path):
    whole = spoken(tmp_path, [(f"s{i % 7}", f"sentence {i}", 1.0) for i in range(700)])
    parts = split(whole, Division(SHARES, "stratified"))
    for part, share in zip(parts, SHARES.values(), strict=True):
        counts = Counter(part.utt2spk.values())
        assert len(counts) == 7
        assert all(abs(count - 100 * share) <= 1 for count in counts.values())


def test_the_same_sentences_by_all_speakers(tmp_path):
    """By both: a third of the sentences of each set's speakers, in the given shares."""
    whole = spoken(tmp_path, [(f"s{i:02}", f"sentence {k}", 1.0) for i in range(20) for k in range(60)])
    parts = split(whole, Division(SHARES, "both"))
    texts = [set(part.text.values()) for part in parts]
    speakers = [set(part.utt2spk.values()) for part in parts]
    assert [len(s) for s in speakers] == [16, 2, 2]
    assert len(set.union(*texts)) == sum(map(len, texts)) == 60
    assert [len(t) for t in texts] == [20, 20, 20]


def test_both_says_what_it_leaves_out(tmp_path, capsys):
    lines = [(f"s{i}", f"sentence {k}", 1.0) for i in range(4) for k in range(10)]
    parts = split(spoken(tmp_path, lines), Division({"train": 0.5, "test": 0.5}, "both"))
    kept = sum(len(part.utt2spk) for part in parts)
    assert capsys.readouterr().out == (
        f"left out: {40 - kept} utterances whose sentence is said in another set\n"
    )
    assert kept == 20


def test_few_speakers_fill_all_sets(tmp_path):
    for by in ("speaker", "both"):
        whole = spoken(tmp_path, [(f"s{i}", f"{i} {k}", 1.0) for i in range(3) for k in range(9)])
        assert [len(part.utt2spk) for part in split(whole, Division(SHARES, by))] == [9, 9, 9]
        with pytest.raises(ValueError, match=r"2 speakers are too few for 3 sets \(train, dev, test\)"):
            split(spoken(tmp_path, [("a", "x", 1.0), ("b", "y", 1.0)]), Division(SHARES, by))


def test_empty_recordings_are_divided_by_their_number(tmp_path):
    whole = data(tmp_path, [f"sentence {i}" for i in range(4)])
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 16000)
    wavs = dict.fromkeys(whole.wavs, str(tmp_path / "empty.wav"))
    whole = dataclasses.replace(whole, wavs=wavs, utt2spk={u: f"s{u[-1]}" for u in whole.utt2spk})
    parts = split(whole, Division({"train": 0.5, "test": 0.5}, "speaker"))
    assert [len(part.utt2spk) for part in parts] == [2, 2]


def test_a_split_by_speaker_needs_speakers(tmp_path):
    whole = data(tmp_path, [f"sentence {i}" for i in range(40)])
    with pytest.raises(ValueError, match="needs speakers, and each utterance has its own"):
        split(dataclasses.replace(whole, utt2spk={u: u for u in whole.utt2spk}), Division(SHARES, "speaker"))


@pytest.mark.parametrize("by", ["speaker", "both"])
def test_copies_at_other_speeds_are_no_speakers_of_their_own(tmp_path, by):
    """A speaker was trained on at one speed and tested on at another."""
    whole = spoken(tmp_path, [(f"s{i % 8}", f"text {i % 20}", 1.0) for i in range(80)])
    fast = speed_perturb(whole, (1.0, 1.1), tmp_path / "fast")
    said = f"{tmp_path / 'fast'}: is speed-perturbed (utt2speed), and a split by speaker would put copies of"
    with pytest.raises(ValueError, match=re.escape(said)):
        split(fast, Division(SHARES, by))
    sentences = [set(part.text.values()) for part in split(fast, Division(SHARES, "stratified"))]
    assert len(set.union(*sentences)) == sum(map(len, sentences)) == 20


def test_parts_are_parsed_with_their_shares():
    assert parse_parts("train:0.8, dev:.1,test:0.1") == {"train": 0.8, "dev": 0.1, "test": 0.1}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "train",
        "train:0.8,dev:x",
        "train:0.8,dev:0.1",
        "a:0.5,a:0.5",
        "a/b:1",
        "..:1",
        "a:1.5,b:-0.5",
        "a:nan",
    ],
)
def test_parse_parts_refuses(text):
    with pytest.raises(ValueError, match="--split"):
        parse_parts(text)
