"""The building blocks of settings, with only the standard library."""

from dataclasses import dataclass, field, fields
from typing import Any


def setting(default: Any, description: str, **limits: Any) -> Any:
    """A field of a search's settings.

    Args:
        default: its default value.
        description: for the configuration reference.
        limits: arguments of pydantic's `Field`: ge=1, min_length=1, ...
    """
    return field(default=default, metadata={"description": description, **limits})


@dataclass(frozen=True)
class Settings:
    """What `schedule.NAME` may hold: a frozen dataclass of `setting`s in the search's own file.

    Raises:
        ValueError: naming a number that is below its limit `ge`, or not above `gt`, or above `le`; or a list
            that holds something twice, which would count twice.
    """

    def __post_init__(self) -> None:
        for one in fields(self):
            limits, value = one.metadata, getattr(self, one.name)
            if "ge" in limits and not value >= limits["ge"]:
                raise ValueError(f"{one.name} must be at least {limits['ge']}, got {value}")
            if "gt" in limits and not value > limits["gt"]:
                raise ValueError(f"{one.name} must be above {limits['gt']}, got {value}")
            if "le" in limits and not value <= limits["le"]:
                raise ValueError(f"{one.name} must be at most {limits['le']}, got {value}")
            if isinstance(value, tuple) and len(set(value)) < len(value):
                twice = next(item for item in value if value.count(item) > 1)
                raise ValueError(f"{one.name}: {twice} is listed twice")
