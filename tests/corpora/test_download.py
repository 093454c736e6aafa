"""Downloads are resumed, and complete or absent."""

import errno
import functools
import hashlib
import http.server
import os
import re
import shutil
import subprocess
import sys
import tarfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from asr_topdown.corpora import download

CONTENT = os.urandom(300_000)


class Server(http.server.BaseHTTPRequestHandler):
    """Serves `CONTENT` as /file; /short breaks off; /plain knows no ranges; /elsewhere leads to a
    place without https; anything else is not there.
    """

    asked: list[str | None] = []  # noqa: RUF012

    def do_GET(self):
        asked = self.headers.get("Range")
        Server.asked.append(asked)
        start = int(re.findall(r"\d+", asked)[0]) if asked and self.path != "/plain" else 0
        if self.path == "/elsewhere":
            self.send_response(302)
            self.send_header("Location", "http://example.invalid/file")
            self.end_headers()
            return None
        if self.path not in ("/file", "/short", "/plain"):
            return self.send_error(404)
        if start >= len(CONTENT):
            return self.send_error(416)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write(CONTENT[start : 100_000 if self.path == "/short" else None])
        return None

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    for proxy in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(proxy, raising=False)
        monkeypatch.delenv(proxy.upper(), raising=False)
    Server.asked.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_fetch_once(server, tmp_path):
    file = tmp_path / "new" / "x.tar"
    download.fetch(f"{server}/file", file)
    assert file.read_bytes() == CONTENT
    download.fetch(f"{server}/file", file)
    assert len(Server.asked) == 1
    assert os.listdir(file.parent) == ["x.tar"]


def test_fetch_goes_on_where_it_stopped(server, tmp_path):
    file = tmp_path / "x"
    with pytest.raises(
        OSError, match=rf"cannot download {server}/short: stopped after 100000 of 300000 bytes"
    ):
        download.fetch(f"{server}/short", file)
    assert not file.exists()
    download.fetch(f"{server}/file", file)
    assert Server.asked == [None, "bytes=100000-"]
    assert file.read_bytes() == CONTENT
    assert os.listdir(tmp_path) == ["x"]


def test_fetch_from_a_server_without_ranges(server, tmp_path):
    (tmp_path / "x.part").write_bytes(b"of an earlier try")
    download.fetch(f"{server}/plain", tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == CONTENT


@pytest.mark.parametrize("size", [len(CONTENT), len(CONTENT) + 5])
def test_fetch_what_had_arrived_already(server, tmp_path, size):
    (tmp_path / "x.part").write_bytes(b"x" * size)
    download.fetch(f"{server}/file", tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == CONTENT


def test_fetch_names_the_address(server, tmp_path):
    with pytest.raises(OSError, match=rf"cannot download {server}/nothing: Not Found"):
        download.fetch(f"{server}/nothing", tmp_path / "x")
    with pytest.raises(OSError, match=r"cannot download http://127.0.0.1:9/x: .*refused"):
        download.fetch("http://127.0.0.1:9/x", tmp_path / "x")
    assert os.listdir(tmp_path) == []


def test_only_https_is_asked(server, tmp_path):
    for address in ("http://example.invalid/file", "ftp://example.invalid/file", "file:///etc/passwd"):
        with pytest.raises(OSError, match=rf"cannot download {address}: .*: not an https address"):
            download.fetch(address, tmp_path / "x")
    with pytest.raises(OSError, match=r"elsewhere: http://example.invalid/file: not an https address"):
        download.fetch(f"{server}/elsewhere", tmp_path / "x")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(("name", "algorithm"), [("SHA-256", hashlib.sha256), ("MD5", hashlib.md5)])
def test_what_came_must_have_the_published_sum(name, algorithm, server, tmp_path):
    digest = algorithm(CONTENT).hexdigest()
    download.fetch(f"{server}/file", tmp_path / "x", digest)
    assert (tmp_path / "x").read_bytes() == CONTENT
    message = rf"removed, since its {name} must be 0+ \(.*/file\), got {digest}$"
    for _ in range(2):  # what is there, and what comes
        with pytest.raises(OSError, match=message):
            download.fetch(f"{server}/file", tmp_path / "x", "0" * len(digest))
        assert os.listdir(tmp_path) == []


def test_an_archive_that_lacks_files_is_not_taken(tmp_path):
    (tmp_path / "a.txt").write_text("a")
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "a.txt", "sub/a.txt")
    with pytest.raises(OSError, match=r"the download must have 2 files \*\.txt, got 1"):
        download.unpack(tmp_path / "x.tar.gz", tmp_path / "x", download.holds(2, "*.txt"))
    assert not (tmp_path / "x").exists()
    download.unpack(tmp_path / "x.tar.gz", tmp_path / "x", download.holds(1, "*.txt"))
    assert (tmp_path / "x" / "sub" / "a.txt").exists()


def test_unpack(tmp_path):
    (tmp_path / "a.txt").write_text("a")
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "a.txt", "sub/a.txt")
    download.unpack(tmp_path / "x.tar.gz", tmp_path / "x")
    assert (tmp_path / "x" / "sub" / "a.txt").read_text() == "a"
    assert sorted(os.listdir(tmp_path)) == ["a.txt", "x", "x.tar.gz"]


