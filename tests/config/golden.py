"""The names of all recipes' experiments, and the defaults behind them, as files.

`python tests/config/golden.py` writes them again, where a configuration was changed on purpose or a setting
added.
"""

import json
from pathlib import Path
from typing import Any

from asr_topdown import config
from asr_topdown.config.identity import IDENTITY

REPOSITORY = Path(__file__).parents[2]
IDENTITIES = Path(__file__).with_name("golden_identities.txt")
DEFAULTS = Path(__file__).with_name("golden_defaults.json")


def configurations() -> list[Path]:
    """All configurations of recipes, including files that others include."""
    return sorted(REPOSITORY.glob("egs/*/conf/**/*.yaml"))


def identities() -> dict[str, str]:
    return {str(path.relative_to(REPOSITORY)): config.load(path).identity() for path in configurations()}


def defaults() -> dict[str, Any]:
    """Section and setting -> default."""
    schema = config.Config.model_json_schema()
    sections = {"Config": schema, **schema["$defs"]}
    found = {
        f"{section}.{name}": described["default"]
        for section, fields in sections.items()
        for name, described in fields.get("properties", {}).items()
        if "default" in described and section not in ("RunConfig",)
    }
    del found["Config.run"]
    return {"version": IDENTITY, **found}


def read_identities() -> dict[str, str]:
    lines = IDENTITIES.read_text().splitlines()
    return dict(line.split() for line in lines if not line.startswith("#"))


if __name__ == "__main__":
    lines = [f"{path} {name}\n" for path, name in identities().items()]
    IDENTITIES.write_text("".join(["# python tests/config/golden.py\n", *lines]))
    DEFAULTS.write_text(json.dumps(defaults(), indent=1, sort_keys=True, ensure_ascii=False) + "\n")
