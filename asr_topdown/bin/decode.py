"""`asr-topdown decode`: from features to transcripts, with one model or with all of an experiment."""

import argparse
import functools
import hashlib
import json
import math
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from asr_topdown.bin import options

if TYPE_CHECKING:
    from asr_topdown.config import Config
    from asr_topdown.config.decode import DecodeConfig
    from asr_topdown.decode.parts import Decoded
    from asr_topdown.engines.job import Engine
    from asr_topdown.text import Vocabulary

HELP = "write the transcripts of data directories, by one model or by every one of an experiment"
EXAMPLE = """
asr-topdown decode data/dev data/test --exp exp/a --nj 4
asr-topdown decode data/test --exp exp/a --device cuda --nj 16 --engine slurm --slurm partition=gpu,gpus=1
asr-topdown decode data/test --model exp/a/nodes/0123456789abcdef --out decoded
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("data", nargs="+", type=Path, metavar="DIR", help="data directories with features")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--exp", type=Path, metavar="DIR", help="decode with every network of its studies")
    which.add_argument("--model", type=Path, metavar="DIR", help="decode with this network's folder")
    parser.add_argument(
        "--results",
        nargs="+",
        metavar="TAG",
        help="with --exp: only networks of these studies",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="with --model: write OUT/<set>/text")
    options.add_config(parser, required=False)
    options.add_device(parser)
    parser.add_argument(
        "--nj", type=int, default=1, metavar="N", help="processes side by side (default: %(default)s)"
    )
    options.add_engine(parser, "processes", spread=False)


def run(args: argparse.Namespace) -> None:
    """Decode what has not been decoded with these settings yet."""
    if args.model is not None and args.out is None:
        raise ValueError("--model needs --out")
    if args.nj < 1:
        raise ValueError(f"--nj {args.nj}: must be at least 1")
    wanted = _decode_config(args)
    sets = _sets(args.data)
    everything = [
        _Todo(folder, data, out / data.name, wanted, args.device)
        for folder, out in _models(args)
        for data in sets
    ]
    for one in everything:
        one.check()
    todo = []
    for one in everything:
        if one.is_done():
            print(f"{one.target}: done already")
        else:
            todo.append(one)
    with options.engine_elsewhere(args) as engine:
        for one, decoded in _decoded(todo, args.nj, engine):
            print(_write(one, decoded), flush=True)


@dataclass(frozen=True)
class _Set:
    """A data directory, and the name of the folder that its transcripts go to."""

    folder: Path
    name: str

    @functools.cached_property
    def content(self) -> str:
        """Hash of its features and transcripts."""
        from asr_topdown import datadir

        return datadir.content_hash(self.folder)

    @functools.cached_property
    def features(self) -> str:
        """Hash of its features alone."""
        from asr_topdown import datadir

        return datadir.features_hash(self.folder)


@dataclass(frozen=True)
class _Todo:
    """A data directory to be decoded with a model, unless that has been done."""

    model: Path
    data: _Set
    target: Path
    wanted: "DecodeConfig | None"
    device: str

    @functools.cached_property
    def config(self) -> "Config":
        """The model's own configuration."""
        from asr_topdown import config as configuration

        return configuration.load(self.model / "config.yaml")

    @property
    def reference(self) -> str:
        """Where the transcripts are that the results were compared with."""
        return str(self.data.folder / "text")

    @property
    def decode(self) -> "DecodeConfig":
        """The settings, which are the model's own unless others are wanted."""
        return self.wanted or self.config.decode

    @functools.cached_property
    def settings(self) -> dict[str, str]:
        """What the decoding is made of, by content: if it is the same, so is the result."""
        from asr_topdown.decode.model import content_hash, decoder_hash

        return {
            "model": content_hash(self.model),
            "content": self.data.content,
            "decoder": decoder_hash(self.decode),
            "device": self.device,
        }

    def check(self) -> None:
        """Make sure that the model can read these features, and that no transcripts are overwritten.

        Raises:
            ValueError: naming the directory, and both values of a setting that differs.
        """
        from asr_topdown import datadir

        if (self.target / "utt2spk").exists():
            raise ValueError(f"{self.target}: a data directory, whose transcripts would be overwritten")
        features = self.config.features
        try:
            datadir.check_features(self.data.folder, features.fbank, features.deltas, features.dim)
        except ValueError as error:
            raise ValueError(f"{error} (the configuration is {self.model / 'config.yaml'})") from None

    def is_done(self) -> bool:
        """Whether the target holds what would come out; the name of the reference is brought up to date."""
        from asr_topdown.files import read_json, write_json

        path = self.target / "result.json"
        if not path.exists() or not (self.target / "text").exists():
            return False
        made = read_json(path)
        if not isinstance(made, dict) or any(made.get(key) != value for key, value in self.settings.items()):
            return False
        if made.get("reference") != self.reference:
            write_json(path, {**made, "reference": self.reference})
        return True

    def job_folder(self, number: int, of: int) -> Path:
        """Where an engine keeps what it must remember of a part, as long as that is not done."""
        key = hashlib.sha256(json.dumps(self.settings, sort_keys=True).encode()).hexdigest()[:16]
        return self.target / "jobs" / f"{key}.{number + 1}of{of}"


