"""From YAML to a `Config` and back; errors name file, line and key."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from asr_topdown.config import yaml_files
from asr_topdown.config.config import Config
from asr_topdown.config.hints import hint
from asr_topdown.config.yaml_files import Document, Keys

_LARGEST = 2**31 - 1
"""The largest valid count or size."""
_LAST = "run"
"""The section with which `dump` ends."""
_ABSENT = object()
_WHY = re.compile(", (unable to parse string as .*|got a number with a fractional part)$")
"""What pydantic adds to a message, which tells no more than the value."""


def load(path: Path | str, overrides: Sequence[str] = ()) -> Config:
    """Read a YAML file and apply `section.key=value` overrides.

    Raises:
        ValueError: naming the file, the line, the key's path and, for an unknown key, the nearest known one.
        FileNotFoundError: if the file or one that it includes is missing.
    """
    return _configuration(yaml_files.read(Path(path)), overrides, str(path))


def load_saved(path: Path | str, overrides: Sequence[str] = ()) -> Config:
    """Read the output of `dump` in a model's folder: nothing that is missing there has a default.

    Raises:
        ValueError: also naming the file, if a crash of the machine has emptied or cut it.
        FileNotFoundError: if it is missing.
    """
    document = yaml_files.read(Path(path))
    if _LAST not in document.values:
        raise ValueError(f"{path}: damaged: it ends before its last section, {_LAST}")
    return _configuration(document, overrides, str(path))


def parse(values: Mapping[str, Any], overrides: Sequence[str] = (), *, where: str = "config") -> Config:
    """Build a `Config` from plain values, as `load` does from a file."""
    return _configuration(Document(dict(values), {}), overrides, where)


def files(path: Path | str) -> tuple[Path, ...]:
    """The file and all files that it includes, the included ones first.

    Raises:
        as `load`.
    """
    return yaml_files.read(Path(path)).files


def dump(value: Any) -> str:
    """A configuration, or a part of one, as YAML; `load` reads a whole one back to an equal `Config`."""
    plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else _plain(value)
    return yaml_files.text_of(plain)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _configuration(document: Document, overrides: Sequence[str], where: str) -> Config:
    for override in overrides:
        path, equals, text = override.partition("=")
        if not equals:
            raise ValueError(f"--set {override}: must read section.key=value")
        document = document.under(yaml_files.set_key(path, text, f"--set {override}"))
    try:
        config = Config.model_validate(document.values)
    except ValidationError as error:
        problems = _one_each(_explained(problem, document.values) for problem in _causes(error))
    else:
        problems = list(_misread(document.values, config, ()))
        if not problems:
            return config
    lines = [f"{_place(keys, document.places, where)}: {text}" for keys, text in problems]
    raise ValueError("\n".join(dict.fromkeys(lines)))


def _one_each(problems: Iterable[tuple[Keys, str]]) -> list[tuple[Keys, str]]:
    """The problems, with those of a value that may be of several types as one: "must be A or B, got C"."""
    found: list[tuple[Keys, str]] = []
    for keys, text in problems:
        other = text.partition(": must be ")[2]
        if other and found and found[-1][0] == keys:
            text = f"{found.pop()[1].rpartition(', got ')[0]} or {other}"
        found.append((keys, text))
    return found


def _causes(error: ValidationError) -> list[Any]:
    """The problems, except those of a list that is too short only because one of its items is wrong."""
    problems = error.errors()
    places = [problem["loc"] for problem in problems]
    return [
        problem
        for problem in problems
        if problem["type"] != "too_short"
        or not any(
            place != problem["loc"] and place[: len(problem["loc"])] == problem["loc"] for place in places
        )
    ]


def _place(keys: Keys, places: Mapping[Keys, str], where: str) -> str:
    """Where `keys`, or the section that contains it, is set; and by which options something in it."""
    above = (keys[:length] for length in range(len(keys), 0, -1))
    found = next((places[known] for known in above if known in places), where)
    inside = (place for known, place in places.items() if known[: len(keys)] == keys)
    return ", ".join(dict.fromkeys([found, *(place for place in inside if place.startswith("--set "))]))


def _misread(given: Any, typed: Any, keys: Keys) -> Iterator[tuple[Keys, str]]:
    """Values that validation converted to another type (true into 1, "7" into 7), and absurd numbers."""
    if isinstance(given, Mapping):
        known = typed if isinstance(typed, Mapping) else vars(typed) if hasattr(typed, "__dict__") else {}
        for key, value in given.items():
            yield from _misread(value, known.get(key), (*keys, key))
    elif isinstance(given, list) and isinstance(typed, (list, tuple)):
        for place, (value, item) in enumerate(zip(given, typed, strict=False)):
            yield from _misread(value, item, (*keys, str(place)))
    elif isinstance(typed, bool) != isinstance(given, bool) and isinstance(typed, (bool, int, float)):
        wanted = "true or false" if isinstance(typed, bool) else "a number"
        yield keys, f"{'.'.join(keys)}: must be {wanted}, got {_shown(given)}"
    elif isinstance(typed, (int, float)) and isinstance(given, str):
        yield keys, f"{'.'.join(keys)}: must be a number, got the text {given!r}"
    elif isinstance(typed, int) and abs(typed) > _LARGEST:
        yield keys, f"{'.'.join(keys)}: must be at most {_LARGEST}, got {_shown(given)}"


def _explained(problem: Any, given: Any) -> tuple[Keys, str]:
    """The key of one of pydantic's errors, and what is wrong with it."""
    keys = _keys(problem["loc"], given)
    dotted = "".join(f"{key}." for key in keys).removesuffix(".")
    kind = problem["type"]
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        return keys, f"unknown key {dotted}{hint(keys, Config)}"
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        context = problem["ctx"]
        tag = context["discriminator"].strip("'")
        if kind == "union_tag_not_found":
            return keys, f"{dotted}: must say its {tag} ({dotted}.{tag}), got {_shown(problem['input'])}"
        allowed = context["expected_tags"]
        return (*keys, tag), f"{dotted}.{tag}: must be one of {allowed}, got {context['tag']!r}"
    prefix = f"{dotted}: " if dotted else ""
    if kind == "value_error":
        return keys, prefix + problem["msg"].removeprefix("Value error, ")
    if kind == "tuple_type":
        places = list(problem["input"]) if isinstance(problem["input"], Mapping) else []
        if places and all(place.isdigit() for place in places):
            return keys, f"{prefix}has no item {places[0]} (the first is 0)"
    return keys, f"{prefix}{_wanted(kind, problem)}, got {_shown(problem['input'])}"


