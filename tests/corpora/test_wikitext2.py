"""WikiText-2 from a folder, in part, or from mirrors."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asr_topdown.bin import main
from asr_topdown.corpora import download, wikitext2

TEXTS = {
    "train": " \n = A = \n \n a a a b b c \n",
    "valid": " a b c d \n a \n",
    "test": " d \n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "given" / "wikitext-2"
    path.mkdir(parents=True)
    for part, text in TEXTS.items():
        (path / f"wiki.{part}.tokens").write_text(text)
    return path.parent


def test_the_texts_are_taken_as_they_are(folder: Path, tmp_path: Path) -> None:
    written = wikitext2.prepare(tmp_path / "data", wikitext2=folder)
    assert {text.path.name: text.path.read_text() for text in written} == {
        f"{part}.txt": text for part, text in TEXTS.items()
    }
    assert [(text.lines, text.words) for text in written] == [(4, 13), (2, 7), (1, 2)]


def test_rare_words_of_the_training_text_become_unk_everywhere(folder: Path, tmp_path: Path) -> None:
    wikitext2.prepare(tmp_path, wikitext2=folder, min_count=2)
    assert (tmp_path / "train.txt").read_text() == " \n = <unk> = \n \n a a a b b <unk> \n"
    assert (tmp_path / "valid.txt").read_text() == " a b <unk> <unk> \n a \n"


def test_a_share_is_the_beginning_and_counts_only_itself(folder: Path, tmp_path: Path) -> None:
    wikitext2.prepare(tmp_path, wikitext2=folder, share=0.5, min_count=1)
    assert (tmp_path / "train.txt").read_text() == " \n = A = \n"
    assert (tmp_path / "test.txt").read_text() == TEXTS["test"]


@pytest.mark.parametrize("options", [{"share": 0.5}, {"min_count": 2}])
def test_texts_are_not_overwritten_by_parts_of_themselves(folder: Path, options: dict[str, Any]) -> None:
    wikitext2.prepare(folder, wikitext2=folder / "wikitext-2")
    with pytest.raises(ValueError, match=r"given/train\.txt: is read by this command"):
        wikitext2.prepare(folder, wikitext2=folder, **options)
    assert (folder / "train.txt").read_text() == TEXTS["train"]


@pytest.mark.parametrize("share", [0.0, -0.1, 1.5])
def test_a_share_that_is_none_is_refused(folder: Path, tmp_path: Path, share: float) -> None:
    with pytest.raises(ValueError, match=r"--share .*: must be above 0 and at most 1"):
        wikitext2.prepare(tmp_path, wikitext2=folder, share=share)


def test_bad_folders_are_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder"):
        wikitext2.prepare(tmp_path, wikitext2=tmp_path / "nowhere")
    (folder / "wikitext-2" / "wiki.test.tokens").write_text("")
    with pytest.raises(ValueError, match=r"wiki\.test\.tokens: the file is empty"):
        wikitext2.prepare(tmp_path, wikitext2=folder)
    (folder / "wikitext-2" / "wiki.test.tokens").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"no test\.txt or wiki\.test\.tokens in it, at any depth\. Get"
    ):
        wikitext2.prepare(tmp_path, wikitext2=folder)


def archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        for part, text in TEXTS.items():
            opened.writestr(f"wikitext-2/wiki.{part}.tokens", text)
    return buffer.getvalue()


@pytest.fixture
def official(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = {part: wikitext2.count_words(text.splitlines(True)) for part, text in TEXTS.items()}
    monkeypatch.setattr(wikitext2, "OFFICIAL", counts)


@pytest.mark.parametrize("dead", ["", "amazonaws"])
def test_it_is_downloaded_from_the_first_place_that_answers(
    dead: str, official: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(url: str, path: Path, checksum: str = "") -> None:
        if dead and dead in url:
            raise OSError(f"cannot download {url}: gone")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(archive() if url.endswith(".zip") else TEXTS[path.stem].encode())

    monkeypatch.setattr(download, "fetch", fetch)
    written = wikitext2.prepare(tmp_path / "data", downloads=tmp_path / "downloads")
    assert [text.path.read_text() for text in written] == list(TEXTS.values())


def test_when_all_places_fail_one_line_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(url: str, path: Path, checksum: str = "") -> None:
        raise OSError(f"cannot download {url}: gone")

    monkeypatch.setattr(download, "fetch", fetch)
    with pytest.raises(OSError, match=r"cannot get WikiText-2: .*with --wikitext2 DIR") as caught:
        wikitext2.prepare(tmp_path / "data", downloads=tmp_path / "downloads")
    assert "\n" not in str(caught.value)


def test_a_download_with_other_counts_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(url: str, path: Path, checksum: str = "") -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(archive() if url.endswith(".zip") else b"another text\n")

    monkeypatch.setattr(download, "fetch", fetch)
    with pytest.raises(OSError, match="the download is not WikiText-2"):
        wikitext2.prepare(tmp_path / "data", downloads=tmp_path / "downloads")
    assert not (tmp_path / "downloads" / "wikitext-2").exists()


def test_the_command_writes_the_words_and_says_how_many(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], leave_half: Callable[[Path], None]
) -> None:
    out = tmp_path / "data"
    leave_half(out / "words.txt")
    assert main.main(["prepare", "wikitext2", "--out", str(out), "--wikitext2", str(folder)]) == 0
    assert (out / "words.txt").read_text().split() == ["<eos>", "=", "A", "a", "b", "c", "d"]
    assert not list(out.glob(".*"))
    said = capsys.readouterr().out
    assert "train.txt: 4 lines, 13 words with <eos>" in said
    assert "words.txt: 7 different words" in said
    assert "warning: WikiText-2 has" in said