def test_a_damaged_archive_leaves_nothing(tmp_path):
    archive = tmp_path / "x.tar.gz"
    archive.write_bytes(b"not an archive")
    with pytest.raises(OSError, match=r"x\.tar\.gz: damaged archive, removed"):
        download.unpack(archive, tmp_path / "x")
    assert os.listdir(tmp_path) == []


def test_the_first_source_that_works_is_enough():
    done = []

    def fail():
        raise OSError("it\nrains")

    download.first_that_works("x", [fail, lambda: done.append(1), lambda: done.append(2)], "Stay home.")
    assert done == [1]
    with pytest.raises(OSError, match=r"cannot get x: it rains; it rains. Stay home\.$"):
        download.first_that_works("x", [fail, fail], "Stay home.")


def test_two_at_once_download_but_once(tmp_path, capsys):
    done, begun, go_on = [], threading.Event(), threading.Event()

    def source():
        begun.set()
        assert go_on.wait(60)
        done.append(1)
        (tmp_path / "x").mkdir()

    with ThreadPoolExecutor() as threads:
        first = threads.submit(download.fill, tmp_path / "x", "x", [source], "Stay home.")
        assert begun.wait(60)
        second = threads.submit(download.fill, tmp_path / "x", "x", [source], "Stay home.")
        time.sleep(0.3)
        assert not second.done()
        go_on.set()
        assert (first.result(), second.result()) == (None, None)
    assert done == [1]
    assert capsys.readouterr().err == f"download {tmp_path}/x: another process has it, waiting\n"
    assert os.listdir(tmp_path) == ["x"]


@pytest.fixture
def packed(tmp_path):
    """An archive of a file that does not compress."""
    (tmp_path / "a.txt").write_bytes(CONTENT)
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "a.txt", "sub/a.txt")
    return tmp_path / "x.tar.gz"


def test_a_full_disk_is_not_blamed_on_the_archive(packed, tmp_path, monkeypatch):
    """It may have taken hours to come."""

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shutil, "copyfileobj", full)
    monkeypatch.setattr(tarfile, "copyfileobj", full)
    with pytest.raises(OSError, match=f"cannot write {tmp_path}/x: No space left on device"):
        download.unpack(packed, tmp_path / "x")
    assert sorted(os.listdir(tmp_path)) == ["a.txt", "x.tar.gz"]


def test_an_archive_damaged_in_the_middle_is_removed(packed, tmp_path):
    content = bytearray(packed.read_bytes())
    content[len(content) // 2 :: 7] = bytes(len(content[len(content) // 2 :: 7]))
    packed.write_bytes(content)
    with pytest.raises(OSError, match=r"x\.tar\.gz: damaged archive, removed"):
        download.unpack(packed, tmp_path / "x")
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_full_disk_is_not_blamed_on_the_address(server, tmp_path):
    (tmp_path / "x.part").symlink_to("/dev/full")
    tried = []

    def source(name):
        tried.append(name)
        download.fetch(f"{server}/plain", tmp_path / "x")

    sources = [functools.partial(source, name) for name in "ab"]
    with pytest.raises(OSError, match=rf"^\[Errno 28\] cannot write {tmp_path}/x\.part: No space left"):
        download.first_that_works("it", sources, "advice")
    assert tried == ["a"]  # another source would not help


def test_a_folder_is_complete_or_absent(tmp_path):
    def fill(error):
        with download.folder_aside(tmp_path / "whole") as aside:
            (aside / "a").write_text("a")
            if error is not None:
                raise error

    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(OSError, match=f"cannot write {tmp_path}/whole: No space left on device"):
        fill(full)
    with pytest.raises(OSError, match=r"^7 files are missing$"):  # said by a check, not by the system
        fill(OSError("7 files are missing"))
    assert list(tmp_path.iterdir()) == []
    program = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom asr_topdown.corpora import download\n"
        "with download.folder_aside(Path(sys.argv[1])) as aside:\n"
        "    (aside / 'a').touch()\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", program, tmp_path / "whole"], check=False)
    assert [path.name.startswith(".whole.") for path in tmp_path.iterdir()] == [True]
    fill(None)
    assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))] == ["whole", "whole/a"]
