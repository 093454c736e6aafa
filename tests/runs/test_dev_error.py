"""The deciding error is the dev set's, decoded as configured."""

import json
from pathlib import Path

import networks
import pytest
from toy_data import write_data

from asr_topdown import config as configuration
from asr_topdown.bin import main
from asr_topdown.engines.lock import held
from asr_topdown.runs.dev_error import decoder_of
from asr_topdown.runs.experiment import Experiment
from asr_topdown.runs.run_node import run_node
from asr_topdown.runs.store import Store
from asr_topdown.schedule.node import Outcome
from asr_topdown.text import Vocabulary
from asr_topdown.train.checkpoint import CheckpointPair
from asr_topdown.train.speech_task import SpeechTask
from asr_topdown.weights import weights_of_epoch

BEAM = {"method": "prefix_beam", "beam": 4}


def experiment(root: Path, *, unit: str = "char", **sections: dict[str, object]) -> Experiment:
    if not root.exists():
        write_data(root / "train", 30, 1, noise=1.2)
        write_data(root / "dev", 10, 2, noise=1.2)
    tokens = root / f"{unit}.txt"
    text = {"unit": unit, **({"vocab_size": 8} if unit == "bpe" else {})}
    lines = [line.split()[1] for line in (root / "train" / "text").read_text().splitlines()]
    Vocabulary.build(lines, unit, text.get("vocab_size", 0)).save(tokens)
    values = {
        "features": {"fbank": {"num_mels": 4}},
        "text": text,
        "model": networks.blstm_ctc(1, 12),
        **sections,
        "train": {
            "epochs": 4,
            "patience": 0,
            "metric": "loss",
            "frames_per_batch": 100,
            "optimizer": {"lr": 0.02},
            **sections.get("train", {}),
        },
    }
    return Experiment(configuration.parse(values), root / "train", root / "dev", tokens)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("made") / "data"


def decoded(store: Store, outcome: Outcome, here: Experiment) -> dict[str, float]:
    """The output of the command `decode` for the dev set."""
    out = store.root / "decoded"
    model = store.node_dir(outcome.node)
    assert main.main(["decode", str(here.dev), "--model", str(model), "--out", str(out)]) == 0
    result = json.loads((out / "dev" / "result.json").read_text())
    assert result["decoder"] == outcome.decoder
    return result


@pytest.mark.parametrize(
    ("unit", "sections"),
    [
        ("char", {}),
        ("char", {"decode": BEAM}),
        ("char", {"decode": {"nlsyms": ["b"]}}),
        ("bpe", {}),
        ("char", {"train": {"average": {"last": 2}}}),
    ],
    ids=["greedy", "beam", "nlsyms", "pieces", "average"],
)
def test_the_error_is_what_the_command_decode_finds(
    data: Path, tmp_path: Path, unit: str, sections: dict[str, dict[str, object]]
) -> None:
    here, store = experiment(data, unit=unit, **sections), Store(tmp_path)
    outcome = run_node(here.joint(1), here, store)
    found = decoded(store, outcome, here)
    assert outcome.metrics["dev_cer"] == pytest.approx(found["cer"], abs=1e-12)
    assert outcome.metrics["dev_wer"] == pytest.approx(found["wer"], abs=1e-12)
    assert outcome.error == outcome.metrics["dev_wer" if unit == "bpe" else "dev_cer"]
    assert 0 < outcome.metrics["dev_cer"] < 1


def test_what_was_measured_and_what_it_cost(data: Path, tmp_path: Path) -> None:
    here = experiment(data)
    outcome = run_node(here.joint(1), here, Store(tmp_path))
    trainable = sum(one.numel() for one in here.fresh_model(1).parameters())
    assert outcome.metrics["trainable_parameters"] == trainable
    assert outcome.seconds_per_epoch == outcome.seconds / 4
    assert 50e6 < outcome.metrics["peak_memory"] < 8e9
    assert outcome.metrics["dev_greedy_cer"] == outcome.metrics["dev_cer"]  # decode: greedy
    assert set(outcome.metrics) == {
        "dev_loss", "dev_greedy_cer", "dev_cer", "dev_wer", "trainable_parameters", "peak_memory",
        "lowest_loss_epoch",
    }  # fmt: skip


