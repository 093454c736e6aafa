"""torchrun for our commands: the processes that train together, which say themselves what goes wrong.

    python -m asr_topdown.train.launch --standalone --nproc-per-node=2 -m asr_topdown.bin.main train …

Options are torchrun's. Where torchrun ends with a traceback of its own, this ends with the exit code of the
first process that failed.
"""

import logging
import signal
import sys
from collections.abc import Sequence

from torch.distributed import run
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError


def main(argv: Sequence[str]) -> int:
    """Run torchrun, and return the exit code: 0, a failed process's own, or 128 + N after signal N.

    A process that was killed could not say so; a line on stderr does.
    """
    logging.disable(logging.ERROR)  # torchrun's: of failures that the processes themselves have shown
    try:
        run.main(list(argv))
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode >= 0:
            return failure.exitcode
        name = signal.Signals(-failure.exitcode).name
        hint = " (out of memory?)" if name == "SIGKILL" else ""
        print(
            f"asr-topdown: error: process {rank} of the training was killed by {name}{hint}", file=sys.stderr
        )
        return 128 - failure.exitcode
    except SignalException as asked:
        return 128 + asked.sigval
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
