"""YAML files with includes, read strictly: YAML 1.2's numbers, no duplicate keys, and the line of every key.

Unlike in YAML 1.1, which PyYAML reads, `yes` and `on` are strings, `010` is ten and `1:30` is a string, as in
YAML 1.2's core schema; and `1e-4` is a number.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Keys = tuple[str, ...]
"""A key and its parents: ("train", "epochs"); a list index is a key, too: "0" is the first."""

_MAX_DEPTH = 64
_MAX_NODES = 100_000
"""Maximum size to which aliases may expand; the largest configuration has a few hundred."""


@dataclass(frozen=True)
class Document:
    """The merged content of one or several YAML files.

    Attributes:
        values: sections and keys, plain values.
        places: key -> "file:line" of the line that sets it.
        files: all files read, each included file before the one that includes it.
    """

    values: dict[str, Any]
    places: dict[Keys, str]
    files: tuple[Path, ...] = ()

    def under(self, other: "Document") -> "Document":
        """`self` with the keys of `other` on top; sections are merged, all other values replaced."""
        files = tuple(dict.fromkeys((*self.files, *other.files)))
        return Document(_merged(self.values, other.values), self.places | other.places, files)


def read(path: Path) -> Document:
    """Read a file and those it lists under `include` (relative to itself), merged in order; its own keys win.

    Raises:
        ValueError: naming the file and the line: not YAML, not UTF-8, a duplicate key, an `include`
            that is not a list of files or that includes its own file.
        FileNotFoundError: if the file or one that it includes is missing.
    """
    return _read(path, ())


def parse(text: str, where: str) -> tuple[Any, dict[Keys, str]]:
    """The value that `text` holds, and "where:line" of each of its keys.

    Raises:
        ValueError: starting with `where` and the line, if it is not YAML or has a duplicate key.
    """
    try:
        node = yaml.compose(text, _Resolver)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise ValueError(f"{where}{line}: not YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"{where}: not YAML: {' '.join(str(error).split())}") from None
    reader = _Reader(where)
    return (None if node is None else reader.value(node, ())), reader.places


def set_key(path: str, text: str, where: str) -> Document:
    """The document of one setting, with `path` as its dotted key and `text` as its YAML value.

    A list index is a key, too: `model.encoder.0.dropout`.

    Raises:
        ValueError: starting with `where`.
    """
    keys = tuple(path.split("."))
    if not all(keys):
        raise ValueError(f"{where}: must read section.key=value")
    values, places = parse(text, where)
    for key in reversed(keys):
        values = {key: values}
    places = {keys + inner: where for inner in places}
    return Document(values, {keys: where} | places)


def _read(path: Path, above: tuple[Path, ...]) -> Document:
    resolved = path.resolve()
    if resolved in above:
        raise ValueError(f"{path}: includes itself through {', '.join(map(str, above))}")
    values, places = parse(_text(path), str(path))
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise ValueError(f"{path}: must hold sections (key: value), got {_kind(values)}")
    includes = values.pop("include", [])
    if not isinstance(includes, list) or not all(isinstance(name, str) and name for name in includes):
        place = places[("include",)]
        raise ValueError(f"{place}: include must be a list of files, got {includes!r}")
    merged = Document({}, {})
    for item, name in enumerate(includes):
        file = _tidy(path.parent / name)
        if not file.is_file():
            raise FileNotFoundError(f"{places['include', str(item)]}: include: {file}: no such file")
        merged = merged.under(_read(file, (*above, resolved)))
    return merged.under(Document(values, places, (path,)))


def _tidy(path: Path) -> Path:
    """The same file by a path without "..", if links allow it."""
    short = Path(os.path.normpath(path))
    return short if short.exists() and path.exists() and short.samefile(path) else path


def _text(path: Path) -> str:
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ValueError(f"{path}:{line}: not UTF-8 text") from None


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        if isinstance(old, list) and isinstance(value, Mapping) and value and set(value) <= _places_in(old):
            items = _merged({str(place): item for place, item in enumerate(old)}, value)
            merged[key] = list(items.values())
        elif isinstance(old, Mapping) and isinstance(value, Mapping):
            merged[key] = _merged(old, value)
        else:
            merged[key] = value
    return merged


def _places_in(items: list[Any]) -> set[str]:
    return {str(place) for place in range(len(items))}


class _Resolver(yaml.SafeLoader):
    """Resolve the types of plain scalars as in YAML 1.2's core schema."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - as in PyYAML


