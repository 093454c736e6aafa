"""`wikitext2`: tokenised Wikipedia articles for language models (Merity et al. 2016); CC BY-SA 3.0.

Three texts of words separated by white space, with `<unk>` for words that are rare in training. With one
`<eos>` per line: 2,088,628 training words, 217,646 and 245,569 in the others; 33,278 different.

For small experiments: the first lines of each text, rare words replaced by the same rule.
"""

import importlib
import math
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from asr_topdown import files
from asr_topdown.corpora import download

PARTS = ("train", "valid", "test")
OFFICIAL = {"train": 2_088_628, "valid": 217_646, "test": 245_569}
OFFICIAL_WORDS = 33_278
UNKNOWN = "<unk>"
ARCHIVE = "https://s3.amazonaws.com/research.metamind.io/wikitext/wikitext-2-v1.zip"
SHA256 = "92675f1d63015c1c8b51f1656a52d5bdbc33aafa60cc47a218a66e7ee817488c"
TEXTS = "https://raw.githubusercontent.com/pytorch/examples/main/word_language_model/data/wikitext-2"
PARQUET = "https://huggingface.co/datasets/Salesforce/wikitext/resolve/main/wikitext-2-v1"
_PARQUET_NAMES = {"train": "train", "valid": "validation", "test": "test"}
ADVICE = (
    "Get WikiText-2 elsewhere (the version with <unk>, not the raw one) and name the folder that holds "
    "train.txt, valid.txt and test.txt, or wiki.train.tokens and so on, with --wikitext2 DIR"
)


class Text(NamedTuple):
    """A text that was written.

    Attributes:
        path: its file.
        lines: number of lines.
        words: number of words, including one `<eos>` per line.
    """

    path: Path
    lines: int
    words: int


def prepare(
    out: Path,
    *,
    wikitext2: Path | None = None,
    downloads: Path | None = None,
    share: float = 1.0,
    min_count: int = 1,
) -> list[Text]:
    """Write `out/train.txt`, `out/valid.txt` and `out/test.txt`.

    Args:
        out: folder for the texts.
        wikitext2: folder with the texts, at any depth; None downloads them.
        downloads: folder for downloads; None is `downloads` next to `out`.
        share: share of each text to keep, from its beginning, above 0 and up to 1.
        min_count: words with fewer occurrences in the training text become `<unk>`; 1 keeps all.

    Raises:
        OSError: if the texts are missing or cannot be downloaded, with what was tried.
        ValueError: naming a text that is empty, not UTF-8, or would be overwritten by a part of itself; or a
            download that is not WikiText-2.
    """
    if not 0 < share <= 1:
        raise ValueError(f"--share {share:g}: must be above 0 and at most 1")
    found = find_texts(fetch(downloads or out.parent / "downloads") if wikitext2 is None else wikitext2)
    if share < 1 or min_count > 1:  # otherwise they stay as they are
        for part in PARTS:
            files.check_not_read(out / f"{part}.txt", found.values())
    texts = {part: _beginning(read_lines(path), share) for part, path in found.items()}
    counts = Counter(word for line in texts["train"] for word in line.split())
    written = []
    for part, lines in texts.items():
        if min_count > 1:
            lines = [_without_rare(line, counts, min_count) for line in lines]
        files.write_text(out / f"{part}.txt", "".join(lines))
        written.append(Text(out / f"{part}.txt", len(lines), count_words(lines)))
    return written


def find_texts(folder: Path) -> dict[str, Path]:
    """Find the three texts in `folder`, by part.

    Raises:
        FileNotFoundError: if the folder does not exist or lacks a text.
    """
    files.require_folder(folder)
    found = {}
    for part in PARTS:
        names = (f"{part}.txt", f"wiki.{part}.tokens")
        paths = sorted(path for name in names for path in folder.rglob(name))
        if not paths:
            raise FileNotFoundError(f"{folder}: no {' or '.join(names)} in it, at any depth. {ADVICE}")
        found[part] = paths[0]
    return found


def read_lines(path: Path) -> list[str]:
    """Read the lines of a text, with their line ends.

    Raises:
        ValueError: naming the file, if it is empty or not UTF-8.
    """
    try:
        with path.open(encoding="utf-8") as file:
            lines = list(file)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 ({error.reason} at byte {error.start})") from None
    if not lines:
        raise ValueError(f"{path}: the file is empty")
    return lines


def count_words(lines: Iterable[str]) -> int:
    """Count words, including one `<eos>` per line."""
    return sum(len(line.split()) + 1 for line in lines)


def is_official(words: Mapping[str, int]) -> bool:
    """Whether the texts have the numbers of words of WikiText-2."""
    return dict(words) == OFFICIAL


def fetch(downloads: Path) -> Path:
    """Return the folder with the three texts under `downloads`, downloading it if it is missing."""
    folder = downloads.resolve() / "wikitext-2"
    sources: Sequence[Callable[[], None]] = (
        lambda: _fill(folder, _from_archive),
        lambda: _fill(folder, _from_texts),
        lambda: _fill(folder, _from_parquet),
    )
    download.fill(folder, "WikiText-2", sources, ADVICE)
    return folder


def _fill(folder: Path, source: Callable[[Path, Path], None]) -> None:
    with download.folder_aside(folder) as aside:
        source(folder.with_name(f"{folder.name}-parts"), aside)
        words = {part: count_words(read_lines(path)) for part, path in find_texts(aside).items()}
        if not is_official(words):
            raise OSError(f"the download is not WikiText-2: must have {OFFICIAL} words, got {words}")


def _from_archive(parts: Path, folder: Path) -> None:
    archive = parts / "wikitext-2-v1.zip"
    download.fetch(ARCHIVE, archive, SHA256)
    try:
        with zipfile.ZipFile(archive) as opened:
            for part in PARTS:
                (folder / f"{part}.txt").write_bytes(opened.read(f"wikitext-2/wiki.{part}.tokens"))
    except (zipfile.BadZipFile, KeyError) as error:
        archive.unlink(missing_ok=True)
        raise OSError(f"{archive}: damaged archive, removed ({error})") from error


def _from_texts(parts: Path, folder: Path) -> None:
    for part in PARTS:
        path = parts / f"{part}.txt"
        download.fetch(f"{TEXTS}/{part}.txt", path)
        (folder / path.name).write_bytes(path.read_bytes())


def _from_parquet(parts: Path, folder: Path) -> None:
    try:
        # Not a dependency: only this mirror, the last one tried, needs it.
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise OSError(f"{PARQUET}: to read its files, pip install pyarrow") from error
    for part, name in _PARQUET_NAMES.items():
        path = parts / f"{name}.parquet"
        download.fetch(f"{PARQUET}/{name}-00000-of-00001.parquet", path)
        rows = parquet.read_table(path).column("text").to_pylist()
        files.write_text(folder / f"{part}.txt", "".join(row.removesuffix("\n") + "\n" for row in rows))


def _beginning(lines: list[str], share: float) -> list[str]:
    return lines[: math.ceil(share * len(lines))]


def _without_rare(line: str, counts: Mapping[str, int], min_count: int) -> str:
    words = [word if counts[word] >= min_count else UNKNOWN for word in line.split()]
    return f" {' '.join(words)} \n" if words else " \n"
