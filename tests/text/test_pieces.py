"""Pieces of words: against SentencePiece itself, round trips, files, and errors."""

import functools
import random

import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_topdown.text import Vocabulary, model_file

TEXTS = (
    "press one for the operator",
    "please hold while i try that extension",
    "<noise> the person at extension <noise> is on the phone",
    "the operator is on the line please hold",
    "to try that number again press two",
)
# As sentencepiece 0.2.3 alone, trained on a file of TEXTS with the options of pieces.py, cuts
# "please <noise> hold the cat".
GOLDEN = {
    "bpe": "▁p le as e ▁ <noise> ▁ h o l d ▁the ▁ <unk> at",
    "unigram": "▁p le a s e ▁ <noise> ▁hold ▁th e ▁ <unk> at",
}
KINDS = sorted(GOLDEN)


@pytest.fixture(scope="module", params=KINDS)
def vocabulary(request):
    return Vocabulary.build(TEXTS, request.param, 36)


def library(vocabulary):
    return sentencepiece.SentencePieceProcessor(model_proto=vocabulary.model)


@functools.cache
def more_words():
    return Vocabulary.build([*TEXTS, "xyzzy né"], "bpe", 45)


def test_blank_and_unknown_come_first_and_the_size_is_kept(vocabulary):
    assert vocabulary.units[:2] == ("<blank>", "<unk>")
    assert len(vocabulary) == 36
    assert len(set(vocabulary.units)) == 36
    assert "<noise>" in vocabulary.units


def test_pieces_of_a_sentence_are_the_golden_ones(vocabulary):
    ids = vocabulary.encode("please <noise> hold the cat")
    assert " ".join(vocabulary.units[i] for i in ids) == GOLDEN[vocabulary.unit]


def test_the_library_itself_cuts_and_joins_alike(vocabulary):
    reader = library(vocabulary)
    for text in (*TEXTS, "one two", " hold   the operator "):
        ids = vocabulary.encode(text)
        assert ids == reader.encode(text)
        assert vocabulary.decode(ids) == reader.decode(ids)
        assert vocabulary.decode(ids) == " ".join(text.split())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([*" ".join(TEXTS).split(), "xyzzy", "né"]), max_size=8))
def test_known_words_come_back(words):
    vocabulary = more_words()
    assert vocabulary.decode(vocabulary.encode(" ".join(words))) == " ".join(words)


def test_any_ids_give_text_that_a_kaldi_file_can_hold(vocabulary):
    generator = random.Random(1)
    for _ in range(50):
        text = vocabulary.decode(generator.choices(range(36), k=10))
        assert text == " ".join(text.split())
    assert vocabulary.decode([]) == vocabulary.decode([0, 0]) == ""
    assert vocabulary.encode("  ") == []


def test_unknown_characters_and_unknown_words(vocabulary):
    assert vocabulary.decode(vocabulary.encode("qzq one")) == "<unk> one"
    assert vocabulary.decode(vocabulary.encode("one <unk>")) == "one <unk>"
    assert vocabulary.encode("<unk>")[-1] == 1


def test_tags_stay_whole_wherever_they_stand():
    vocabulary = Vocabulary.build(["a<NOISE>b a", "<NOISE> <unk>", "<unk>"], "bpe", 6)
    assert sorted(vocabulary.units) == sorted(["<blank>", "<unk>", "<NOISE>", "▁", "a", "b"])
    assert vocabulary.decode(vocabulary.encode("b<NOISE>a <NOISE>")) == "b<NOISE>a <NOISE>"


@pytest.mark.parametrize("kind", KINDS)
def test_training_is_a_function_of_the_set_of_transcripts(kind):
    assert Vocabulary.build(TEXTS, kind, 36).model == Vocabulary.build(TEXTS[::-1], kind, 36).model


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_transcript_is_not_left_out(kind):
    assert "z" in "".join(Vocabulary.build([*TEXTS, "hold " * 2000 + "z"], kind, 36).units)


def test_saved_and_loaded(vocabulary, tmp_path):
    file = tmp_path / "tokens.txt"
    vocabulary.save(file)
    assert file.read_text().splitlines()[:3] == [f"# unit: {vocabulary.unit}", "<blank> 0", "<unk> 1"]
    assert model_file(file) == tmp_path / "tokens.model"
    assert sentencepiece.SentencePieceProcessor(model_file=str(model_file(file))).get_piece_size() == 36
    assert Vocabulary.load(file) == vocabulary


@pytest.mark.parametrize("kind", KINDS)
def test_too_large_a_size_names_the_largest(kind):
    with pytest.raises(ValueError, match="too large") as error:
        Vocabulary.build(TEXTS, kind, 5000)
    message = str(error.value)
    assert "\n" not in message
    largest = int(message.split(" have ")[1].split()[0])
    assert message.startswith("text.vocab_size 5000 is too large: these transcripts have ")
    assert message.endswith(f" {kind} units at most")
    assert len(Vocabulary.build(TEXTS, kind, largest)) == largest


@pytest.mark.parametrize("kind", KINDS)
def test_too_small_a_size_is_one_line(kind):
    with pytest.raises(ValueError, match=r"text.vocab_size 8 is too small: \d+ characters and tags") as error:
        Vocabulary.build(TEXTS, kind, 8)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("texts", "problem"),
    [
        (["", " "], "all transcripts are empty"),
        (["<unk>"], "all transcripts are empty"),
        (["a <blank>"], "holds <blank>"),
        (["a ▁b"], "holds ▁"),
    ],
)
def test_what_cannot_be_trained_on(texts, problem):
    with pytest.raises(ValueError, match=problem):
        Vocabulary.build(texts, "bpe", 20)


def test_the_model_must_be_there_and_belong(vocabulary, tmp_path):
    file = tmp_path / "tokens.txt"
    vocabulary.save(file)
    model_file(file).write_bytes(b"nonsense")
    with pytest.raises(ValueError, match=r"tokens.model: not a SentencePiece model"):
        Vocabulary.load(file)
    other = Vocabulary.build(TEXTS, vocabulary.unit, 35)
    model_file(file).write_bytes(other.model)
    with pytest.raises(ValueError, match=r"tokens.model: its pieces are not those of .*tokens.txt"):
        Vocabulary.load(file)
    model_file(file).unlink()
    with pytest.raises(FileNotFoundError, match=r"tokens.model: missing"):
        Vocabulary.load(file)
