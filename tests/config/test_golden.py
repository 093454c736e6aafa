"""The names of the recipes' networks do not change unnoticed."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import golden

AGAIN = "if this was meant: python tests/config/golden.py"


@pytest.mark.parametrize("path", golden.configurations(), ids=lambda path: "/".join(path.parts[-3:]))
def test_every_recipes_experiments_keep_their_names(path: Path) -> None:
    name = str(path.relative_to(golden.REPOSITORY))
    assert golden.config.load(path).identity() == golden.read_identities().get(name), AGAIN


def differ(then: object, now: object) -> bool:
    """Whether a default has changed, other than by a setting that is new, or gone, in it."""
    if isinstance(then, dict) and isinstance(now, dict):
        return any(differ(then[name], now[name]) for name in then.keys() & now.keys())
    if isinstance(then, list) and isinstance(now, list):
        return len(then) != len(now) or any(map(differ, then, now))
    return then != now


def test_no_default_changes_without_another_version() -> None:
    then, now = json.loads(golden.DEFAULTS.read_text()), json.loads(json.dumps(golden.defaults()))
    changed = {name for name in then.keys() & now.keys() - {"version"} if differ(then[name], now[name])}
    if changed and then["version"] == now["version"]:
        pytest.fail(f"raise IDENTITY in config/identity.py: another default for {', '.join(sorted(changed))}")
    assert then == now, AGAIN


def test_a_new_setting_of_a_section_is_no_other_default() -> None:
    """Those of a new search or head asked for another IDENTITY, and so for all trainings to be repeated."""
    then: dict[str, Any] = {
        "greedy": {"top_blocks": 1},
        "encoder": [{"kind": "blstm", "norm": False}],
        "beam": 10,
    }
    assert not differ(then, {**then, "middle": {"most": 2}, "encoder": [{**then["encoder"][0], "lean": 0}]})
    assert differ(then, {**then, "greedy": {"top_blocks": 2, "most": 2}})
    assert differ(then, {**then, "encoder": [{"kind": "blstm", "norm": True}]})
    assert differ(then, {**then, "encoder": []})
    assert differ(then, {**then, "beam": None})


def test_there_is_a_name_for_each_and_none_for_others() -> None:
    assert golden.read_identities().keys() == golden.identities().keys(), AGAIN
