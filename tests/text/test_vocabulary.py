"""Vocabularies: units and files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_topdown.text import Vocabulary, tokenise


def test_characters_by_code_point_after_blank_and_unknown():
    vocabulary = Vocabulary.build(["be a", "<NOISE> b'é"], "char")
    assert vocabulary.units == ("<blank>", "<unk>", "'", "<NOISE>", "<space>", "a", "b", "e", "é")
    assert len(vocabulary) == 9
    assert vocabulary.encode("a <NOISE>b") == [5, 4, 3, 6]
    assert vocabulary.decode([5, 4, 3, 6]) == "a <NOISE>b"


def test_words_are_sorted_after_blank_and_unk():
    vocabulary = Vocabulary.build(["two one", "one <NOISE>"], "word")
    assert vocabulary.units == ("<blank>", "<unk>", "<NOISE>", "one", "two")
    assert vocabulary.encode("one three\ttwo") == [3, 1, 4]
    assert vocabulary.decode([3, 0, 1, 4]) == "one <unk> two"


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("", []),
        ("  \t ", []),
        (" a \u00a0\t b ", ["a", "<space>", "b"]),
        ("a<b", ["a", "<", "b"]),
        ("<a b>", ["<", "a", "<space>", "b", ">"]),
        ("<<N>>", ["<", "<N>", ">"]),
        ("<>", ["<", ">"]),
        ("<unk>", ["<unk>"]),
    ],
)
def test_tokenise_characters(text, units):
    assert tokenise(text, "char") == units


def test_unknown_units_get_one_id_each():
    vocabulary = Vocabulary.build(["ab"], "char")
    assert vocabulary.encode("axb<NOISE> <unk>") == [2, 1, 3, 1, 1, 1]
    assert vocabulary.decode([2, 1, 3]) == "a<unk>b"


def test_decode_leaves_single_spaces_between_words():
    vocabulary = Vocabulary.build(["a b"], "char")
    space, a, b = vocabulary.encode("a b")[1], *vocabulary.encode("ab")
    assert vocabulary.decode([space, a, space, space, b, 0, space]) == "a b"
    assert vocabulary.decode([]) == vocabulary.decode([space, 0]) == ""


def test_the_vocabulary_does_not_depend_on_the_order_of_transcripts():
    texts = ["the cat", "<NOISE> sat", "on"]
    assert Vocabulary.build(texts, "char") == Vocabulary.build(texts[::-1], "char")


@pytest.mark.parametrize(
    ("texts", "unit"), [(["a <blank>"], "char"), (["<space>"], "char"), (["<blank> a"], "word")]
)
def test_reserved_names_are_refused(texts, unit):
    with pytest.raises(ValueError, match="stands for something else"):
        Vocabulary.build(texts, unit)


def test_a_blank_within_a_word_is_no_blank():
    assert Vocabulary.build(["a<blank>"], "word").units[2:] == ("a<blank>",)


def test_empty_transcripts_make_no_vocabulary():
    with pytest.raises(ValueError, match="all transcripts are empty"):
        Vocabulary.build(["", " "], "char")


transcripts = st.lists(
    st.text(st.characters(exclude_characters="<>", exclude_categories=["Cs", "Cc"]), min_size=1), min_size=1
)


@given(transcripts, st.sampled_from(["char", "word"]))
def test_what_it_was_built_from_comes_back(tmp_path_factory, texts, unit):
    if not any(text.split() for text in texts):
        return
    vocabulary = Vocabulary.build(texts, unit)
    for text in texts:
        ids = vocabulary.encode(text)
        assert vocabulary.decode(ids) == " ".join(text.split())
        assert not {0, 1} & set(ids)
    file = tmp_path_factory.getbasetemp() / "tokens.txt"
    vocabulary.save(file)
    assert Vocabulary.load(file) == vocabulary


def test_the_file(tmp_path):
    file = tmp_path / "tokens.txt"
    Vocabulary.build(["b a#"], "char").save(file)
    assert file.read_text() == "# unit: char\n<blank> 0\n<unk> 1\n# 2\n<space> 3\na 4\nb 5\n"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("<blank> 0\n<unk> 1\na 2\n", "tokens.txt:1: needs `# unit: ` and one of char, word, bpe, unigram"),
        ("# unit: phone\n<blank> 0\n<unk> 1\na 2\n", "tokens.txt:1: needs"),
        ("", "tokens.txt:1: needs"),
        ("# unit: char\n<unk> 0\n<blank> 1\na 2\n", "tokens.txt:2: must be <blank>, got <unk>"),
        ("# unit: char\n<blank> 0\na 1\n", "tokens.txt:3: must be <unk>, got a"),
        ("# unit: char\n<blank> 0\n<unk> 1\na 2\na 3\n", "tokens.txt:5: a occurs twice in this file"),
        (
            "# unit: char\n<blank> 0\n<unk> 1\nb 2\na 3\n",
            "tokens.txt:5: a is not sorted: it must come before b",
        ),
        ("# unit: char\n<blank> 0\n<unk> 1\na 3\n", "tokens.txt:4: needs a unit and its id, 2; got 'a 3'"),
        ("# unit: char\n<blank> 0\n<unk> 1\n\n", "tokens.txt:4: needs a unit and its id, 2; got ''"),
        ("# unit: char\n<blank> 0\n<unk> 1\na b 2\n", "tokens.txt:4: needs a unit and its id"),
        ("# unit: char\n<blank> 0\n<unk> 1\n", "tokens.txt: cut short"),
    ],
)
def test_load_names_the_line(tmp_path, content, problem):
    file = tmp_path / "tokens.txt"
    file.write_text(content)
    with pytest.raises(ValueError) as error:  # noqa: PT011
        Vocabulary.load(file)
    assert problem in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("bom", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_list_may_come_from_windows(bom, end, tmp_path):
    vocabulary = Vocabulary.build(["na\u00efve caf\u00e9\u2028"], "char")
    vocabulary.save(tmp_path / "tokens.txt")
    content = (tmp_path / "tokens.txt").read_text(encoding="utf-8")
    (tmp_path / "tokens.txt").write_text(bom + content.replace("\n", end), encoding="utf-8", newline="")
    assert Vocabulary.load(tmp_path / "tokens.txt") == vocabulary
    (tmp_path / "tokens.txt").write_bytes(content.encode("latin-1"))
    with pytest.raises(ValueError, match=r"tokens\.txt:\d+: not UTF-8 text"):
        Vocabulary.load(tmp_path / "tokens.txt")
