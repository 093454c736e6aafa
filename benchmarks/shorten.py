"""Speed of decoding SPHERE compressed with shorten, as on WSJ's discs. Prints JSON.

    python benchmarks/shorten.py [--seconds 8] [--repeats 5]

Speed is seconds of sound per second of processor time on one core; `si284_hours` is the time for the 81 hours
of WSJ's training set on one core. Decoders: ours; desphere in pure Python and with desphere-native, and
sph2pipe, if installed; soundfile reads the same sound uncompressed, as a reference for the machine.
"""

import argparse
import importlib.util
import json
import resource
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import soundfile

from asr_topdown.audio import Clip, read
from asr_topdown.corpora.fake import speech, sphere

RATE = 16000
SI284_HOURS = 81.0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=8.0, help="length of the recording")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    said = speech.say("the board did not say what the plan would cost in the end", rate=RATE)
    samples = np.resize(said, round(args.seconds * RATE))
    with tempfile.TemporaryDirectory() as folder:
        packed, plain = Path(folder) / "packed.wv1", Path(folder) / "plain.wv1"
        sphere.write(packed, samples, RATE, compressed=True)
        sphere.write(plain, samples, RATE)
        decoders = _decoders(packed, plain)
        speeds = {name: args.seconds / _seconds(decode, args.repeats) for name, decode in decoders.items()}
        ratio = packed.stat().st_size / plain.stat().st_size
    result = {
        "seconds": args.seconds,
        "compressed_to": round(ratio, 3),
        "speed": {name: round(speed, 1) for name, speed in speeds.items()},
        "si284_hours": {name: round(SI284_HOURS / speed, 3) for name, speed in speeds.items()},
    }
    print(json.dumps(result, indent=2))


def _decoders(packed: Path, plain: Path) -> dict[str, Callable[[], object]]:
    decoders: dict[str, Callable[[], object]] = {"ours": lambda: read(Clip(str(packed)))}
    if importlib.util.find_spec("desphere"):
        decoders |= _desphere(packed.read_bytes())
    if shutil.which("sph2pipe"):
        command = ["sph2pipe", "-f", "wav", str(packed)]
        decoders["sph2pipe"] = lambda: subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    decoders["soundfile, uncompressed"] = lambda: soundfile.read(plain, dtype="float32")
    return decoders


def _desphere(data: bytes) -> dict[str, Callable[[], object]]:
    import desphere

    def pure() -> None:
        with mock.patch("desphere.transcode._native", None), mock.patch("desphere.codecs._native", None):
            desphere.transcode_bytes(data)

    native = (
        {"desphere-native": lambda: desphere.transcode_bytes(data)} if desphere.native_available() else {}
    )
    return {"desphere": pure, **native}


def _seconds(work: Callable[[], object], repeats: int) -> float:
    """Measure the median processor time, including child processes."""
    times = []
    for _ in range(repeats):
        start = _used()
        work()
        times.append(_used() - start)
    return statistics.median(times)


def _used() -> float:
    own, others = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime


if __name__ == "__main__":
    main()
