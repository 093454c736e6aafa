"""Where the package's log goes, and how much of a long list is shown."""

import logging
import os
import sys
from collections.abc import Sequence


def log_to_stderr(level: int = logging.INFO) -> None:
    """Show the package's log on stderr, with the time of day; of several processes, that of rank 0."""
    if os.environ.get("WORLD_SIZE", "1") != "1" and os.environ.get("RANK", "0") != "0":
        level = max(level, logging.ERROR)
    logging.basicConfig(
        level=level, stream=sys.stderr, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", force=True
    )


def shortened(lines: Sequence[str], most: int = 10) -> list[str]:
    """Keep the first lines of a list of culprits, and say how many more there are."""
    more = [f"... and {len(lines) - most} more"] if len(lines) > most else []
    return [*lines[:most], *more]
