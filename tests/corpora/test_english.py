"""Normalisation of English."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_topdown.corpora.english import cardinal, normalise, ordinal


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("", ""),
        ("Hello, World!", "hello world"),
        ("You've got the user's mail.", "you've got the user's mail"),
        ("o\u2019clock", "o'clock"),
        ("'quoted' \"don't call\" dogs' 'tis ' ''", "quoted don't call dogs' 'tis"),
        ("A.M. or P.M.", "a m or p m"),
        ("www.asterisk.org", "www asterisk org"),
        ("re-enter / speed-dial", "re enter speed dial"),
        ("press... 1", "press one"),
        ("press 1.", "press one"),
        ("0 7 10 19 20 21 99", "zero seven ten nineteen twenty twenty one ninety nine"),
        ("100 101 110 999", "one hundred one hundred one one hundred ten nine hundred ninety nine"),
        ("2000", "two thousand"),
        ("1,234,567", "one million two hundred thirty four thousand five hundred sixty seven"),
        ("1,2,3", "one two three"),
        ("28.8 kilobit", "twenty eight point eight kilobit"),
        ("3.14", "three point one four"),
        ("007", "zero zero seven"),
        ("1234567890123", "one two three four five six seven eight nine zero one two three"),
        ("1st 2nd 3rd 4th 5th 8th 9th 12th", "first second third fourth fifth eighth ninth twelfth"),
        ("20th 21st 100th 1,000th", "twentieth twenty first one hundredth one thousandth"),
        ("3D audio", "three d audio"),
        ("H.323", "h three two three"),
        ("IAX2", "iax two"),
        ("50% of R&D", "fifty percent of r and d"),
        ("Use the 7 key for Q", "use the seven key for q"),
        ("Größe", "größe"),
        ("a_b\tc\nd", "a b c d"),
    ],
)
def test_written_english_becomes_spoken_words(written, spoken):
    assert normalise(written) == spoken


def test_symbols_can_be_given():
    assert normalise("press * or #", {"*": "star", "#": "pound"}) == "press star or pound"
    assert normalise("press * or #") == "press or"


@given(st.text())
def test_what_is_spoken_stays(text):
    once = normalise(text)
    assert normalise(once) == once
    assert all(c.isalpha() or c in " '" for c in once)
    assert "  " not in once
    assert once == once.strip()


SMALL = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen
fifteen sixteen seventeen eighteen nineteen"""
TENS = "ten twenty thirty forty fifty sixty seventy eighty ninety"
VALUES = {word: value for value, word in enumerate(SMALL.split())}
VALUES |= {word: 10 * value for value, word in enumerate(TENS.split(), 1)}
SIZES = {"thousand": 10**3, "million": 10**6, "billion": 10**9}


def number(words: str) -> int:
    """Parse the output of `cardinal`."""
    total = below_thousand = 0
    for word in words.split():
        if word in SIZES:
            total, below_thousand = total + below_thousand * SIZES[word], 0
        elif word == "hundred":
            below_thousand *= 100
        else:
            below_thousand += VALUES[word]
    return total + below_thousand


@given(st.one_of(st.integers(0, 10**12 - 1), st.integers(0, 2000)))
def test_numbers_can_be_read_back(n):
    assert number(cardinal(n)) == n
    assert normalise(f"{n:,}") == normalise(str(n)) == cardinal(n)


def test_ordinals_differ_in_their_last_word():
    for n in range(1, 1200):
        *before, last = ordinal(n).split()
        assert before == cardinal(n).split()[:-1]
        assert last.endswith(("st", "nd", "rd", "th"))
    spelt = {
        5: "fifth",
        8: "eighth",
        9: "ninth",
        12: "twelfth",
        40: "fortieth",
        90: "ninetieth",
        101: "one hundred first",
    }
    assert {n: ordinal(n) for n in spelt} == spelt


@pytest.mark.parametrize("n", [-1, 10**12])
def test_numbers_out_of_range(n):
    with pytest.raises(ValueError, match="can only write out"):
        cardinal(n)