def _decoded(todo: list[_Todo], nj: int, engine: "Engine | None") -> "Iterator[tuple[_Todo, Decoded]]":
    """Each with what was found, as soon as all of its parts are there."""
    from asr_topdown import datadir
    from asr_topdown.decode.parts import Decoded, Part, decode_part, joined
    from asr_topdown.engines.parts import run_parts

    if engine is None and nj == 1:
        for one in todo:
            yield one, decode_part(Part(one.model, one.data.folder, one.wanted, one.device), lambda: None)
        return
    sizes = [len(datadir.read_transcripts(one.data.folder / "text")) for one in todo]
    counts = [max(1, min(math.ceil(nj / len(todo)), size)) for size in sizes]
    owners = [index for index, count in enumerate(counts) for _ in range(count)]
    parts = [
        Part(one.model, one.data.folder, one.wanted, one.device, number, of)
        for one, of in zip(todo, counts, strict=True)
        for number in range(of)
    ]
    folders = (
        [todo[owner].job_folder(part.number, part.of) for owner, part in zip(owners, parts, strict=True)]
        if engine
        else []
    )
    found: dict[int, list[Decoded]] = {}
    for index, result in run_parts(
        decode_part, parts, sum(sizes), "decode", at_once=nj, engine=engine, folders=folders
    ):
        owner = owners[index]
        found.setdefault(owner, []).append(result)
        if len(found[owner]) == counts[owner]:
            yield todo[owner], joined(found.pop(owner))


def _decode_config(args: argparse.Namespace) -> "DecodeConfig | None":
    if args.config is None and not args.overrides:
        return None
    if args.config is None:
        raise ValueError("--set needs --config")
    return options.read_config(args).decode


def _sets(folders: Sequence[Path]) -> list[_Set]:
    """The data directories, each with a name of its own.

    Raises:
        ValueError: naming two whose transcripts would go to the same folder.
    """
    named: dict[str, _Set] = {}
    for folder in folders:
        name = folder.name if folder.name not in ("", "..") else folder.resolve().name
        if name in named:
            raise ValueError(f"{named[name].folder} and {folder}: the transcripts of both would go to {name}")
        named[name] = _Set(folder, name)
    return list(named.values())


def _models(args: argparse.Namespace) -> Iterator[tuple[Path, Path]]:
    """(model folder, where its transcripts go)."""
    from asr_topdown.runs.store import Store

    if args.model is not None:
        yield args.model, args.out
        return
    store = Store(args.exp)
    tags = args.results or store.tags()
    nodes = {step.node for tag in tags for result in store.load_results(tag) for step in result.steps}
    if not nodes:
        raise ValueError(f"{args.exp}: no results; run `asr-topdown topdown` first")
    for node in sorted(nodes):
        yield store.node_dir(node), args.exp / "decode" / node


def _calibration(
    decoded: "Decoded", vocabulary: "Vocabulary", reference: Mapping[str, str]
) -> dict[str, float | None] | None:
    """Of the model's CTC head, as `score.calibration` says; None without one."""
    from asr_topdown.score.calibration import calibrate

    paths = {name: result.ctc_path for name, result in decoded.found.items()}
    known = [(path, vocabulary.encode(reference[name])) for name, path in paths.items() if path is not None]
    return calibrate(known).to_json() if known else None


def _write(one: _Todo, decoded: "Decoded") -> str:
    """Write the transcripts of one data directory; returns a line that says how it went."""
    from asr_topdown import datadir
    from asr_topdown.decode.recognize import write_nbest
    from asr_topdown.features import content
    from asr_topdown.files import write_json
    from asr_topdown.text import Vocabulary

    decode, vocabulary = one.decode, Vocabulary.load(one.model / "tokens.txt")
    spoken = decoded.frames * one.config.features.fbank.frame_shift_ms / 1000
    texts = {name: vocabulary.decode(result.best.ids) for name, result in decoded.found.items()}
    reference = datadir.read_transcripts(one.data.folder / "text")
    # Where there is no sound nothing is heard: all deletions, if words were said.
    silent = content.left_out(one.data.folder).keys() & reference.keys()
    texts = dict.fromkeys(silent, "") | texts
    datadir.write_table(one.target / "text", texts)
    write_nbest(one.target, decoded.found, vocabulary, decode)
    rates = _rates(reference, texts, decode.nlsyms)
    write_json(
        one.target / "result.json",
        {
            **one.settings,
            **rates,
            "calibration": _calibration(decoded, vocabulary, reference),
            "decode": decode.model_dump(mode="json"),
            "features": one.data.features,
            "reference": one.reference,
            "node": one.model.resolve().name,
            "set": one.target.name,
            "seconds": decoded.seconds,
            "audio_seconds": spoken,
            "real_time_factor": decoded.seconds / spoken,
        },
    )
    shutil.rmtree(one.target / "jobs", ignore_errors=True)
    shown = ", ".join(
        f"{name.upper()} {100 * rate:.2f} %" for name, rate in rates.items() if rate is not None
    )
    return (
        f"{one.target}: {shown or 'no error rate, for all references are empty'}, "
        f"real-time factor {decoded.seconds / spoken:.4f} on {one.device}"
    )


def _rates(
    reference: Mapping[str, str], texts: Mapping[str, str], nlsyms: Collection[str]
) -> dict[str, float | None]:
    """CER and WER; None where nothing is said in any reference."""
    from asr_topdown.score.errors import words
    from asr_topdown.score.report import score

    if not any(words(text, nlsyms) for text in reference.values()):
        return {"cer": None, "wer": None}
    return {
        "cer": score(reference, texts, "char", nlsyms=nlsyms).rate,
        "wer": score(reference, texts, "word", nlsyms=nlsyms).rate,
    }
