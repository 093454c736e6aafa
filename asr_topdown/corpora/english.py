"""Normalisation of English text: lower-case words, numbers written out, no punctuation."""

import re
from collections.abc import Mapping

_ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven"),
    *("twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES = ((1_000_000_000, "billion"), (1_000_000, "million"), (1_000, "thousand"), (100, "hundred"))
_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
_NUMBER = re.compile(
    r"""(?P<glued>(?<=[a-z])\.?\d+|\d+(?=\.?[a-z]))(?!\d)(?!(?:st|nd|rd|th)\b)  # h.323, iax2, 3d
      | (?P<ordinal>\d{1,3}(?:,\d{3})+|\d+)(?:st|nd|rd|th)\b
      | (?P<whole>\d{1,3}(?:,\d{3})+|\d+)(?:\.(?P<fraction>\d+))?""",
    re.VERBOSE,
)

SYMBOLS: Mapping[str, str] = {"&": "and", "%": "percent"}


def normalise(text: str, symbols: Mapping[str, str] = SYMBOLS) -> str:
    """Convert to lower-case words of letters and apostrophes, separated by single spaces.

    - Numbers become words, American style: `2000` two thousand, `1,234` one thousand two hundred thirty
      four, `1st` first, `28.8` twenty eight point eight. Numbers with a leading zero or more than twelve
      digits, and numbers next to a letter (`3D` three d, `H.323` h three two three), are read digit by digit.
    - A character in `symbols` becomes its word.
    - All other characters except letters and apostrophes become spaces: `A.M.` is a m, `re-enter` re enter.
    - An apostrophe next to a letter stays, unless a pair of them quotes a word.
    """
    text = text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    text = _NUMBER.sub(lambda match: f" {_spoken(match)} ", text)
    for symbol, word in symbols.items():
        text = text.replace(symbol, f" {word} ")
    text = "".join(c if c.isalpha() or c == "'" else " " for c in text)
    words = (_unquoted(word) for word in text.split())
    return " ".join(word for word in words if word)


def cardinal(number: int) -> str:
    """Write `number` in words, without hyphens or "and": 1234 is one thousand two hundred thirty four.

    Raises:
        ValueError: unless 0 <= number < 10**12.
    """
    if not 0 <= number < 10**12:
        raise ValueError(f"can only write out numbers from 0 to {10**12 - 1}, got {number}")
    if number < 20:
        return _ONES[number]
    for size, name in _SCALES:
        if number >= size:
            return _joined(f"{cardinal(number // size)} {name}", number % size)
    return _joined(_TENS[number // 10], number % 10)


def ordinal(number: int) -> str:
    """Write the ordinal of `number` in words: 21 is twenty first."""
    *others, last = cardinal(number).split()
    if last in _ORDINALS:
        last = _ORDINALS[last]
    else:
        last = last.removesuffix("y") + ("ieth" if last.endswith("y") else "th")
    return " ".join([*others, last])


def _joined(words: str, rest: int) -> str:
    return f"{words} {cardinal(rest)}" if rest else words


def _spoken(match: re.Match[str]) -> str:
    if match["glued"]:
        return _digit_by_digit(match["glued"])
    digits = (match["ordinal"] or match["whole"]).replace(",", "")
    named = len(digits) > 12 or (len(digits) > 1 and digits[0] == "0")
    if match["ordinal"] and not named:
        return ordinal(int(digits))
    words = _digit_by_digit(digits) if named else cardinal(int(digits))
    return f"{words} point {_digit_by_digit(match['fraction'])}" if match["fraction"] else words


def _digit_by_digit(digits: str) -> str:
    return " ".join(_ONES[int(digit)] for digit in digits if digit.isdigit())


def _unquoted(word: str) -> str:
    if len(word) > 1 and word[0] == word[-1] == "'":
        word = word.strip("'")
    return word if word.strip("'") else ""
