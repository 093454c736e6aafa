import dataclasses
import json
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from asr_topdown.engines.alone import alone_in
from asr_topdown.files import write_json
from asr_topdown.runs.store import Store
from asr_topdown.schedule.greedy import GreedyPoint
from asr_topdown.schedule.node import Node, Outcome, Parent
from asr_topdown.schedule.protocol import Result, Step
from asr_topdown.schedule.results import result_to_json

JOINT = Node(experiment="e", train_set="t", init_seed=1, epochs=50, patience=5)
STEP = dataclasses.replace(
    JOINT, parent=Parent(experiment="e", node=JOINT.id, epoch=3), frozen=("softmax",), init_seed=1_000_001
)


def outcome(node=JOINT):
    return Outcome(
        node=node,
        error=0.25,
        best_epoch=3,
        epochs=8,
        seconds=2.5,
        metrics={"dev_cer": 0.25, "dev_loss": 31.5},
    )


def test_an_outcome_survives_the_disk(tmp_path):
    store = Store(tmp_path / "exp")
    assert store.outcome(JOINT) is None
    assert store.nodes() == []
    store.start(JOINT)
    assert store.outcome(JOINT) is None  # started is not finished
    store.finish(outcome())
    store.finish(outcome(STEP))
    again = Store(str(tmp_path / "exp"))
    assert again.outcome(JOINT) == outcome()
    assert again.outcome(STEP) == outcome(STEP)
    assert sorted(again.nodes(), key=lambda node: node.init_seed) == [JOINT, STEP]
    assert again.node(STEP.id) == STEP
    assert json.loads((again.node_dir(JOINT) / "done.json").read_text())["best_epoch"] == 3


@pytest.mark.parametrize("size", [0, 1, 20, 60])
def test_truncated_done_json_is_one_clear_line(tmp_path, size):
    store = Store(tmp_path)
    store.finish(outcome())
    path = store.node_dir(JOINT) / "done.json"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ValueError, match=r"done\.json: damaged .*delete it to train again$") as caught:
        store.outcome(JOINT)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    path.unlink()
    assert store.outcome(JOINT) is None


@pytest.mark.parametrize("content", ["[]", "{}", '{"error": "low"}', '{"errors": 1}', "\xff"])
def test_done_json_of_something_else_is_one_clear_line(tmp_path, content):
    store = Store(tmp_path)
    store.finish(outcome())
    (store.node_dir(JOINT) / "done.json").write_text(content, encoding="latin-1")
    with pytest.raises(ValueError, match=r"done\.json: damaged") as caught:
        store.outcome(JOINT)
    assert "\n" not in str(caught.value)


def test_a_folder_that_holds_another_node_is_refused(tmp_path):
    store = Store(tmp_path)
    store.finish(outcome())
    path = store.node_dir(JOINT) / "node.json"
    path.write_text(json.dumps(STEP.to_json()))
    for ask in (store.outcome, store.start, lambda node: store.node(node.id)):
        with pytest.raises(ValueError, match=r"node\.json: holds"):
            ask(JOINT)
    path.write_text("{")
    with pytest.raises(ValueError, match=r"node\.json: damaged"):
        store.nodes()


@pytest.mark.parametrize("content", ["", "{", None])
def test_a_node_json_that_a_crash_has_damaged_is_written_again(content, tmp_path, caplog):
    """Deleting the folder, the only way out before, would have cost the training."""
    store = Store(tmp_path)
    store.finish(outcome())
    path = store.node_dir(JOINT) / "node.json"
    whole = path.read_text()
    for ask in (store.outcome, store.start):
        if content is None:
            path.unlink()
        else:
            path.write_text(content)
        ask(JOINT)
        assert path.read_text() == whole
    assert store.outcome(JOINT) == outcome()
    reason = f"{path}: No such file or directory" if content is None else f"{path}: damaged ("
    said = [record.getMessage() for record in caplog.records]
    assert said[0].startswith(reason)
    assert len(said) == (1 if content is None else 2)