def test_another_decoder_decodes_the_dev_set_again_and_trains_nothing(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    greedy, beam = experiment(data), experiment(data, decode=BEAM)
    assert greedy.joint(1) == beam.joint(1)
    node = greedy.joint(1)
    first = run_node(node, greedy, Store(tmp_path))
    assert Store(tmp_path, decoder=decoder_of(greedy)).answer(node) == first
    with_beam = Store(tmp_path, decoder=decoder_of(beam))
    assert with_beam.answer(node) is None  # its error is not known yet
    monkeypatch.setattr(SpeechTask, "load", lambda *args: pytest.fail("trained again"))
    second = run_node(node, beam, with_beam)
    assert with_beam.answer(node) == second
    assert second.decoder != first.decoder
    own = ("dev_cer", "dev_wer")
    assert {**first.metrics, **{name: second.metrics[name] for name in own}} == second.metrics
    assert (second.best_epoch, second.epochs, second.seconds) == (
        first.best_epoch,
        first.epochs,
        first.seconds,
    )


def test_what_a_process_that_was_killed_after_done_json_left_is_tidied_up(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, store = experiment(data), Store(tmp_path)
    outcome = run_node(here.joint(1), here, store)
    folder = store.node_dir(outcome.node)
    before = {path.name for path in folder.iterdir()}
    (folder / "lease").write_text("of a process that is gone")
    CheckpointPair(folder).save({"progress": {}})
    (folder / ".last.pt.host-1.abc.tmp").write_text("half")
    weights_of_epoch(folder, 99).touch()
    answers = Store(tmp_path, decoder=decoder_of(here))
    assert answers.answer(outcome.node) is None
    monkeypatch.setattr(SpeechTask, "load", lambda *args: pytest.fail("trained again"))
    monkeypatch.setattr("asr_topdown.engines.lock.STALE_SECONDS", 0.0)
    assert run_node(outcome.node, here, answers) == outcome
    assert {path.name for path in folder.iterdir()} == before
    assert answers.answer(outcome.node) == outcome


def test_decoding_again_leaves_the_epochs_that_another_study_kept(data: Path, tmp_path: Path) -> None:
    """The later one keeps only the best, but it trained nothing here."""
    here, later = experiment(data, run={"keep_epochs": "all"}), experiment(data, decode=BEAM)
    store = Store(tmp_path)
    outcome = run_node(here.joint(1), here, store)
    folder = store.node_dir(outcome.node)
    kept = {f"epoch-{epoch}.safetensors" for epoch in range(1, outcome.epochs + 1)}
    assert {path.name for path in folder.glob("*.safetensors")} == kept
    assert run_node(later.joint(1), later, store).decoder == decoder_of(later)
    assert {path.name for path in folder.glob("*.safetensors")} == kept


def test_while_a_process_is_at_a_node_it_does_not_answer(data: Path, tmp_path: Path) -> None:
    here, store = experiment(data), Store(tmp_path)
    outcome = run_node(here.joint(1), here, store)
    with held(store.node_dir(outcome.node), "node"):
        assert store.answer(outcome.node) is None
    assert store.answer(outcome.node) == outcome


def test_the_network_that_is_decoded_is_the_one_that_is_kept(data: Path, tmp_path: Path) -> None:
    """A damaged weights file gives an error, not a dev error."""
    here, store = experiment(data), Store(tmp_path)
    outcome = run_node(here.joint(1), here, store)
    weights = weights_of_epoch(store.node_dir(outcome.node), outcome.best_epoch)
    weights.write_bytes(weights.read_bytes()[:100])
    again = experiment(data, decode=BEAM)
    with pytest.raises(ValueError, match=r"safetensors: truncated or corrupt weights"):
        run_node(again.joint(1), again, store)
    assert store.outcome(outcome.node) == outcome
