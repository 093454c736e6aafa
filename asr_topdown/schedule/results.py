"""Convert search results to plain JSON values and back."""

import json
from dataclasses import asdict, fields
from typing import Any

from asr_topdown.schedule.protocol import Point, Result, Step
from asr_topdown.schedule.searches import SPECS


def result_to_json(result: Result) -> dict[str, Any]:
    """`result` as plain values; a step's point becomes its dataclass's fields, None stays None."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(result)))  # tuples become lists
    return plain


def result_from_json(values: Any) -> Result:
    """Rebuild a result from the output of `result_to_json`.

    Raises:
        ValueError: on an unknown search, or an unknown or missing key.
    """
    known = _exactly(Result, values, "search")
    spec = SPECS.get(known["search"])
    if spec is None:
        raise ValueError(f"no search is called {known['search']!r}; there are {', '.join(SPECS)}")
    if not isinstance(known["steps"], list) or not known["steps"]:
        raise ValueError(f"{spec.name}: needs at least one step")
    known["steps"] = tuple(_step(spec.point, step) for step in known["steps"])
    return Result(**known)


def _step(point_type: type[Point], values: Any) -> Step:
    known = _exactly(Step, values, "step")
    if known["point"] is not None:
        point = _exactly(point_type, known["point"], "point")
        lists = {key: tuple(value) for key, value in point.items() if isinstance(value, list)}
        known["point"] = point_type(**{**point, **lists})
    return Step(**known)


def _exactly(cls: type[Any], values: Any, what: str) -> dict[str, Any]:
    """Return `values` if it is an object with exactly the fields of the dataclass `cls`."""
    names = {field.name for field in fields(cls)}
    if not isinstance(values, dict) or set(values) != names:
        given = sorted(values) if isinstance(values, dict) else values
        raise ValueError(f"{what}: needs {', '.join(sorted(names)) or 'nothing'}, got {given}")
    return dict(values)
