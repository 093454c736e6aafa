"""`asr-topdown export`: a trained network as an ONNX file."""

import argparse
from pathlib import Path

HELP = "write a trained network as an ONNX file, for use without PyTorch"
EXAMPLE = """
asr-topdown export exp/a/models/joint_seed1 model.onnx
asr-topdown export exp/a/models/joint_seed1 encoder.onnx --input features --output encoder
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the model, the file, and where in the network its graph begins and ends."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="folder of a trained network")
    parser.add_argument("out", type=Path, metavar="FILE", help="the file to write")
    parser.add_argument(
        "--input",
        choices=("sound", "features"),
        default="sound",
        help="samples at the model's sampling rate, or features before normalisation (default: %(default)s)",
    )
    parser.add_argument(
        "--output",
        choices=("ctc", "encoder"),
        default="ctc",
        help="log-probabilities of the CTC output, or the encoder's output (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> None:
    """Write the file, and compare it with PyTorch if onnxruntime is installed."""
    _check_installed()
    from asr_topdown.decode.model import load_trained
    from asr_topdown.export.recognizer import Ports, largest_difference, write_onnx

    model, ports = load_trained(args.model), Ports(args.input, args.output)
    write_onnx(model, args.out, ports)
    megabytes = args.out.stat().st_size / 1e6
    print(f"{args.out}: {megabytes:.1f} MB, {args.input} in, {args.output} out")
    try:
        import onnxruntime  # noqa: F401
    except ImportError:
        print("onnxruntime is not installed: not compared with PyTorch")
        return
    rate = model.config.features.fbank.sample_rate
    sizes = [2 * rate, rate, rate // 2] if args.input == "sound" else [200, 100, 50]
    difference = largest_difference(model, args.out, ports, sizes)
    print(f"{args.out}: in onnxruntime the outputs differ by {difference:.1e} at most from PyTorch's")


def _check_installed() -> None:
    try:
        import onnx  # noqa: F401
    except ImportError:
        raise ValueError("ONNX is not installed: pip install 'asr_topdown[export]'") from None
