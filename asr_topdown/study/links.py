"""Short names for the networks of a study."""

import re
from collections.abc import Sequence
from pathlib import Path

from asr_topdown.files import link
from asr_topdown.runs.store import Store
from asr_topdown.schedule.protocol import Result
from asr_topdown.schedule.searches import joint_node

_USUAL = "study"


def check(store: Store, tag: str) -> None:
    """Raise ValueError if the folder for the links of the study `tag` is, or will be, itself a link."""
    folder = store.root / "models" / tag
    if re.fullmatch(r"(joint|final)_seed\d+", tag) or folder.is_symlink():
        raise ValueError(f"--results {tag}: {folder} is for a link to a network: choose another name")


def link_models(store: Store, tag: str, results: Sequence[Result]) -> list[Path]:
    """Link EXP/models/joint_seedN and final_seedN (where the first search ended) to folders of nodes.

    A study of subsets of the data alone has no joint training to be linked.
    For a study that is not called "study" they are in EXP/models/TAG.

    Returns:
        The links, which replace older ones.
    """
    folder = store.root / "models" / ("" if tag == _USUAL else tag)
    names: dict[str, str] = {}
    for result in results:
        own = [one for one in results if one.seed == result.seed]
        if (joint := joint_node(own)) is not None:
            names.setdefault(f"joint_seed{result.seed}", joint)
        if result.search != "joint":
            names.setdefault(f"final_seed{result.seed}", result.final)
    for name, node in names.items():
        link(store.node_dir(node), folder / name)
    return [folder / name for name in names]
