"""Nodes and results on disk: finished nodes are read from here.

exp/<recipe>/nodes/<id>/node.json    what is trained; written first
                        done.json    the outcome; written last, so its presence means "finished"
                        lock, lease  held by the process that trains the node
                        worker.log   what a worker process printed
                        ...          what training writes: weights, metrics.jsonl, ...
exp/<recipe>/results/<tag>.json      results of the searches of a study
                     replaced/       likewise, of studies whose tag was later given to another

A results file holds one entry per search and base seed (`schedule.protocol.Result`). A step's record
is a dataclass defined by its search (`schedule.spec.Spec.point`), which reads what it wrote.
"""

import contextlib
import hashlib
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from asr_topdown.engines.alone import alone_in
from asr_topdown.engines.lock import held, is_held
from asr_topdown.files import explain, read_json, remove_leftovers, write_json
from asr_topdown.schedule.node import Node, Outcome
from asr_topdown.schedule.protocol import Result
from asr_topdown.schedule.results import result_from_json, result_to_json

log = logging.getLogger(__name__)

_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def check_tag(tag: str) -> None:
    """Raise ValueError unless results can be called `tag`."""
    if not _TAG.fullmatch(tag):
        raise ValueError(f"tag {tag!r}: use letters, digits, '.', '_' and '-'")


