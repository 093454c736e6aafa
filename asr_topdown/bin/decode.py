"""`asr-topdown decode`: from features to transcripts, with one model or all models of an experiment."""

import argparse
import contextlib
import logging
import shutil
import sys
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asr_topdown.bin import engine_options, options
from asr_topdown.bin.decoding import Decoding, data_sets
from asr_topdown.logs import print_above

if TYPE_CHECKING:
    from asr_topdown.config.decode import DecodeConfig
    from asr_topdown.decode.parts import Decoded
    from asr_topdown.engines.job import Engine
    from asr_topdown.text import Vocabulary

log = logging.getLogger(__name__)

HELP = "transcribe data directories with one model or with every model of an experiment"
EXAMPLE = """
asr-topdown decode data/dev data/test --exp exp/a --nj 4
asr-topdown decode data/test --exp exp/a --device cuda --nj 16 --engine slurm --slurm partition=gpu,gpus=1
asr-topdown decode data/test --model exp/a/models/final_seed1 --out decoded --set decode.beam=20
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the models, the data directories, and how and where they are decoded."""
    parser.add_argument("data", nargs="+", type=Path, metavar="DIR", help="data directories with features")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--exp", type=options.folder, metavar="DIR", help="decode with every network of its studies"
    )
    which.add_argument("--model", type=Path, metavar="DIR", help="decode with the network in this folder")
    parser.add_argument(
        "--results",
        nargs="+",
        metavar="TAG",
        help="with --exp: only the networks of these studies",
    )
    parser.add_argument(
        "--out", type=options.folder, metavar="DIR", help="with --model: write OUT/<set>/text"
    )
    options.add_config(parser, required=False)
    options.add_device(parser)
    options.add_nj(parser)
    engine_options.add_engine(parser, "processes", spread=False)


def run(args: argparse.Namespace) -> None:
    """Decode what has not yet been decoded with these settings."""
    if args.model is None:
        options.refuse(args, ("out",), "needs --model, not --exp")
    elif args.out is None:
        raise ValueError("--model needs --out")
    else:
        options.refuse(args, ("results",), "needs --exp, not --model")
    options.processes(args, 0)
    wanted, overrides = _settings(args)
    sets = data_sets(args.data)
    faults: dict[str, str] = {}
    everything = [
        Decoding(folder, data, out / data.name, wanted, overrides, args.device)
        for folder, out in _whole(_models(args), faults)
        for data in sets
    ]
    for one in everything:
        one.check()
    for line in dict.fromkeys(line for one in everything for line in one.unread):
        log.warning(line)
    todo = []
    for one in everything:
        if one.is_done():
            print(f"{one.target}: done already")
        else:
            todo.append(one)
    with (
        engine_options.engine_elsewhere(args) as engine,
        contextlib.closing(_decoded(todo, args, engine, faults)) as results,
    ):
        for one, decoded in results:
            print_above(_write(one, decoded), sys.stdout)
    if faults:
        raise ValueError("\n".join(f"{target}: {problem}" for target, problem in faults.items()))


def _decoded(
    todo: list[Decoding], args: argparse.Namespace, engine: "Engine | None", faults: dict[str, str]
) -> "Generator[tuple[Decoding, Decoded], None, None]":
    """Yield each decoding with its results when all its parts are done; add failures to `faults`."""
    from asr_topdown.decode.parts import Decoded, Part, decode_part, joined
    from asr_topdown.decode.recognize import Share
    from asr_topdown.engines.parts import run_parts

    sizes = [one.size for one in todo]
    seconds = sum(size.seconds for size in sizes)
    nj = options.processes(args, seconds)
    owners, parts = [], []
    for one, size in zip(todo, sizes, strict=True):
        of = size.parts(nj, seconds)
        shares = [Share(number, of) for number in range(of)]
        parts += [Part(one.model, one.data.folder, one.decode, one.device, share) for share in shares]
        owners += [one] * of
    folders = [one.job_folder(*part.share) for one, part in zip(owners, parts, strict=True)] if engine else []
    failed: dict[int, str] = {}
    found: dict[Path, list[Decoded]] = {one.target: [] for one in todo}
    results = run_parts(
        decode_part,
        parts,
        sum(size.utterances for size in sizes),
        "decode",
        at_once=nj,
        engine=engine,
        folders=folders,
        faults=failed,
    )
    with contextlib.closing(results):
        for index, result in results:
            one, of = owners[index], parts[index].share.of
            found[one.target].append(result)
            if len(found[one.target]) == of:
                yield one, joined(found.pop(one.target))
    for index, problem in sorted(failed.items()):
        faults.setdefault(str(owners[index].target), problem)


def _settings(args: argparse.Namespace) -> "tuple[DecodeConfig | None, tuple[str, ...]]":
    """Return how to decode: by --config, or by each model's configuration with the changes of --set."""
    if args.config is not None:
        return options.read_config(args).decode, ()
    for override in args.overrides:
        if not override.startswith("decode."):
            raise ValueError(f"--set {override}: without --config only decode.KEY=VALUE")
    return None, tuple(args.overrides)


