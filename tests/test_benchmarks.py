"""The programs of benchmarks/ that run in the environments of other toolkits, which no test has."""

import ast
from pathlib import Path

import pytest

PEERS = Path(__file__).parents[1] / "benchmarks/peers"


@pytest.mark.parametrize("path", sorted(PEERS.glob("*_worker.py")), ids=lambda path: path.stem)
def test_a_contestant_inherits_what_it_does_not_define(path: Path) -> None:
    """`worker.py` calls methods that only some contestants define: the others have those of `Contestant`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    served = [
        call.args[0].func.id
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "serve"
        if isinstance(call.args[0], ast.Call) and isinstance(call.args[0].func, ast.Name)
    ]
    bases = {
        node.name: [ast.unparse(base) for base in node.bases]
        for node in tree.body
        if isinstance(node, ast.ClassDef)
    }
    assert len(served) == 1
    assert "Contestant" in bases[served[0]]
