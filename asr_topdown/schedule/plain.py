"""Checks of plain JSON values of nodes and outcomes, whose content is hashed."""

from dataclasses import MISSING, fields
from typing import Any


def exactly(cls: type[Any], values: Any, what: str, *, defaults: bool = False) -> dict[str, Any]:
    """Return `values` if it is an object with only fields of the dataclass `cls`; some may be omitted.

    Raises:
        ValueError: saying `what` it was to be, and the keys that are unknown or missing.
    """
    if not isinstance(values, dict):
        raise ValueError(f"{what}: must be an object, got {values!r}")
    if defaults:
        values = {field.name: field.default for field in fields(cls) if field.default is not MISSING} | values
    names = {field.name for field in fields(cls)}
    if unknown := sorted(set(values) - names):
        raise ValueError(f"{what}: unknown key {', '.join(map(str, unknown))}")
    if missing := sorted(names - set(values)):
        raise ValueError(f"{what}: no {', '.join(missing)}")
    return dict(values)


def number(value: Any, what: str) -> float:
    """Return `value` if it is a number.

    Raises:
        ValueError: saying which value of an outcome it was to be.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"outcome: {what} must be a number, got {value!r}")
    return float(value)
