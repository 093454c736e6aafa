"""The hash of settings: the same for the same result, whichever defaults were written out.

Only settings that differ from their defaults count, so that a new setting renames no earlier results.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from pydantic import BaseModel

IDENTITY = 2
"""Raise this when a default changes, or when the same settings give other results than before."""
PRETRAINED = 2
"""Likewise, for trainings whose encoder begins with published weights."""


def settings_hash(sections: Mapping[str, Any]) -> str:
    """16 hex digits for these settings.

    Args:
        sections: name -> a section of the configuration, or any value of one.
    """
    said = {name: stated(section) for name, section in sections.items()}
    text = json.dumps({"version": IDENTITY, **said}, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def stated(value: Any) -> Any:
    """`value` as plain JSON values, without the settings that have their defaults.

    `kind`, which determines the meaning of the other settings, is always kept; settings that are not saved
    (`Field(exclude=True)`: a path) never are.
    """
    if isinstance(value, BaseModel):
        fields_of = type(value).model_fields
        defaults = {name: field.get_default() for name, field in fields_of.items() if not field.exclude}
        return _stated(value, defaults)
    if is_dataclass(value):
        return _stated(value, {field.name: field.default for field in fields(value)})
    if isinstance(value, Mapping):
        return {str(key): stated(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [stated(item) for item in value]
    return value


def _stated(section: Any, defaults: Mapping[str, Any]) -> dict[str, Any]:
    values = {name: getattr(section, name) for name in defaults}
    return {
        name: stated(value) for name, value in values.items() if name == "kind" or value != defaults[name]
    }