def test_weights_that_are_gone_are_told(tmp_path, caplog):
    """A study whose networks had been removed was read from disk without a word."""
    store = Store(tmp_path)
    store.finish(outcome())
    folder = store.node_dir(JOINT)
    assert store.answer(JOINT) == outcome()
    assert caplog.messages == [f"{folder}: its weights are gone; delete its done.json to train it again"]
    (folder / "epoch-3.safetensors").touch()
    assert store.answer(JOINT) == outcome()
    assert len(caplog.messages) == 1


def test_done_json_is_written_last(tmp_path, monkeypatch):
    """A full disk leaves an unfinished node, never a finished one without its node.json."""
    store = Store(tmp_path)
    from asr_topdown.runs import store as module

    def full(path, value):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_json", full)
    with pytest.raises(OSError, match="No space"):
        store.finish(outcome())
    monkeypatch.undo()
    assert store.outcome(JOINT) is None
    assert store.nodes() == []


def test_the_lock_lets_one_in_at_a_time(tmp_path, capsys):
    store = Store(tmp_path)
    inside, most = [], []

    def work():
        with Store(tmp_path).lock(JOINT) as folder:
            assert folder == store.node_dir(JOINT)
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.02)
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 5
    assert f"node {JOINT.id}: another process has it, waiting" in capsys.readouterr().err


def test_a_parent_that_is_trained_here_at_this_moment_is_taken_from_the_source(tmp_path):
    source, store = Store(tmp_path / "source"), Store(tmp_path / "exp", sources=[tmp_path / "source"])
    source.finish(outcome())
    assert store.parent_dir(JOINT.id) == source.node_dir(JOINT)
    store.start(JOINT)
    assert store.parent_dir(JOINT.id) == source.node_dir(JOINT)
    store.finish(outcome())
    assert store.parent_dir(JOINT.id) == store.node_dir(JOINT)
    assert store.parent_dir("nowhere") == store.node_dir("nowhere")


def test_locks_of_different_nodes_are_independent(tmp_path):
    entered = threading.Event()

    def work():
        with Store(tmp_path).lock(STEP):
            entered.set()

    with Store(tmp_path).lock(JOINT):
        threading.Thread(target=work, daemon=True).start()
        assert entered.wait(30)  # rather than hang, if they were not


