"""Hours of audio per second of the filter bank, compared with kaldi-native-fbank and lhotse, on one thread.

Sixty sounds of ten seconds are in memory and processed one after another, as in `asr-topdown features`; all
programs compute the same features, with equal options (`difference`: the largest from ours). They take turns
within each repeat, so that a slow phase of the machine affects all. A peer that is not installed is left out
and listed under `missing`.

Prints one JSON line per case: median and best of the repeats, ours / peer from the medians, and the share of
our time in each torch operation, the slowest first.

    python benchmarks/features.py --cases 16k 8k --repeats 7
"""

import argparse
import importlib.util
import json
import statistics
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from asr_topdown.features import fbank as ours

SOUNDS, SECONDS = 60, 10
CASES = {
    "16k": ours.FbankOptions(sample_rate=16000, num_mels=80, high_freq=-400.0),
    "8k": ours.FbankOptions(sample_rate=8000, num_mels=40, high_freq=-400.0),
}
Extract = Callable[[np.ndarray], np.ndarray]


def kaldi_native_fbank(options: ours.FbankOptions) -> Extract:
    import kaldi_native_fbank as knf

    theirs = knf.FbankOptions()
    theirs.frame_opts.samp_freq = options.sample_rate
    theirs.frame_opts.dither = 0.0
    theirs.mel_opts.num_bins = options.num_mels
    theirs.mel_opts.high_freq = options.high_freq

    def extract(samples: np.ndarray) -> np.ndarray:
        computer = knf.OnlineFbank(theirs)
        computer.accept_waveform(options.sample_rate, samples * ours.INT16_SCALE)
        computer.input_finished()
        return np.stack([computer.get_frame(index) for index in range(computer.num_frames_ready)])

    return extract


def lhotse(options: ours.FbankOptions) -> Extract:
    from lhotse import Fbank, FbankConfig

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on snip_edges
        computer = Fbank(
            FbankConfig(
                sampling_rate=options.sample_rate,
                num_filters=options.num_mels,
                high_freq=options.high_freq,
                snip_edges=True,
            )
        )
    # Difference of log energies for samples in [-1, 1].
    shift = 2 * np.log(ours.INT16_SCALE)
    return lambda samples: np.asarray(computer.extract(samples, options.sample_rate)) + shift


def this_project(options: ours.FbankOptions) -> Extract:
    return lambda samples: ours.fbank(torch.from_numpy(samples), options).numpy()


PEERS: dict[str, Callable[[ours.FbankOptions], Extract]] = {
    "kaldi_native_fbank": kaldi_native_fbank,
    "lhotse": lhotse,
}


def rates(
    programs: Mapping[str, Extract], sounds: list[np.ndarray], rate: int, repeats: int
) -> dict[str, list[float]]:
    """Measure hours of audio per second, for each program and repeat."""
    hours = sum(map(len, sounds)) / rate / 3600
    measured: dict[str, list[float]] = {name: [] for name in programs}
    for extract in programs.values():
        extract(sounds[0])
    for _ in range(repeats):
        for name, extract in programs.items():
            begin = time.perf_counter()
            for samples in sounds:
                extract(samples)
            measured[name].append(hours / (time.perf_counter() - begin))
    return measured


def shares(extract: Extract, sounds: list[np.ndarray]) -> dict[str, float]:
    """Measure the share of time in each torch operation, the largest first; the rest is Python."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        for samples in sounds:
            extract(samples)
    spent = {event.key: event.self_cpu_time_total for event in profile.key_averages()}
    total = sum(spent.values())
    largest = sorted(spent.items(), key=lambda item: -item[1])[:6]
    return {name: round(value / total, 3) for name, value in largest}


def run_case(name: str, repeats: int) -> dict[str, Any]:
    options = CASES[name]
    generator = np.random.default_rng(0)
    length = SECONDS * options.sample_rate
    sounds = [(0.1 * generator.standard_normal(length)).astype(np.float32) for _ in range(SOUNDS)]
    missing = [peer for peer in PEERS if importlib.util.find_spec(peer) is None]
    programs = {"asr_topdown": this_project(options)}
    programs |= {peer: make(options) for peer, make in PEERS.items() if peer not in missing}
    own = programs["asr_topdown"](sounds[0])
    measured = rates(programs, sounds, options.sample_rate, repeats)
    medians = {program: statistics.median(values) for program, values in measured.items()}
    peers = [peer for peer in programs if peer != "asr_topdown"]
    return {
        "case": name,
        "mels": options.num_mels,
        "threads": torch.get_num_threads(),
        "repeats": repeats,
        "hours_per_second": {program: round(value, 3) for program, value in medians.items()},
        "best": {program: round(max(values), 3) for program, values in measured.items()},
        "ratio": {peer: round(medians["asr_topdown"] / medians[peer], 2) for peer in peers},
        "difference": {peer: float(np.abs(own - programs[peer](sounds[0])).max()) for peer in peers},
        "missing": missing,
        "share_of_time": shares(programs["asr_topdown"], sounds),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    for case in args.cases:
        print(json.dumps(run_case(case, args.repeats)), flush=True)


if __name__ == "__main__":
    main()
