"""YAML is read by YAML 1.2's core schema, and errors name the line."""

import math
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from asr_topdown import config
from asr_topdown.config import yaml_files


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("text", "value"),
    # https://yaml.org/spec/1.2.2, section 10.3.2
    [
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("0", 0),
        ("0o14", 12),
        ("0x3A", 58),
        ("-19", -19),
        ("010", 10),
        ("0.", 0.0),
        ("-0.0", -0.0),
        (".5", 0.5),
        ("+12e03", 12000.0),
        ("-2E+05", -200000.0),
        ("1e-4", 1e-4),
        (".inf", math.inf),
        ("-.Inf", -math.inf),
        # what YAML 1.1 takes for a truth value, a sexagesimal number, a date, a number
        ("yes", "yes"),
        ("on", "on"),
        ("1:30", "1:30"),
        ("2026-11-21", "2026-11-21"),
        ("1_000", "1_000"),
        ("'7'", "7"),
        ("[1, [a, {b: c}]]", [1, ["a", {"b": "c"}]]),
    ],
)
def test_the_core_schema(text: str, value: object) -> None:
    read, _ = yaml_files.parse(text, "here")
    assert read == value
    assert type(read) is type(value)


def test_not_a_number() -> None:
    read, _ = yaml_files.parse(".NaN", "here")
    assert math.isnan(read)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("train: {epochs: 7}\n\ntrain: {patience: 2}", r"c.yaml: duplicate key train, on lines 1 and 3"),
        ("train:\n  epochs: 1\n  epochs: 2", r"c.yaml: duplicate key train\.epochs, on lines 2 and 3"),
        ("train: {optimizer: {lr: 1, lr: 2}}", r"duplicate key train\.optimizer\.lr, on lines 1 and 1"),
        ("schedule:\n groups:\n  a: [x]\n  'a': [y]", r"duplicate key schedule\.groups\.a, on lines 3 and 4"),
        ("include: []\ninclude: []", r"duplicate key include, on lines 1 and 2"),
        ("train: {epochs: 1\n", r"c\.yaml:\d: not YAML"),
        ("train:\n\tepochs: 1", r"c\.yaml:2: not YAML"),
        ("a: *b", r"c\.yaml:1: not YAML: found undefined alias"),
        ("train: &a {epochs: *a}", r"c\.yaml:1: .*nested without end"),
        ("a: " + "[" * 100 + "]" * 100, r"c\.yaml:1: .*nested without end"),
        ("[" * 5000, r"c\.yaml(:1)?: not YAML"),
        ("a: 1\n---\nb: 2", r"c\.yaml:2: not YAML"),
        ("[x, y]: 2", r"c\.yaml:1: a key must be a word"),
        ("train: !!python/object:os.system {}", r"c\.yaml:1: a !!python/object:os\.system is not allowed"),
        ("train: {epochs: !!timestamp 3}", r"c\.yaml:1: a !!timestamp is not allowed"),
        ("train: {epochs: !!int x}", r"c\.yaml:1: 'x' is not an? !!int"),
        ("train: {epochs: " + "9" * 5000 + "}", r"c\.yaml:1: a number of 5000 digits"),
        ("a: \x07", r"c\.yaml: not YAML"),
        (b"# \xe9t\xe9\ntrain: {}", r"c\.yaml:1: not UTF-8 text"),
        ("train: {}\n".encode("utf-16"), r"c\.yaml:1: not UTF-8 text"),
        (b"train: {}\n\n# \xff", r"c\.yaml:3: not UTF-8 text"),
        ("- a\n- b", r"c\.yaml: must hold sections \(key: value\), got a list"),
        ("7", r"c\.yaml: must hold sections \(key: value\), got 7"),
        ("include: x.yaml", r"c\.yaml:1: include must be a list of files, got 'x\.yaml'"),
        ("train: {}\ninclude: {x.yaml: 1}", r"c\.yaml:2: include must be a list of files, got {'x"),
        ("include: [~]", r"c\.yaml:1: include must be a list of files, got \[None\]"),
        ("include: [1]", r"c\.yaml:1: include must be a list of files, got \[1\]"),
        ("include: ['']", r"c\.yaml:1: include must be a list of files"),
        ("include: [[a.yaml]]", r"c\.yaml:1: include must be a list of files"),
        ("include: [../here/c.yaml]", r"c\.yaml: includes itself"),
    ],
)
def test_what_is_wrong_with_a_file(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        config.load(write(tmp_path / "here" / "c.yaml", content))
    assert "\n" not in str(raised.value)


def test_aliases_that_grow_without_measure(tmp_path: Path) -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9)]
    with pytest.raises(ValueError, match="nested without end"):
        config.load(write(tmp_path / "c.yaml", "\n".join(levels)))