def test_a_killed_process_leaves_no_lock(tmp_path):
    code = (
        "import sys, time\n"
        "from asr_topdown.schedule.node import Node\nfrom asr_topdown.runs.store import Store\n"
        "node = Node(experiment='e', train_set='t', init_seed=1, epochs=50, patience=5)\n"
        "with Store(sys.argv[1]).lock(node):\n"
        "    print('held', flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        holder.send_signal(signal.SIGKILL)
    taken = threading.Event()

    def work():
        with Store(tmp_path).lock(JOINT):
            taken.set()

    threading.Thread(target=work, daemon=True).start()
    assert taken.wait(30)  # and does not wait until the lease is stale, 120 s


def test_results_round_trip(tmp_path):
    store = Store(tmp_path)
    steps = (Step(JOINT.id, 0.25, True), Step(STEP.id, 0.3, False, GreedyPoint((1, 4))))
    results = [Result("greedy", 1, steps, JOINT.id), Result("keep", 1, steps[:1], JOINT.id)]
    assert store.save_results("greedy", results) == tmp_path / "results" / "greedy.json"
    assert store.load_results("greedy") == results
    store.save_results("v1.2-b", results[:1])
    assert store.tags() == ["greedy", "v1.2-b"]
    with pytest.raises(FileNotFoundError, match=r"study\.json: no such results; there are greedy, v1\.2-b"):
        store.load_results("study")


def test_results_of_another_study_under_the_same_tag_are_kept(tmp_path, caplog):
    store = Store(tmp_path)
    joint = Result("greedy", 1, (Step(JOINT.id, 0.25, True),), JOINT.id)
    more = Result("keep", 1, (*joint.steps, Step(STEP.id, 0.3, True)), STEP.id)
    store.save_results("study", [joint])
    store.save_results("study", [joint, more])  # the same study with one more control: replaced
    assert not (tmp_path / "results" / "replaced").exists()
    other = Result("greedy", 1, (Step("0" * 16, 0.2, True),), "0" * 16)
    store.save_results("study", [other])
    (kept,) = (tmp_path / "results" / "replaced").iterdir()
    assert str(kept) in caplog.text
    assert store.tags() == ["study"]
    assert store.load_results("study") == [other]
    kept.rename(tmp_path / "results" / "earlier.json")
    assert store.load_results("earlier") == [joint, more]


def test_of_two_studies_with_one_tag_that_end_together_none_is_lost(tmp_path):
    store = Store(tmp_path)
    one, other = (Result(name, 1, (Step(JOINT.id, 0.25, True),), JOINT.id) for name in ("greedy", "keep"))
    with ThreadPoolExecutor() as threads:
        with alone_in(tmp_path / "results"):  # as another process that is writing its own
            second = threads.submit(store.save_results, "study", [other])
            time.sleep(0.2)
            write_json(
                tmp_path / "results" / "study.json", {"tag": "study", "searches": [result_to_json(one)]}
            )
        second.result()
    assert store.load_results("study") == [other]
    (kept,) = (tmp_path / "results" / "replaced").iterdir()
    kept.rename(tmp_path / "results" / "earlier.json")
    assert store.load_results("earlier") == [one]


def test_results_that_lack_a_search_are_of_another_study_although_no_network_is_missing(tmp_path):
    store = Store(tmp_path)
    steps = (Step(JOINT.id, 0.25, True), Step(STEP.id, 0.3, True))
    greedy, keep, none = (Result(name, 1, steps, STEP.id) for name in ("greedy", "keep", "none"))
    store.save_results("study", [greedy, keep])
    store.save_results("study", [greedy, none])
    (kept,) = (tmp_path / "results" / "replaced").iterdir()
    kept.rename(tmp_path / "results" / "earlier.json")
    assert store.load_results("earlier") == [greedy, keep]
    store.save_results("study", [greedy, none, keep])
    assert not list((tmp_path / "results" / "replaced").iterdir())


def test_what_could_not_finish_replaces_nothing_that_has_more(tmp_path):
    store = Store(tmp_path)
    joint = Result("greedy", 1, (Step(JOINT.id, 0.25, True),), JOINT.id)
    keep = Result("keep", 1, joint.steps, JOINT.id)  # of the same networks
    more = Result("greedy", 2, (Step(STEP.id, 0.3, True),), STEP.id)
    assert store.save_unfinished("study", []) is None
    assert not store.tags()
    path = store.save_unfinished("study", [joint])
    assert path == store.save_results("study", [joint, keep])
    for fewer in ([], [joint], [joint, more], [keep, more]):
        assert store.save_unfinished("study", fewer) is None
        assert store.load_results("study") == [joint, keep]
    assert store.save_unfinished("study", [joint, more, keep]) == path
    assert store.load_results("study") == [joint, more, keep]
    path.write_text("")
    assert store.save_unfinished("study", [joint]) == path


@pytest.mark.parametrize("tag", ["", "../x", "a/b", ".hidden", "a b"])
def test_a_tag_is_a_file_name(tmp_path, tag):
    with pytest.raises(ValueError, match="tag"):
        Store(tmp_path).save_results(tag, [])


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"searches": [{"search": "greedy"}]}', '{"searches": 3}']
)
def test_damaged_results_are_one_clear_line(tmp_path, content):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "a.json").write_text(content)
    with pytest.raises(ValueError, match=r"results/a\.json") as caught:
        Store(tmp_path).load_results("a")
    assert "\n" not in str(caught.value)