class Store:
    """The nodes and results under one experiment folder.

    Args:
        root: the folder, exp/<recipe>; created when something is written.
        sources: other such folders, whose networks may be parents here; nothing is written there.
        models: node id -> folder, anywhere, of networks that may be parents here.
        decoder: the hash of how dev sets are decoded (`Outcome.decoder`); None = any.
    """

    def __init__(
        self,
        root: Path | str,
        sources: Sequence[Path | str] = (),
        *,
        models: Mapping[str, Path] | None = None,
        decoder: str | None = None,
    ) -> None:
        self.root = Path(root)
        self.models = dict(models or {})
        self.decoder = decoder
        self.sources = tuple(Path(source) for source in sources)

    def node_dir(self, node: Node | str) -> Path:
        """The folder of a node or node id."""
        return self.root / "nodes" / (node.id if isinstance(node, Node) else node)

    def parent_dir(self, node_id: str) -> Path:
        """The folder of a parent network: a given model's, here or in one of the sources."""
        if node_id in self.models:
            return self.models[node_id]
        folders = [root / "nodes" / node_id for root in (self.root, *self.sources)]
        # A finished one first: a source's network may be trained here, too, at this moment.
        return max(folders, key=lambda folder: ((folder / "done.json").exists(), folder.is_dir()))

    def log(self, node: Node | str) -> Path:
        """The file to which a worker process writes its output."""
        return self.node_dir(node) / "worker.log"

    def start(self, node: Node) -> Path:
        """Create the node's folder and its node.json, and return the folder.

        Raises:
            ValueError: if the folder already holds another node.
        """
        path = self.node_dir(node) / "node.json"
        if path.exists():
            self._check_same(path, node)
        else:
            write_json(path, node.to_json())
        return path.parent

    def outcome(self, node: Node) -> Outcome | None:
        """The outcome of a finished node; None while it is not finished.

        Raises:
            ValueError: one line naming the file, if done.json is damaged or node.json is of another node.
        """
        path = self.node_dir(node) / "done.json"
        if not path.exists():
            return None
        self._check_same(path.parent / "node.json", node)
        return _outcome_of(node, path, "; delete it to train again")

    def answer(self, node: Node) -> Outcome | None:
        """The outcome of a node with nothing left to do; None while it has to be run.

        A finished training has to be run again, which trains nothing, if its dev set was not decoded
        with `decoder`, or if a process is working on it or was killed before cleaning up.
        An outcome holds without the weights, but a warning says that they are gone.

        Raises:
            ValueError: as `outcome`.
        """
        outcome, folder = self.outcome(node), self.node_dir(node)
        if outcome is None or self.decoder not in (None, outcome.decoder) or is_held(folder):
            return None
        if not any(folder.glob("epoch-*.safetensors")):
            log.warning("%s: its weights are gone; delete its done.json to train it again", folder)
        return outcome

    def finish(self, outcome: Outcome) -> None:
        """Write done.json, which marks the node as finished. Call this last, under the node's lock."""
        write_json(self.start(outcome.node) / "done.json", outcome.to_json())

    @contextlib.contextmanager
    def lock(self, node: Node) -> Iterator[Path]:
        """Lock the node for this thread and yield its folder; wait, with a message, while another holds it.

        A process that dies, on any machine, never leaves it locked for long: see `engines.lock`.
        """
        folder = self.node_dir(node)
        with held(folder, f"node {node.id}"):
            remove_leftovers(folder, of_anybody=True)
            yield self.start(node)

    def node(self, node_id: str) -> Node:
        """The node with this id.

        Raises:
            FileNotFoundError: if the store does not have it.
            ValueError: if its node.json is damaged or belongs to another node.
        """
        path = self.node_dir(node_id) / "node.json"
        node = read_node(path)
        if node.id != node_id:
            raise ValueError(f"{path}: holds node {node.id}, edited by hand?")
        return node

    def nodes(self) -> list[Node]:
        """Every node that was started, by id.

        Raises:
            ValueError: naming a node.json that is damaged.
        """
        return [self.node(path.parent.name) for path in sorted(self.root.glob("nodes/*/node.json"))]

    def save_results(self, tag: str, results: Sequence[Result]) -> Path:
        """Write results/<tag>.json, and return its path.

        An earlier file is replaced if the new one includes all its searches and networks (more seeds, more
        controls); otherwise it belongs to another study and is moved to results/replaced.

        Raises:
            ValueError: if the tag cannot be a file name.
        """
        check_tag(tag)
        path = self.root / "results" / f"{tag}.json"
        with alone_in(path.parent):  # of two studies that end together, the second must see the first's file
            remove_leftovers(path.parent)
            if path.exists() and not _includes(results, self._earlier(tag)):
                self._put_aside(path)
            write_json(path, {"tag": tag, "searches": [result_to_json(result) for result in results]})
        return path

    def _put_aside(self, path: Path) -> None:
        name = f"{path.stem}-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}.json"
        kept = path.parent / "replaced" / name
        kept.parent.mkdir(exist_ok=True)
        path.replace(kept)
        log.warning("%s was another study's results: kept as %s", path, kept)

    def save_unfinished(self, tag: str, results: Sequence[Result]) -> Path | None:
        """Save the searches that could finish of a study in which others failed.

        Returns:
            As `save_results`; or None, and nothing is written, if there are none, or the earlier file has
            searches or networks that are not among them.
        """
        if not results or not _includes(results, self._earlier(tag)):
            return None
        return self.save_results(tag, results)

    def _earlier(self, tag: str) -> list[Result]:
        try:
            return self.load_results(tag)
        except (FileNotFoundError, ValueError):  # none, or damaged: nothing to compare
            return []

    def load_results(self, tag: str) -> list[Result]:
        """Read the output of `save_results`.

        Raises:
            FileNotFoundError: if there is no such tag.
            ValueError: one line naming the file, if it is damaged.
        """
        path = self.root / "results" / f"{tag}.json"
        try:
            return [result_from_json(values) for values in read_json(path)["searches"]]
        except FileNotFoundError:
            known = ", ".join(self.tags()) or "none"
            raise FileNotFoundError(f"{path}: no such results; there are {known}") from None
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path}: damaged ({_one_line(error)})") from None

    def tags(self) -> list[str]:
        """The tags of all saved results, sorted."""
        return sorted(path.stem for path in self.root.glob("results/*.json"))

    def _check_same(self, path: Path, node: Node) -> None:
        """Refuse another node's node.json; write one that a crash has damaged, or that is gone, again."""
        try:
            found = read_node(path)
        except (FileNotFoundError, ValueError) as error:
            log.warning("%s; written again, since its folder's name tells its content", explain(error))
            write_json(path, node.to_json())
            return
        if found != node:
            raise ValueError(f"{path}: holds another node than its folder's name says, edited by hand?")


def read_node(path: Path) -> Node:
    """The node in a node.json anywhere.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: one line naming the file, if it is damaged.
    """
    try:
        return Node.from_json(read_json(path))
    except ValueError as error:
        raise ValueError(f"{path}: damaged ({_one_line(error)})") from None


def read_outcome(folder: Path) -> Outcome:
    """The outcome of a training in a folder anywhere.

    Raises:
        FileNotFoundError: if its node.json or done.json is missing.
        ValueError: one line naming the file, if one is damaged.
    """
    return _outcome_of(read_node(folder / "node.json"), folder / "done.json")


def _outcome_of(node: Node, path: Path, advice: str = "") -> Outcome:
    try:
        return Outcome.from_json(node, read_json(path))
    except ValueError as error:
        raise ValueError(f"{path}: damaged ({_one_line(error)}){advice}") from None


def _includes(results: Sequence[Result], earlier: Sequence[Result]) -> bool:
    """Whether all searches of `earlier`, and all networks, are among those of `results`."""
    searches = {(one.search, one.seed) for one in earlier} - {(one.search, one.seed) for one in results}
    networks = {step.node for one in earlier for step in one.steps}
    return not searches and networks <= {step.node for one in results for step in one.steps}


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
