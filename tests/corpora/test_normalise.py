"""The normalisers of transcripts."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_topdown.corpora.normalise import NORMALISERS, basic, none


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Appuyez sur le 1 ou le 22.", "appuyez sur le 1 ou le 22"),
        ("L’été, c'est fini !", "l'été c'est fini"),
        ("Aujourd'hui — peut-être…", "aujourd'hui peut être"),
        ("«Oui», dit-il", "oui dit il"),
        ("He said 'hello there' to the students'", "he said hello there to the students'"),
        ("‘Hello there’, it’s", "hello there it's"),
        ("'s Avonds en 't", "'s avonds en 't"),
        ("' -- '", ""),
        ("<NOISE> Yes, <laugh>no</laugh> 3 < 4", "<NOISE> yes <laugh> no </laugh> 3 4"),
        ("¿Qué? ¡Año!", "qué año"),
        ("Straße GROẞ", "straße groß"),
        ("İstanbul'da ISI", "i̇stanbul'da isi"),
        ("Привет, мир! Ёж", "привет мир ёж"),
        ("col·lecció", "col·lecció"),
        ("צה״ל", "צה״ל"),
        ("你好,世界。", "你好 世界"),
        ("हिन्दी में।", "हिन्दी में"),
        ("soft\u00adhyphen zero\u200bwidth", "softhyphen zerowidth"),
        ("$5 & 10%", "5 10"),
        ("e\u0301te\u0301", "été"),
    ],
)
def test_basic_is_lower_case_without_punctuation(text, wanted):
    assert basic(text) == wanted


def test_joiners_are_spelling():
    assert basic("می‌خواهم!") == "می‌خواهم"


def test_none_keeps_the_words_and_english_spells_numbers():
    assert none(" Bon  jour ,\te\u0301 ") == "Bon jour , é"
    assert NORMALISERS["english"]("Press 1, or 22!") == "press one or twenty two"


@given(st.text(max_size=60))
def test_normalising_twice_is_normalising_once(text):
    once = basic(text)
    assert basic(once) == once
    assert unicodedata.is_normalized("NFC", once)
    assert once == " ".join(once.split())
