"""Scoring a text with a trained language model: the number, reuse of the file, errors."""

import errno
import json
import math
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from asr_topdown import config as configuration
from asr_topdown.bin import main
from asr_topdown.decode import perplexity
from asr_topdown.decode.model import load_trained
from asr_topdown.decode.perplexity import score_text
from asr_topdown.runs.experiment import Experiment
from asr_topdown.runs.run_node import run_node
from asr_topdown.runs.store import Store
from asr_topdown.text.word_vocabulary import WordVocabulary


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The experiment folder of one network, trained for an epoch; its text is beside it."""
    root = tmp_path_factory.mktemp("lm")
    (root / "text.txt").write_text("a b c d\n" * 40)
    WordVocabulary.build([root / "text.txt"]).save(root / "words.txt")
    optimizer = {"name": "nt_asgd", "lr": 1}
    config = configuration.parse(
        {
            "model": {"kind": "awd_lstm", "num_layers": 1, "embedding_size": 4},
            "language_model": {"batch": 4, "dev_batch": 1, "test_batch": 1, "bptt": 7},
            "train": {"epochs": 1, "metric": "loss", "optimizer": optimizer},
        }
    )
    experiment = Experiment(config, root / "text.txt", root / "text.txt", root / "words.txt")
    run_node(experiment.joint(1), experiment, Store(root / "exp"))
    return root / "exp"


@pytest.fixture
def node(trained: Path) -> Path:
    (folder,) = (trained / "nodes").iterdir()
    return folder


def test_a_text_in_as_many_columns_as_the_dev_text_has_its_perplexity(
    trained: Path, node: Path, tmp_path: Path
) -> None:
    outcome = Store(trained).outcome(Store(trained).nodes()[0])
    assert outcome is not None
    found = score_text(node, trained.parent / "text.txt", tmp_path / "result.json")
    assert found["loss"] == pytest.approx(outcome.metrics["dev_loss"], abs=1e-9)
    assert found["ppl"] == pytest.approx(math.exp(found["loss"]))
    assert (found["words"], found["columns"]) == (200, 1)


def test_a_perplexity_beyond_all_numbers_is_written_as_json_has_numbers(
    trained: Path, node: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that diverged: a loss of 1,000 nats has a perplexity that is no double."""
    monkeypatch.setattr(perplexity, "span_losses", lambda *_: torch.tensor([2e5]))
    found = score_text(node, trained.parent / "text.txt", tmp_path / "result.json")
    assert (found["loss"], found["ppl"]) == (1000.0, math.exp(700))
    text = (tmp_path / "result.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail)["ppl"] == math.exp(700)


def test_a_gpu_is_told_not_to_round(
    trained: Path, node: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PyTorch by default lets it round in LSTMs, and training does not."""
    told: list[tuple[object, ...]] = []
    monkeypatch.setattr("asr_topdown.decode.perplexity.set_tf32", lambda *asked: told.append(asked))
    score_text(node, trained.parent / "text.txt", tmp_path / "result.json")
    assert told == [("float32", torch.device("cpu"))]


def test_it_is_computed_once(
    trained: Path, node: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = score_text(node, trained.parent / "text.txt", tmp_path / "result.json")
    monkeypatch.setattr("asr_topdown.decode.perplexity.load_best", lambda *args: pytest.fail("again"))
    assert score_text(node, trained.parent / "text.txt", tmp_path / "result.json") == first


@pytest.mark.parametrize("damaged", ["", "[]", '{"model":', "null"])
def test_a_damaged_result_is_computed_again(trained: Path, node: Path, tmp_path: Path, damaged: str) -> None:
    target = tmp_path / "result.json"
    first = score_text(node, trained.parent / "text.txt", target)
    target.write_text(damaged)
    again = score_text(node, trained.parent / "text.txt", target)
    assert again["loss"] == first["loss"]
    assert json.loads(target.read_text()) == again


def test_killed_before_its_result_it_leaves_none_of_another_text(
    trained: Path,
    node: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    leave_half: Callable[[Path], None],
) -> None:
    (tmp_path / "other.txt").write_text("d c b a\n" * 30)
    first = score_text(node, trained.parent / "text.txt", tmp_path / "result.json")
    spans = (tmp_path / "spans.json").read_text()
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", _interrupted_at_the_result)
        with pytest.raises(KeyboardInterrupt):
            score_text(node, tmp_path / "other.txt", tmp_path / "result.json")
    leave_half(tmp_path / "spans.json")
    again = score_text(node, trained.parent / "text.txt", tmp_path / "result.json")
    assert again["loss"] == first["loss"]
    assert (tmp_path / "spans.json").read_text() == spans
    assert not list(tmp_path.glob(".*"))


def _interrupted_at_the_result(source: Path, path: Path) -> None:
    if path.name == "result.json":
        raise KeyboardInterrupt
    source.rename(path)


def test_a_full_disk_leaves_the_result_of_the_other_text(
    trained: Path, node: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other.txt").write_text("d c b a\n" * 30)
    first = score_text(node, trained.parent / "text.txt", tmp_path / "result.json")
    spans = (tmp_path / "spans.json").read_text()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", _full)
        with pytest.raises(OSError, match=r"cannot write .*spans\.json: No space left on device"):
            score_text(node, tmp_path / "other.txt", tmp_path / "result.json")
    assert json.loads((tmp_path / "result.json").read_text()) == first
    assert (tmp_path / "spans.json").read_text() == spans


def _full(handle: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_the_command_prints_a_table(trained: Path, node: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["score", str(trained.parent / "text.txt"), "--exp", str(trained)]) == 0
    assert f"| `{node.name}` |" in capsys.readouterr().out
    assert (trained / "decode" / node.name / "text" / "result.json").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a b\nc e d\n", "new.txt:2: the word 'e' is not in the vocabulary"),
        ("", "new.txt: the file is empty"),
        ("a\n", "new.txt: 2 words are too few for 1 columns"),
    ],
)
def test_bad_texts_are_one_line(
    trained: Path, tmp_path: Path, content: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "new.txt").write_text(content)
    assert main.main(["score", str(tmp_path / "new.txt"), "--exp", str(trained)]) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert line.endswith(message)


def test_a_language_model_recognises_no_speech(node: Path) -> None:
    with pytest.raises(ValueError, match="a language model, which cannot recognise speech"):
        load_trained(node)