_INT = r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"
_FLOAT = r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
_SCALARS = {
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (_INT, list("-+0123456789")),
    "float": (_FLOAT, list("-+.0123456789")),
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
}
_TAG = "tag:yaml.org,2002:"


class _Dumper(yaml.SafeDumper):
    """Quotes what is a number or the like to `_Resolver` too: `1e3`, a text in YAML 1.1."""


for _name, (_pattern, _first) in _SCALARS.items():
    for _class in (_Resolver, _Dumper):
        _class.add_implicit_resolver(_TAG + _name, re.compile(rf"(?:{_pattern})\Z"), _first)


def text_of(value: Any) -> str:
    """Plain values as YAML, which `parse` reads back."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True).removesuffix("...\n")


class _Reader:
    """Convert PyYAML's nodes to plain values, with the line of each key."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.places: dict[Keys, str] = {}
        self._nodes = 0

    def value(self, node: yaml.Node, keys: Keys, depth: int = 0) -> Any:
        """What `node`, found under `keys`, stands for; notes the places of what is in it."""
        self._nodes += 1
        if depth > _MAX_DEPTH or self._nodes > _MAX_NODES:
            raise ValueError(f"{self._place(node)}: not YAML that makes sense here: nested without end")
        kind = node.tag.removeprefix(_TAG)
        if kind not in ("map", "seq", "str", *_SCALARS):
            raise ValueError(f"{self._place(node)}: a !!{kind} is not allowed")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, keys, depth)
        if isinstance(node, yaml.SequenceNode):
            for place, item in enumerate(node.value):
                self.places[(*keys, str(place))] = self._place(item)
            return [self.value(item, (*keys, str(i)), depth + 1) for i, item in enumerate(node.value)]
        return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode, keys: Keys, depth: int) -> dict[str, Any]:
        values: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            key, line = key_node.value, key_node.start_mark.line + 1
            if not isinstance(key, str):
                raise ValueError(f"{self._place(key_node)}: a key must be a word")
            if key in lines:
                name = ".".join((*keys, key))
                raise ValueError(f"{self.where}: duplicate key {name}, on lines {lines[key]} and {line}")
            lines[key] = line
            self.places[(*keys, key)] = self._place(key_node)
            values[key] = self.value(value_node, (*keys, key), depth + 1)
        return values

    def _scalar(self, node: yaml.Node) -> Any:
        text, kind = str(node.value), node.tag.removeprefix(_TAG)
        if kind == "str":
            return text
        if kind not in _SCALARS or not re.fullmatch(_SCALARS[kind][0], text):
            raise ValueError(f"{self._place(node)}: {text!r} is not a !!{kind}")
        if kind == "int":
            return self._int(text, node)
        if kind == "float":
            return float(text.replace(".", "", 1) if text[-1] in "fFnN" else text)
        return None if kind == "null" else text.lower() == "true"

    def _int(self, text: str, node: yaml.Node) -> int:
        base = {"0o": 8, "0x": 16}.get(text[:2], 10)
        try:
            return int(text, base)
        except ValueError:  # more digits than Python converts
            raise ValueError(f"{self._place(node)}: a number of {len(text)} digits") from None

    def _place(self, node: yaml.Node) -> str:
        return f"{self.where}:{node.start_mark.line + 1}"


def _kind(value: Any) -> str:
    return "text" if isinstance(value, str) else "a list" if isinstance(value, list) else repr(value)
