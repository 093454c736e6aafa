"""Slurm options: `key=value` on the command line, or a YAML file of the same keys."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_SAME = {"cpus_per_task": "cpus", "gpus_per_node": "gpus"}
"""sbatch's names of options of ours."""
_ONE = ("nodes", "ntasks", "ntasks-per-node")
_LOG = "a job's output is in its own folder"
_REQUEUED = "a job at its time limit is always requeued; requeues=N says how often"
_OURS = {
    "job-name": "jobs are found again by their names",
    "output": _LOG,
    "error": _LOG,
    "open-mode": _LOG,
    "signal": "notice=SECONDS says how long before its time limit a job is warned",
    "requeue": _REQUEUED,
    "no-requeue": _REQUEUED,
    "array": "each job is submitted alone",
    "wrap": "a job's command is the engine's own",
    "chdir": "a job runs where the command does",
    "parsable": "the engine reads what sbatch prints",
    "test-only": "the engine reads what sbatch prints",
}
_TIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<parts>\d+(?::\d+){0,2})")


@dataclass(frozen=True, kw_only=True)
class SlurmOptions:
    """The options of each job.

    Attributes:
        time: time limit in minutes. Reaching it costs only queueing time: the job saves its state, is
            requeued and resumes; so a short limit, with which jobs start sooner, is a good choice.
        gpus: GPUs per job (also as sbatch's gpus-per-node).
        cpus: CPUs per job (also as sbatch's cpus-per-task); 0 = one per thread.
        mem: memory per job, in sbatch's format (8G).
        notice: seconds before the limit at which the job is warned to save its state.
        requeues: how often a job may reach its limit.
        poll: maximum seconds between two queries of the queue, one query for all jobs.
        setup: shell lines to run before the job (module load …).
        sbatch: every other option of sbatch, by its long name without the dashes.
    """

    time: int = 240
    gpus: int = 0
    cpus: int = 0
    mem: str = ""
    notice: int = 90
    requeues: int = 100
    poll: int = 30
    setup: tuple[str, ...] = ()
    sbatch: Mapping[str, str] = field(default_factory=dict)


def parse(given: Sequence[str]) -> SlurmOptions:
    """The options in `given`, each a YAML file or `key=value[,key=value…]`; later ones win.

    Raises:
        ValueError: naming the invalid option.
        FileNotFoundError: if a file is missing.
    """
    values: dict[str, str | tuple[str, ...]] = {}
    for words in given:
        pairs = _pairs(words) if "=" in words else _file(Path(words))
        values |= {_name(key): value for key, value in pairs.items()}
    known: dict[str, object] = {}
    sbatch: dict[str, str] = {}
    for name, value in values.items():
        key = name.replace("_", "-")
        if name == "sbatch" or name not in SlurmOptions.__dataclass_fields__:
            _check_not_ours(key, _text(key, value))
            sbatch[key] = _text(key, value)
        elif name == "setup":
            known[name] = value if isinstance(value, tuple) else (value,)
        elif name == "time":
            known[name] = _minutes(_text(key, value))
        elif name == "mem":
            known[name] = _text(key, value)
        else:
            known[name] = _whole(key, _text(key, value))
    return SlurmOptions(sbatch=sbatch, **known)  # type: ignore[arg-type]


def _name(key: str) -> str:
    name = key.replace("-", "_")
    return _SAME.get(name, name)


def _check_not_ours(key: str, value: str) -> None:
    """Refuse what the engine sets itself: without it, jobs would not be found, saved or resumed."""
    if key in _OURS:
        raise ValueError(f"--slurm {key}={value}: cannot be chosen: {_OURS[key]}")
    if key in _ONE and value != "1":
        raise ValueError(f"--slurm {key}={value}: must be 1: a job is one process")


def _pairs(words: str) -> dict[str, str | tuple[str, ...]]:
    pairs: dict[str, str | tuple[str, ...]] = {}
    # A comma belongs to the value unless a key follows: nodelist=a,b,time=60
    for pair in re.split(r",(?=[a-z_-]+=)", words):
        key, equals, value = pair.partition("=")
        if not equals or not re.fullmatch(r"[a-z_-]+", key):
            raise ValueError(f"--slurm {words}: must read key=value,key=value or name a YAML file")
        pairs[key] = value
    return pairs


def _file(path: Path) -> dict[str, str | tuple[str, ...]]:
    import yaml  # here, since searches and what runs them need the standard library alone

    try:
        # BaseLoader leaves all as text: YAML would take 4:00:00 for a number.
        values = yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader)  # noqa: S506 - builds text only
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path}: must hold options (key: value)")
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}


def _text(key: str, value: str | tuple[str, ...]) -> str:
    if not isinstance(value, str):
        raise ValueError(f"--slurm {key}: must be one value, got {value!r}")
    return value


def _whole(key: str, value: str) -> int:
    if not value.isdecimal():
        raise ValueError(f"--slurm {key}={value}: must be a whole number")
    return int(value)


def _minutes(value: str) -> int:
    """Parse Slurm's time formats: M, M:S, H:M:S, D-H, D-H:M, D-H:M:S; rounded up to minutes."""
    match = _TIME.fullmatch(value)
    if match is None:
        raise ValueError(f"--slurm time={value}: must be minutes, H:M:S or D-H:M:S")
    parts = [int(part) for part in match["parts"].split(":")]
    if match["days"]:
        hours, minutes, seconds = (*parts, 0, 0)[:3]
        return 1440 * int(match["days"]) + 60 * hours + minutes + math.ceil(seconds / 60)
    hours, minutes, seconds = {1: (0, *parts, 0), 2: (0, *parts), 3: (*parts,)}[len(parts)]
    return 60 * hours + minutes + math.ceil(seconds / 60)
