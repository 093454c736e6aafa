"""Tables of transcripts, NIST's files in several encodings, and very long transcripts."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Command, sound

# The table -> the line that is at fault; 0 = none is.
TABLES = {
    "the case: a quotation mark that does not close": ('id,text\na,one\nb,"two\nc,three\n', 3),
    "in the last line": ('id,text\na,one\nb,two\nc,"three\n', 4),
    "that closes in another line": ('id,text\na,"one\nb,two"\nc,three\n', 2),
    "a comma too many": ("id,text\na,one\nb,two, too\nc,three\n", 3),
    "a quotation mark between tabs, where it is text": ('id\ttext\na\tone\nb\t"two\nc\tthree\n', 0),
    "a field of 200,000 characters": (f"id,text\na,{'one ' * 50_000}\nb,two\nc,three\n", 0),
    "marks of Windows": ("\ufeffid,text\r\na,one\r\nb,two\r\nc,three\r\n", 0),
}


@pytest.mark.parametrize("name", TABLES)
def test_no_row_is_swallowed(name: str, tmp_path: Path, command: Command) -> None:
    content, line = TABLES[name]
    for one in "abc":
        sound(tmp_path / "rec" / f"{one}.wav", 0.1)
    source = tmp_path / ("t.tsv" if "\t" in content else "t.csv")
    source.write_text(content, encoding="utf-8", newline="")
    said = command(
        "prepare", "table", "--source", source, "--audio", tmp_path / "rec", "--out", tmp_path / "o"
    )
    assert said.code == int(line > 0), said.err
    if line:
        assert f"{source}:{line}: " in said.err
    else:
        assert len((tmp_path / "o" / "text").read_text(encoding="utf-8").splitlines()) == 3


GLM = """;; rules
* name "x.glm"
* desc "x"
* format = 'NIST1'
* max_nrules = '2500'
* copy_no_hit = 'T'
* case_sensitive = 'F'
[caf\u00e9] => [cafe] / [ ] __ [ ]
"""


@pytest.mark.parametrize("rules", ["utf-8", "latin-1", "utf-8-sig"])
@pytest.mark.parametrize("reference", ["utf-8", "latin-1", "utf-16"])
def test_rules_and_references_in_any_encoding(
    rules: str, reference: str, tmp_path: Path, command: Command
) -> None:
    (tmp_path / "x.glm").write_bytes(GLM.encode(rules))
    (tmp_path / "x.stm").write_bytes("sw_1 A spk 0.0 2.0 <O,SWB,M> a caf\u00e9 there\n".encode(reference))
    (tmp_path / "hyp").write_text("sw_1-A_000000-000200 a cafe there\n")
    files = ["--stm", tmp_path / "x.stm", "--glm", tmp_path / "x.glm", "--resamples", "10"]
    said = command("score", tmp_path / "hyp", tmp_path / "hyp", *files)
    assert said.code == 0, said.err
    assert "100.0    0.0    0.0    0.0    0.0" in said.out


LONG = {
    "the case: 9,000 words": (9_000, 9_000),
    "much longer than what was said": (30, 20_000),
    "nothing heard": (20_000, 0),
    "one word again and again": (-6_000, -6_000),
}
# Not getrusage: what it says begins with the memory of the process that this one was forked from.
PROGRAM = """
import re, sys
from asr_topdown.bin.main import main
code = main(sys.argv[1:])
print(re.search(r"VmHWM:\\s*(\\d+) kB", open("/proc/self/status").read())[1])
sys.exit(code)
"""


@pytest.mark.parametrize("name", LONG)
def test_long_transcripts_are_scored_in_little_memory(name: str, tmp_path: Path) -> None:
    drawn = random.Random(0)
    for file, size in zip(("ref", "hyp"), LONG[name], strict=True):
        words = ["la"] * -size if size < 0 else drawn.choices([f"w{n}" for n in range(500)], k=size)
        (tmp_path / file).write_text(f"u1 {' '.join(words)}\n")
    command = ["score", "ref", "hyp", "--units", "word", "--resamples", "10", "--json", "s.json"]
    done = subprocess.run([sys.executable, "-c", PROGRAM, *command], cwd=tmp_path, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) < 1 << 20
