"""The generated pages list all commands and all settings."""

import importlib.util
from collections.abc import Mapping
from pathlib import Path

import pytest

from asr_topdown.bin import main
from asr_topdown.config import Config
from asr_topdown.schedule.searches import SPECS


@pytest.fixture(scope="module")
def reference(repository):
    path = Path(repository) / "docs" / "hooks" / "reference.py"
    spec = importlib.util.spec_from_file_location("reference", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def keys_of(values, path=()):
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from keys_of(value, (*path, key))
        elif key != "kind":
            yield ".".join((*path, key))


def test_every_setting_has_a_row(reference):
    page = reference.configuration_page()
    values = Config().model_dump()
    del values["model"]  # one of several kinds: below
    missing = [key for key in keys_of(values) if f"| `{key}` |" not in page]
    # What may be left out: sections, and a list of sections.
    assert missing == ["train.specaugment", "train.average", "train.init", "schedule.depth_sweep.rivals"]
    for key in missing[:-1]:
        assert f"### {key}\n\nNothing, unless it is given.\n" in page
    assert f"### {missing[-1]}\n\nA list of such sections, empty unless it is given.\n" in page
    for key in missing:
        assert f"| `{key}." in page
    rows = [line for line in page.splitlines() if line.startswith("| `model.")]
    assert len(rows) > 30
    assert all(len(line.split(" | ")) == 4 for line in rows)
    for name in SPECS:
        assert f"| `{name}` | " in page


def test_settings_say_what_they_can_be(reference):
    page = reference.configuration_page()
    assert "| `train.epochs` | whole number ≥ 1 | `50` |" in page
    assert "| `features.cmvn` | `global`, `none` | `global` |" in page
    assert "| `features.fbank.num_mels` | whole number | `80` | number of triangular filters. |" in page


def test_every_command_and_subcommand_shows_its_options(reference):
    page = reference.commands_page()
    for command in main.COMMANDS:
        assert f"\n## {command}\n\n```text\nusage: asr-topdown {command}" in page
    assert "\n### prepare table\n\n```text\nusage: asr-topdown prepare table" in page
    assert "\n### data combine\n" in page


def test_links_out_of_docs_become_text(reference):
    class Page:
        class file:  # noqa: N801
            src_uri = "training.md"

    def changed(text):
        return reference.on_page_markdown(text, Page, None, None)

    assert changed("see [slurm](../conf/engine/slurm.yaml).") == "see slurm (`conf/engine/slurm.yaml`)."
    assert changed("[`conf/a.yaml`](../conf/a.yaml#x)") == "`conf/a.yaml`"
    assert changed("[here](report.md)") == "[here](report.md)"
