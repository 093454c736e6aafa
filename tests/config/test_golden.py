"""The names of the recipes' networks do not change unnoticed."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import golden

AGAIN = "if this was meant: python tests/config/golden.py"


@pytest.mark.parametrize("path", golden.configurations(), ids=lambda path: "/".join(path.parts[-3:]))
def test_every_recipes_experiments_keep_their_names(path: Path) -> None:
    name = str(path.relative_to(golden.REPOSITORY))
    assert golden.config.load(path).identity() == golden.read_identities().get(name), AGAIN


def test_no_default_changes_without_another_version() -> None:
    then, now = json.loads(golden.DEFAULTS.read_text()), json.loads(json.dumps(golden.defaults()))
    changed = {name for name in then.keys() & now.keys() - {"version"} if then[name] != now[name]}
    if changed and then["version"] == now["version"]:
        pytest.fail(f"raise IDENTITY in config/identity.py: another default for {', '.join(sorted(changed))}")
    assert then == now, AGAIN


def test_there_is_a_name_for_each_and_none_for_others() -> None:
    assert golden.read_identities().keys() == golden.identities().keys(), AGAIN
