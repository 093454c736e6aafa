"""Where the package's log goes."""

import logging
import os
import sys


def log_to_stderr(level: int = logging.INFO) -> None:
    """Show the package's log on stderr, with the time of day; of several processes, that of rank 0."""
    if os.environ.get("WORLD_SIZE", "1") != "1" and os.environ.get("RANK", "0") != "0":
        level = max(level, logging.ERROR)
    logging.basicConfig(
        level=level, stream=sys.stderr, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", force=True
    )
