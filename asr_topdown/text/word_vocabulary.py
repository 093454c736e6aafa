"""The words of a language model, and a text as their ids.

As published with the AWD-LSTM (Merity et al. 2018): words are separated by white space, each line (including
blank ones) ends in `<eos>`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from asr_topdown import files

EOS = "<eos>"


def words_of(path: Path) -> Iterator[tuple[int, str]]:
    """(line number, word) of a text, with `<eos>` at the end of each line.

    Raises:
        ValueError: naming the file and the line, if it is empty or not UTF-8.
        FileNotFoundError: if there is no such file.
    """
    number = 0
    try:
        # Not splitlines(), which cuts at characters that are no line ends in WikiText.
        with path.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, 1):
                for word in line.split():
                    yield number, word
                yield number, EOS
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}:{number + 1}: not UTF-8 ({error.reason})") from None
    if not number:
        raise ValueError(f"{path}: the file is empty")


@dataclass(frozen=True)
class WordVocabulary:
    """The words of a language model; a word's id is its index."""

    words: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.words)

    @classmethod
    def build(cls, paths: Iterable[Path]) -> "WordVocabulary":
        """All words of the texts, in order of first occurrence.

        Raises:
            ValueError, FileNotFoundError: as `words_of`.
        """
        return cls(tuple(dict.fromkeys(word for path in paths for _, word in words_of(path))))

    @classmethod
    def load(cls, path: Path | str) -> "WordVocabulary":
        """Read the output of `save`.

        Raises:
            ValueError: naming file and line, if it is anything else.
            FileNotFoundError: if there is no such file.
        """
        lines = files.read_lines(path) or [""]
        seen: set[str] = set()
        for number, word in enumerate(lines, 1):
            if word.split() != [word] or word in seen:
                raise ValueError(f"{path}:{number}: needs one new word in each line, got {word!r}")
            seen.add(word)
        return cls(tuple(lines))

    def save(self, path: Path | str) -> None:
        """Write one word per line."""
        files.write_text(path, "".join(f"{word}\n" for word in self.words))

    def read(self, path: Path | str) -> list[int]:
        """The ids of a text.

        Raises:
            ValueError: naming the file, the line and the word, if one is not in the vocabulary.
            FileNotFoundError: if there is no such file.
        """
        path, ids = Path(path), []
        for number, word in words_of(path):
            if word not in self._ids:
                raise ValueError(f"{path}:{number}: the word {word!r} is not in the vocabulary")
            ids.append(self._ids[word])
        return ids

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {word: index for index, word in enumerate(self.words)}
