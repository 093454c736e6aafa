"""The text of a language model: official counts, columns, spans, errors."""

import itertools
import os
import statistics
from pathlib import Path

import pytest
import torch

from asr_topdown.data.language_model import batchify, bptt_segments, get_batch
from asr_topdown.text.word_vocabulary import EOS, WordVocabulary

TEXT = " \n = Title = \n \n one two <unk> two \n"


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "train.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_every_line_ends_in_eos_blank_ones_too(text: Path) -> None:
    vocabulary = WordVocabulary.build([text])
    words = [vocabulary.words[index] for index in vocabulary.read(text)]
    assert words == [EOS, "=", "Title", "=", EOS, EOS, "one", "two", "<unk>", "two", EOS]
    assert vocabulary.words == (EOS, "=", "Title", "one", "two", "<unk>")


def test_only_line_feeds_end_a_line(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("a\x85b c\u2028d\n", encoding="utf-8")
    assert len(WordVocabulary.build([path]).read(path)) == 5


def test_a_vocabulary_comes_back_from_its_file(text: Path, tmp_path: Path) -> None:
    vocabulary = WordVocabulary.build([text])
    vocabulary.save(tmp_path / "words.txt")
    assert WordVocabulary.load(tmp_path / "words.txt") == vocabulary


@pytest.mark.parametrize(
    ("content", "line", "word"),
    [("a\na\n", 2, "'a'"), ("a\n\nb\n", 2, "''"), ("a b\n", 1, "'a b'"), ("", 1, "''")],
)
def test_a_damaged_vocabulary_is_named(tmp_path: Path, content: str, line: int, word: str) -> None:
    path = tmp_path / "words.txt"
    path.write_text(content)
    with pytest.raises(ValueError, match=f"words.txt:{line}: needs one new word in each line, got {word}"):
        WordVocabulary.load(path)


def test_an_unknown_word_is_named_with_its_line(text: Path, tmp_path: Path) -> None:
    other = tmp_path / "test.txt"
    other.write_text("one\ntwo three\n")
    with pytest.raises(ValueError, match=r"test\.txt:2: the word 'three' is not in the vocabulary"):
        WordVocabulary.build([text]).read(other)


def test_an_empty_file_and_one_that_is_no_text_are_named(tmp_path: Path) -> None:
    empty, binary = tmp_path / "empty.txt", tmp_path / "binary.txt"
    empty.write_text("")
    binary.write_bytes(b"good\n\xff\xfe bad\n")
    with pytest.raises(ValueError, match=r"empty\.txt: the file is empty"):
        WordVocabulary.build([empty])
    with pytest.raises(ValueError, match=r"binary\.txt:\d: not UTF-8"):
        WordVocabulary.build([binary])


def test_columns_stand_side_by_side_and_the_rest_is_dropped() -> None:
    rows = batchify(torch.arange(14), 4, where="here")
    assert rows.tolist() == [[0, 3, 6, 9], [1, 4, 7, 10], [2, 5, 8, 11]]


def test_a_batch_larger_than_the_text_is_named() -> None:
    with pytest.raises(ValueError, match=r"train\.txt: 11 words are too few for 80 columns"):
        batchify(torch.arange(11), 80, where="train.txt")


def test_targets_are_one_row_further_down() -> None:
    batch = get_batch(batchify(torch.arange(14), 2, where=""), 4, 100)
    assert batch.words.tolist() == [[4, 11], [5, 12]]
    assert batch.targets.tolist() == [[5, 12], [6, 13]]
    assert batch.ids == ("rows 4 to 6",)


def test_spans_are_a_pure_function_of_seed_and_epoch() -> None:
    def spans(seed: int, epoch: int) -> list[tuple[int, int]]:
        return list(bptt_segments(26_000, 70, seed=seed, epoch=epoch))

    assert spans(1, 1) == spans(1, 1)
    assert spans(1, 1) != spans(1, 2)
    assert spans(1, 1) != spans(2, 1)


def test_spans_follow_each_other_to_the_end() -> None:
    spans = bptt_segments(26_107, 70, seed=1, epoch=1)
    assert all(before.start + before.length == after.start for before, after in itertools.pairwise(spans))
    assert spans[0].start == 0
    assert spans[-1].start < 26_105 <= spans[-1].start + spans[-1].length


def test_lengths_are_drawn_as_published() -> None:
    lengths = [span.length for epoch in range(60) for span in bptt_segments(26_107, 70, seed=3, epoch=epoch)]
    short = [length for length in lengths if length < 52]  # five sixths of a percent of either lie beyond
    long = [length for length in lengths if length >= 52]
    assert len(short) / len(lengths) == pytest.approx(0.05, abs=0.006)
    # int() cuts off half a word on average.
    assert statistics.fmean(long) == pytest.approx(69.5, abs=0.15)
    assert statistics.stdev(long) == pytest.approx(5, abs=0.15)
    assert statistics.fmean(short) == pytest.approx(34.5, abs=0.5)
    assert min(bptt_segments(1000, 3, seed=1, epoch=1), key=lambda span: span.length).length == 5


def test_the_official_counts_of_wikitext_2() -> None:
    folder = os.environ.get("ASR_TOPDOWN_WIKITEXT2")
    if not folder:
        pytest.skip("set ASR_TOPDOWN_WIKITEXT2 to the folder with train.txt, valid.txt and test.txt")
    paths = [Path(folder) / f"{name}.txt" for name in ("train", "valid", "test")]
    vocabulary = WordVocabulary.build(paths)
    assert len(vocabulary) == 33_278
    assert [len(vocabulary.read(path)) for path in paths] == [2_088_628, 217_646, 245_569]
