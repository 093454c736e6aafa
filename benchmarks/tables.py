"""Markdown tables from the JSON lines of `train_step.py`, `decode.py` and `gpu.sh`.

python benchmarks/train_step.py … >> lines.jsonl
python benchmarks/tables.py lines.jsonl
"""

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

Line = dict[str, Any]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Format a table; columns whose heading ends in a colon are right-aligned."""
    rule = ["--:" if name.endswith(":") else ":--" for name in head]
    lines = [[name.removesuffix(":") for name in head], rule, *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def training(lines: Sequence[Line]) -> str:
    """Format the table of seconds per step."""
    head = ["model", "lengths", "ours:", "ours bf16:", "ESPnet:", "SpeechBrain:"]
    head += ["times faster:", "bf16:", "of matrix rate:", "bf16:"]
    rows = []
    for line in lines:
        names = ["ours float32", "ours bfloat16", "espnet float32", "speechbrain float32"]
        rows.append(
            [
                f"`{line['model']}`",
                line["lengths"],
                *(_seconds(line, name) for name in names),
                *(_number(line["times_faster"].get(name)) for name in names[:2]),
                *(
                    _number(line.get("share_of_matrix_rate", {}).get(name))
                    for name in ("float32", "bfloat16")
                ),
            ]
        )
    return table(head, rows)


def decoding(lines: Sequence[Line]) -> str:
    """Format the table of seconds per utterance."""
    head = ["model", "batch:", "ours:", "ours bf16:", "ESPnet:", "SpeechBrain:", "times faster:"]
    names = ["ours float32", "ours bfloat16", "espnet float32", "speechbrain float32"]
    rows = [
        [
            f"`{line['model']}`",
            str(line["batch"]),
            *(_seconds(line, name) for name in names),
            _number(line["times_faster"].get("ours float32")),
        ]
        for line in lines
    ]
    return table(head, rows)


def steps(lines: Sequence[Line]) -> str:
    """Format the table of the steps of `gpu.sh` and their results."""
    rows = []
    for line in lines:
        went = "done" if line["rc"] == 0 else f"failed ({line['rc']})"
        rows.append([line["step"], went, str(line["seconds"]), line["says"]])
    return table(["step", "", "seconds:", "last line"], rows)


def _seconds(line: Line, name: str) -> str:
    if name not in line["contestants"]:
        return "–"
    return f"{line['contestants'][name]['seconds']:.3g}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def page(lines: Sequence[Line]) -> str:
    """Format all tables for which there are lines."""
    blocks = []
    machines = [line["machine"] for line in lines if "machine" in line]
    blocks += [f"Machine: {machine}" for machine in machines]
    for heading, key, make in (
        ("Training step, seconds", "lengths", training),
        ("Joint beam search, seconds per utterance", "batch", decoding),
        ("Steps", "step", steps),
    ):
        chosen = [line for line in lines if key in line]
        if chosen:
            blocks += [f"### {heading}", make(chosen)]
    return "\n\n".join(blocks) + "\n"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", type=Path)
    lines = [
        json.loads(line)
        for file in parser.parse_args().files
        for line in file.read_text(encoding="utf-8").splitlines()
    ]
    print(page(lines), end="")


if __name__ == "__main__":
    main()
