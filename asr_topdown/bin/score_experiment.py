"""`asr-topdown score --exp`: scores of every study of an experiment, printed and in files."""

import argparse
import contextlib
import errno
import logging
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from asr_topdown import config as configuration
from asr_topdown import files
from asr_topdown.bin import options, score_hub5
from asr_topdown.bin.score_systems import score_systems
from asr_topdown.bin.scored import BOOTSTRAP, COUNTING, Scored
from asr_topdown.runs.decodings import check_decodings, record_of
from asr_topdown.runs.store import Store
from asr_topdown.schedule.protocol import Result
from asr_topdown.schedule.searches import SEARCHES, SPECS, step_name

log = logging.getLogger(__name__)

_NOT_TO_BE_WRITTEN = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST)


@dataclass(frozen=True)
class _Search:
    """A search of a study: its title, and the transcripts of its results in groups to compare."""

    name: str
    title: str
    groups: Sequence[Sequence[Path]]


def run(args: argparse.Namespace) -> None:
    """Print the error rates of each study, and write them and the alignments to EXP/results/SET.

    For language models, the perplexities on the text REF.
    """
    if _holds_language_models(args.exp):
        options.refuse(
            args, (*COUNTING, *BOOTSTRAP, "stm", "glm", "hubscr"), "has no effect on language models"
        )
        from asr_topdown.report import perplexity

        shown = perplexity.score_experiment(args.exp, args.reference, args.device or "cpu", args.results)
        print(shown)
        _write(args.exp / "results" / args.reference.stem, {"perplexity.txt": f"{shown}\n"})
        return
    options.refuse(args, ("device",), "is for language models, and these are recognisers")
    kept: dict[str, str] = {}
    tags = args.results or _tags(args.exp)
    for tag in tags:
        kept |= _scored_study(args, tag)
    folder = args.exp / "results" / args.reference.name
    _write(folder, kept)
    _remove_earlier(folder / "alignments", tags, kept)
    if score_hub5.is_asked(args):
        score_hub5.keep(args, _decodings(args.exp, args.reference.name, args.results))


def _tags(exp: Path) -> list[str]:
    """The studies of an experiment.

    Raises:
        ValueError: if there is none.
    """
    store = Store(exp)
    tags = [tag for tag in store.tags() if any(one.search in SEARCHES for one in store.load_results(tag))]
    if not tags:
        raise ValueError(f"{exp}: no study has been run; `asr-topdown topdown` runs one")
    return tags


def _scored_study(args: argparse.Namespace, tag: str) -> dict[str, str]:
    """Print the scores of one study; return the content of the files to write, by name."""
    texts, documents, kept = [], [], {}
    for search in _searches(args.exp, tag, args.reference.name):
        scores = [_scored(args, paths) for paths in search.groups]
        texts.append("\n".join([search.title, *(scored.text for scored in scores)]) + "\n")
        documents += [{"study": search.title, **scored.document} for scored in scores]
        aligned = [text for scored in scores for text in scored.alignments]
        for end, text in zip(("joint", "final"), aligned, strict=False):
            kept[f"alignments/{search.name}_{end}.txt"] = text
    shown = "\n".join(texts)
    print(shown)
    kept[f"{tag}.txt"] = f"{shown}\n"
    kept[f"{tag}.json"] = files.json_text(documents, indent=2) + "\n"
    return kept


def _decodings(exp: Path, reference: str, tags: Sequence[str] | None) -> list[Path]:
    """List the decodings of all networks of these studies (default: of all), including controls."""
    store = Store(exp)
    results = [one for tag in tags or store.tags() for one in store.load_results(tag)]
    nodes = dict.fromkeys(step.node for one in results for step in one.steps)
    folders = [exp / "decode" / node / reference for node in nodes]
    return [folder for folder in folders if (folder / "text").is_file()]


def _holds_language_models(exp: Path) -> bool:
    """Whether the first network whose configuration can be read is one."""
    for path in sorted(exp.glob("nodes/*/config.yaml")):
        with contextlib.suppress(ValueError, OSError):  # another version's, or not yet written
            return configuration.load_saved(path).is_language_model
    return False


def _scored(args: argparse.Namespace, paths: Sequence[Path]) -> Scored:
    """Score one or two networks' transcripts, without the symbols in their decodings' nlsyms."""
    if args.reference.is_dir():
        check_decodings(paths, args.reference)
    args.nlsyms = _nlsyms(paths)
    return score_systems(args, paths)


def _write(folder: Path, kept: Mapping[str, str]) -> None:
    """Write the scores, or print a warning if the experiment is read-only.

    Raises:
        OSError: naming the file, if that is not why it cannot be written: old scores are left.
    """
    try:
        for parent in {folder, *((folder / name).parent for name in kept)}:
            files.remove_leftovers(parent)
        with files.written_together() as together:
            for name, text in kept.items():
                together.write_text(folder / name, text)
    except OSError as error:
        if error.errno not in _NOT_TO_BE_WRITTEN:
            raise
        log.warning("the scores are not kept: %s", files.explain(error))
    else:
        print(f"written to {folder}")


def _remove_earlier(folder: Path, tags: Sequence[str], kept: Collection[str]) -> None:
    """Remove the alignments that an earlier study of one of these names had, and its successor has not."""
    ours = re.compile(
        rf"({'|'.join(map(re.escape, tags))})_({'|'.join(SEARCHES)})_seed\d+_(joint|final)\.txt"
    )
    with contextlib.suppress(OSError):  # read-only, as has been said
        for path in folder.iterdir():
            if ours.fullmatch(path.name) and f"{folder.name}/{path.name}" not in kept:
                path.unlink()


def _searches(exp: Path, tag: str, reference: str) -> Iterator[_Search]:
    """List the searches of a study.

    Results of training on other data than the joint training's are not tested against it.
    """
    for result in Store(exp).load_results(tag):
        if result.search not in SEARCHES:
            continue
        ends = dict.fromkeys([result.steps[0].node, result.final])
        texts = [exp / "decode" / node / reference for node in ends]
        groups = [texts] if SPECS[result.search].against_joint else [[text] for text in texts]
        yield _Search(f"{tag}_{result.search}_seed{result.seed}", _title(tag, result), groups)


def _title(tag: str, result: Result) -> str:
    spec = SPECS[result.search]
    label, tested = spec.label, "against" if spec.against_joint else "and"
    title = f"{tag}, seed {result.seed}: {step_name(result.search, result.steps[0])}"
    if result.final != result.steps[0].node:
        last = next(step for step in reversed(result.steps) if step.node == result.final)
        return f"{title} {tested} {label} ({step_name(result.search, last)})"
    return title if result.search == "joint" else f"{title} ({label}: nothing was better on dev)"


def _nlsyms(paths: Sequence[Path]) -> tuple[str, ...]:
    """Return the nlsyms with which the decodings of `paths` were configured.

    Raises:
        FileNotFoundError: naming a folder without decoding.
        ValueError: naming two decodings that differ in them.
    """
    found = {}
    for path in paths:
        if not (path / "result.json").is_file():
            raise FileNotFoundError(f"{path}: not decoded yet; `asr-topdown decode --exp` does it")
        found[path] = tuple(record_of(path).get("decode", {}).get("nlsyms", ()))
    if len(set(found.values())) > 1:
        said = (f"{path} leaves out {', '.join(tags) or 'nothing'}" for path, tags in found.items())
        raise ValueError(f"{' and '.join(said)}; decode them alike")
    return next(iter(found.values()))
