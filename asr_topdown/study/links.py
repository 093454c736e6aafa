"""Short names for the networks of a study."""

import contextlib
import logging
import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from asr_topdown.files import link
from asr_topdown.runs.store import Store, read_node
from asr_topdown.schedule.node import Node
from asr_topdown.schedule.protocol import Result
from asr_topdown.schedule.searches import SEARCHES, joint_node

log = logging.getLogger(__name__)

_USUAL = "study"
_NAME = re.compile(r"(joint|final)_seed(\d+)")


def check(store: Store, tag: str) -> None:
    """Raise ValueError if the folder for the links of the study `tag` is, or will be, itself a link."""
    folder = store.root / "models" / tag
    if _NAME.fullmatch(tag) or folder.is_symlink():
        raise ValueError(f"--results {tag}: {folder} is for a link to a network: choose another name")


def link_models(store: Store, tag: str, results: Sequence[Result]) -> list[Path]:
    """Link EXP/models/joint_seedN and final_seedN (where the first search ended) to folders of nodes.

    A study of subsets of the data alone has no joint training to be linked.
    For a study that is not called "study" they are in EXP/models/TAG.

    Older links of this study's other seeds stay; those of a study of other settings or data go, since
    one folder of names is one study.

    Returns:
        The links, which replace older ones.
    """
    folder = store.root / "models" / ("" if tag == _USUAL else tag)
    names: dict[str, str] = {}
    for result in results:
        own = [one for one in results if one.seed == result.seed]
        if (joint := joint_node(own)) is not None:
            names.setdefault(f"joint_seed{result.seed}", joint)
        if result.search in SEARCHES and result.search != "joint":
            names.setdefault(f"final_seed{result.seed}", result.final)
    joints = (_node_in(store.node_dir(node)) for name, node in names.items() if name.startswith("joint"))
    if (trained := next(joints, None)) is not None:
        _remove_strangers(folder, names, trained)
    for name, node in names.items():
        link(store.node_dir(node), folder / name)
    return [folder / name for name in names]


def _remove_strangers(folder: Path, names: Collection[str], joint: Node) -> None:
    """Remove the links of seeds whose joint training was another than `joint`, but for its seed.

    Those called `names` are about to be replaced.
    """
    found = {path: match[2] for path in folder.glob("*") if (match := _NAME.fullmatch(path.name))}
    own = {
        seed
        for seed in found.values()
        if _node_in(folder / f"joint_seed{seed}") == replace(joint, init_seed=int(seed))
    }
    for path, seed in sorted(found.items()):
        if seed not in own and path.name not in names and path.is_symlink():
            log.warning("%s: removed, a link to %s, of other settings or data", path, path.readlink().name)
            path.unlink()


def _node_in(folder: Path) -> Node | None:
    """The node trained in `folder`; None where there is none, as behind a link to what is gone."""
    with contextlib.suppress(FileNotFoundError, ValueError):
        return read_node(folder / "node.json")
    return None