def test_an_alias_is_what_it_stands_for(tmp_path: Path) -> None:
    path = write(tmp_path / "c.yaml", "train: {epochs: &n 7, patience: *n}")
    assert config.load(path).train.patience == 7


def test_a_byte_order_mark_is_no_part_of_a_file(tmp_path: Path) -> None:
    assert config.load(write(tmp_path / "c.yaml", b"\xef\xbb\xbftrain: {epochs: 7}")).train.epochs == 7


@pytest.mark.parametrize(
    "listed",
    [
        "include : [parts/a.yaml, b.yaml]",
        "{include: [parts/a.yaml, b.yaml]}",
        "'include': ['parts/a.yaml', b.yaml] # both",
        "include:\n# of all\n- parts/a.yaml   # first\n\n- b.yaml",
        "features: {deltas: 0}\ninclude:\n  [parts/a.yaml,\n   b.yaml]\ntext: {unit: char}",
    ],
)
def test_the_files_that_a_configuration_is_made_of(tmp_path: Path, listed: str) -> None:
    write(tmp_path / "parts" / "a.yaml", "include: [deep.conf]\ntrain: {epochs: 7}")
    write(tmp_path / "parts" / "deep.conf", "train: {epochs: 3, patience: 2}")
    write(tmp_path / "b.yaml", "include: [parts/deep.conf]")
    path = write(tmp_path / "c.yaml", listed)
    names = [str(file.relative_to(tmp_path)) for file in config.files(path)]
    assert names == ["parts/deep.conf", "parts/a.yaml", "b.yaml", "c.yaml"]
    assert (config.load(path).train.epochs, config.load(path).train.patience) == (3, 2)


def test_an_included_file_is_named_without_detours(tmp_path: Path) -> None:
    write(tmp_path / "conf" / "a.yaml", "train: {epochs: 0}")
    path = write(tmp_path / "egs" / "x" / "conf" / "c.yaml", "include: [../../../conf/a.yaml]")
    with pytest.raises(ValueError, match=r"^[^ ]*(?<!\.\.)/conf/a\.yaml:1: train\.epochs"):
        config.load(path)


@given(st.text(max_size=60) | st.binary(max_size=60))
@settings(max_examples=300, deadline=None)
def test_whatever_stands_in_a_file(tmp_path_factory: pytest.TempPathFactory, content: str | bytes) -> None:
    data = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    path = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    path.write_bytes(data)
    message = "fuzz.yaml"
    try:
        config.load(path)
    except ValueError as error:
        message = str(error)
    assert "fuzz.yaml" in message


# PyYAML writes these three as they are, and reads them, as YAML 1.1 says, as ends of lines.
texts = st.text(st.characters(exclude_characters="\x85\u2028\u2029", exclude_categories=["Cs"]))
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(plain)
@example(["0E0", "1e3", "1e-3", "5.", "010", "yes", "1:30"])
@settings(max_examples=300, deadline=None)
def test_plain_values_come_back_as_they_were_written(value: object) -> None:
    assert yaml_files.parse(yaml_files.text_of(value), "here")[0] == value
