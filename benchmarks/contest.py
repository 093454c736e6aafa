"""Toolkits that take turns, each in a long-lived process with its own environment.

All keep their networks in memory and one runs at a time, so that a slow phase of the machine affects all of
them. `benchmarks/peers.sh` makes the environments.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TOOLKITS = ("ours", "espnet", "speechbrain")
PEERS = Path(os.environ.get("PEERS", Path.home() / ".cache/asr_topdown/peers"))


class ContestantError(RuntimeError):
    """A toolkit could not do what was requested."""


class Worker:
    """A toolkit's process. `worker("step", precision="float32")` calls a method there and waits.

    Args:
        toolkit: one of `TOOLKITS`.
        threads: number of its threads.
        peers: the folder with the environments.
    """

    def __init__(self, toolkit: str, *, threads: int, peers: Path) -> None:
        self.toolkit = toolkit
        python = sys.executable if toolkit == "ours" else peers / toolkit / "bin/python"
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        if toolkit == "ours":
            path = [str(HERE.parent), *filter(None, [environment.get("PYTHONPATH")])]
            environment["PYTHONPATH"] = os.pathsep.join(path)
        answers, theirs = os.pipe()
        self.process = subprocess.Popen(
            [python, HERE / "peers" / f"{toolkit}_worker.py", str(theirs)],
            stdin=subprocess.PIPE,
            stdout=sys.stderr,
            pass_fds=[theirs],
            env=environment,
            text=True,
        )
        os.close(theirs)
        self.answers = os.fdopen(answers)

    def __call__(self, call: str, **arguments: Any) -> Any:
        assert self.process.stdin is not None
        try:
            print(json.dumps({"call": call, **arguments}), file=self.process.stdin, flush=True)
        except BrokenPipeError:
            raise ContestantError(f"{self.toolkit} did not start (see above)") from None
        line = self.answers.readline()
        if not line:
            raise ContestantError(f"{self.toolkit} stopped (see above)")
        answer = json.loads(line)
        if "error" in answer:
            raise ContestantError(f"{self.toolkit}: {answer['error']}")
        return answer["is"]

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=30)


class Workers(dict[str, Worker]):
    """Start the installed toolkits; report those that are missing."""

    def __init__(self, toolkits: list[str], *, threads: int, peers: Path) -> None:
        super().__init__()
        for toolkit in toolkits:
            if toolkit != "ours" and not (peers / toolkit / "bin/python").exists():
                print(f"{toolkit} is not in {peers} (benchmarks/peers.sh): left out", file=sys.stderr)
                continue
            self[toolkit] = Worker(toolkit, threads=threads, peers=peers)

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.values():
            worker.close()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that all contests share."""
    parser.add_argument("--toolkits", nargs="+", default=list(TOOLKITS), choices=TOOLKITS)
    parser.add_argument("--peers", type=Path, default=PEERS, help="folder that benchmarks/peers.sh made")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--clock",
        default="wall",
        choices=["wall", "cpu"],
        help="cpu: processor time of all threads, for one thread on a machine with other work on it",
    )
    parser.add_argument("--warm-up", type=int, default=1, help="rounds that are not counted")
    parser.add_argument("--repeats", type=int, default=5, help="rounds that are")
    parser.add_argument("--seconds", type=float, default=1e9, help="begin no further round after so many")
    parser.add_argument("--scale", type=float, default=1.0, help="shorten the utterances, for a trial")


Turn = Callable[[], float]


def alternate(turns: Mapping[str, Turn], args: argparse.Namespace) -> dict[str, list[float]]:
    """Run every turn `--repeats` times in rounds of different order, after `--warm-up` rounds."""
    times: dict[str, list[float]] = {name: [] for name in turns}
    names = list(turns)
    warm_up, started = args.warm_up, time.monotonic()
    for index in range(warm_up + args.repeats):
        if index > warm_up and time.monotonic() - started > args.seconds:
            break
        for name in names:
            seconds = turns[name]()
            if index >= warm_up:
                times[name].append(seconds)
        names = names[1:] + names[:1]
    return times


def summary(times: Mapping[str, list[float]]) -> dict[str, dict[str, float]]:
    """Return median, minimum and maximum of each."""
    return {
        name: {
            "seconds": round(statistics.median(values), 4),
            "least": round(min(values), 4),
            "most": round(max(values), 4),
            "repeats": len(values),
        }
        for name, values in times.items()
    }


def ratios(times: Mapping[str, list[float]]) -> dict[str, float]:
    """Return, for each of ours, the fastest peer's seconds in float32 / our seconds, both medians."""
    medians = {name: statistics.median(values) for name, values in times.items()}
    peers = [value for name, value in medians.items() if not name.startswith("ours") and "bfloat" not in name]
    if not peers:
        return {}
    return {name: round(min(peers) / value, 2) for name, value in medians.items() if name.startswith("ours")}