def _models(args: argparse.Namespace) -> Iterator[tuple[Path, Path]]:
    """Return each (model folder, folder for its transcripts)."""
    from asr_topdown.runs.store import Store

    if args.model is not None:
        yield args.model, args.out
        return
    store = Store(args.exp)
    tags = args.results or store.tags()
    nodes = {step.node for tag in tags for result in store.load_results(tag) for step in result.steps}
    if not nodes:
        raise ValueError(
            f"{args.exp}: no results; run `asr-topdown topdown` first, or decode one network with --model"
        )
    for node in sorted(nodes):
        yield store.node_dir(node), args.exp / "decode" / node


def _whole(models: Iterable[tuple[Path, Path]], faults: dict[str, str]) -> list[tuple[Path, Path]]:
    """Return those of `_models` whose folder is complete; add what the others lack to `faults`.

    Raises:
        ValueError: naming what is missing, if none is.
    """
    from asr_topdown.decode.model import content_hash
    from asr_topdown.files import explain

    found = []
    for folder, out in models:
        try:
            content_hash(folder)
        except (ValueError, OSError) as error:
            faults[str(out)] = explain(error)
        else:
            found.append((folder, out))
    if not found:
        raise ValueError("\n".join(faults.values()))
    return found


def _calibration(
    decoded: "Decoded", vocabulary: "Vocabulary", reference: Mapping[str, str]
) -> dict[str, float | None] | None:
    """Compute the calibration of the model's CTC head (`score.calibration`); None without one."""
    from asr_topdown.score.calibration import calibrate

    paths = {name: result.ctc_path for name, result in decoded.found.items()}
    known = [(path, vocabulary.encode(reference[name])) for name, path in paths.items() if path is not None]
    return calibrate(known).to_json() if known else None


def _write(one: Decoding, decoded: "Decoded") -> str:
    """Write the transcripts of a data directory; return a line with the result."""
    from asr_topdown import datadir, files
    from asr_topdown.data import inputs
    from asr_topdown.datadir.lines import table_text
    from asr_topdown.decode.recognize import NBEST, nbest_tables
    from asr_topdown.engines import interruption
    from asr_topdown.engines.alone import alone_in
    from asr_topdown.score.errors import RATE_KEYS, RATE_NAMES, counted
    from asr_topdown.text import Vocabulary

    decode, vocabulary = one.decode, Vocabulary.load(one.model / "tokens.txt")
    texts = {name: vocabulary.transcript(result.best.ids) for name, result in decoded.found.items()}
    reference = datadir.read_transcripts(one.data.folder / "text")
    # Utterances without sound get empty hypotheses, which count as deletions.
    silent = inputs.left_out(one.data.folder, one.config.features) & reference.keys()
    texts = dict.fromkeys(silent, "") | texts
    rates = _rates(reference, texts, vocabulary.unit, decode.nlsyms)
    result = _result(one, decoded, rates, _calibration(decoded, vocabulary, reference))
    tables = {"text": texts, **nbest_tables(decoded.found, vocabulary, decode)}
    # No other process may mix its files with these. What is done is looked at no more: a request to stop
    # waits until all is there and nothing is left over.
    with alone_in(one.target), interruption.unbroken():
        files.remove_leftovers(one.target)
        # The result is the last to come and the first to go: if this process is killed, no old one may be
        # left beside new transcripts.
        with files.written_together() as together:
            for name, table in tables.items():
                together.write_text(one.target / name, table_text(table))
            together.write_text(one.target / "result.json", files.json_document(result))
            for name in ("result.json", "hub5.json", *NBEST):
                (one.target / name).unlink(missing_ok=True)
        shutil.rmtree(one.target / "jobs", ignore_errors=True)
    known = {unit: rates[RATE_KEYS[unit]] for unit in counted(vocabulary.unit)}
    shown = ", ".join(
        f"{RATE_NAMES[unit]} {100 * rate:.2f} %" for unit, rate in known.items() if rate is not None
    )
    return (
        f"{one.target}: {shown or 'no error rate, for all references are empty'}, "
        f"real-time factor {result['real_time_factor']:.4f} on {one.device}"
    )


def _result(
    one: Decoding,
    decoded: "Decoded",
    rates: Mapping[str, float | None],
    calibration: Mapping[str, float | None] | None,
) -> dict[str, Any]:
    """Return the content of result.json."""
    features = one.config.features
    spoken = decoded.frames * features.frame_seconds
    return {
        **one.settings,
        **rates,
        "calibration": calibration,
        "decode": one.decode.model_dump(mode="json"),
        "features": one.data.features(features),
        "waveform": features.sample_rate if features.kind == "waveform" else None,
        "reference": one.reference,
        "node": one.model.resolve().name,
        "set": one.target.name,
        "seconds": decoded.seconds,
        "audio_seconds": spoken,
        "real_time_factor": decoded.seconds / spoken,
    }


def _rates(
    reference: Mapping[str, str], texts: Mapping[str, str], unit: str, nlsyms: Collection[str]
) -> dict[str, float | None]:
    """Compute CER and WER, or the labels' error rate; None if all references are empty."""
    from asr_topdown.score.errors import RATE_KEYS, counted, words
    from asr_topdown.score.report import score

    if not any(words(text, nlsyms) for text in reference.values()):
        return {RATE_KEYS[one]: None for one in counted(unit)}
    return {RATE_KEYS[one]: score(reference, texts, one, nlsyms=nlsyms).rate for one in counted(unit)}
