"""Fuzz the parsers for as long as one likes.

    python tests/fuzz/run.py [--seconds 600] [TARGET ...]

Prints, for each parser, how many inputs it was given, and the smallest input of the first failure.
"""

import argparse
import random
import tempfile
import time
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from targets import TARGETS, Target, check, inputs

_EXAMPLES = 500


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; default: all")
    parser.add_argument("--seconds", type=float, default=600, help="for each (default: 600)")
    args = parser.parse_args()
    failed = 0
    for name in args.targets or TARGETS:
        with tempfile.TemporaryDirectory() as folder:
            failed += not fuzz(name, TARGETS[name], Path(folder) / "file", args.seconds)
    return int(failed > 0)


def fuzz(name: str, target: Target, folder: Path, seconds: float) -> bool:
    """Fuzz for a number of seconds; return whether nothing was found."""
    end, count = time.monotonic() + seconds, 0

    @settings(
        max_examples=_EXAMPLES,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
        report_multiple_bugs=False,
    )
    @given(inputs(target))
    def some(data: bytes) -> None:
        nonlocal count
        count += 1
        check(target, data, folder)

    while time.monotonic() < end:
        try:
            seed(random.getrandbits(64))(some)()
        except AssertionError as error:
            print(
                f"{name}: after {count} inputs: {error}\n  {(folder / target.name).read_bytes()!r}",
                flush=True,
            )
            return False
    print(f"{name}: {count} inputs in {seconds:g} s, nothing found", flush=True)
    return True


if __name__ == "__main__":
    raise SystemExit(main())
