"""Sets by a hash of the transcript."""

import random
from collections import Counter

import pytest

from asr_topdown.corpora.split import parse_parts, part_of, split
from asr_topdown.datadir import DataDir


@pytest.mark.parametrize(
    ("transcript", "part"),
    # The first hex digits of `printf '%s' TRANSCRIPT | sha256sum`; 0.70 is b333, 0.85 is d999.
    [("hello", "train"), ("test", "train"), ("a", "dev"), ("one", "train"), ("", "test")],
)
def test_part_of(transcript, part):
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
    with pytest.raises(ValueError, match=r"2 utterances are too few: none fell to (dev|test)"):
        split(data(tmp_path, ["hello", "test"]))


def test_parse_parts():
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