def _wanted(kind: str, problem: Any) -> str:
    """What pydantic expected, in the words of this project."""
    if kind in ("model_type", "dataclass_type", "model_attributes_type", "dict_type"):
        return "must be a section (key: value)"
    if kind == "tuple_type":
        return "must be a list"
    if kind.startswith("bool_"):
        return "must be true or false"
    if kind in ("too_short", "too_long"):
        end, limit = ("least", "min_length") if kind == "too_short" else ("most", "max_length")
        count = problem["ctx"][limit]
        return f"must hold at {end} {count} item{'s' * (count != 1)}"
    if kind == "missing":
        return "has too few items" if isinstance(problem["input"], list) else "must be given"
    message = _WHY.sub("", problem["msg"].replace("Input should be", "must be"))
    return message.replace("a valid integer", "a whole number").replace("a valid number", "a number")


def _keys(loc: Sequence[str | int], given: Any) -> Keys:
    """The keys of an error, without the kinds of models that pydantic puts between them."""
    keys: list[str] = []
    for position, part in enumerate(loc):
        inner = _inner(given, part)
        last = position == len(loc) - 1 and isinstance(part, str) and isinstance(given, Mapping)
        if inner is not _ABSENT or last:
            keys.append(str(part))
            given = inner
    return tuple(keys)


def _inner(given: Any, part: str | int) -> Any:
    if isinstance(given, list) and isinstance(part, int):
        return given[part] if part < len(given) else _ABSENT
    return given.get(part, _ABSENT) if isinstance(given, Mapping) else _ABSENT


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
