import functools
import os
import random
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from pathlib import Path

import fake_runs as runs
import pytest
from fake_runs import local, one, searches

from asr_topdown.engines.job import last_lines
from asr_topdown.runs.store import Store
from asr_topdown.schedule.node import Node
from asr_topdown.schedule.protocol import Request
from asr_topdown.study import driver
from asr_topdown.study.driver import SearchError, drive

HERE = Path(__file__).parent
BLOCKS = (("blstm.0",), ("blstm.1",), ("blstm.2",), ("softmax",))


def joint(seed=1):
    return Node(experiment="e", train_set="t", init_seed=seed, epochs=50, patience=5)


class Shuffled:
    """An engine that finishes its nodes in a random order, from a thread, and counts them."""

    def __init__(self, run, seed):
        self.run, self.random = run, random.Random(seed)
        self.asked = []
        self.pending = []
        self.guard = threading.Lock()
        self.over = False
        self.thread = threading.Thread(target=self._finish)

    def __call__(self, node):
        future = Future()
        with self.guard:
            self.asked.append(node)
            self.pending.append((future, node))
        return future

    def _finish(self):
        while not self.over:
            time.sleep(0.0005)
            with self.guard:
                if not self.pending:
                    continue
                future, node = self.pending.pop(self.random.randrange(len(self.pending)))
            try:
                future.set_result(self.run(node))
            except ValueError as error:
                future.set_exception(error)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *error):
        self.over = True
        self.thread.join()


def test_results_do_not_depend_on_the_order_in_which_nodes_finish():
    joints = [joint(seed) for seed in (1, 2, 3)]
    with local(runs.instant, 0) as submit:
        expected = drive(searches(joints, BLOCKS), submit)
    assert [result.search for result in expected[:3]] == ["greedy"] * 3
    distinct = {step.node for result in expected for step in result.steps}
    for seed in range(20):
        with Shuffled(runs.instant, seed) as submit:
            assert drive(searches(joints, BLOCKS), submit) == expected
            ids = [node.id for node in submit.asked]
            assert sorted(ids) == sorted(distinct)  # each once, though up to four searches ask for a joint


def test_a_search_waits_for_its_own_nodes_only():
    """While one seed's joint training hangs, the other seed's search ends."""
    release, released, ended = threading.Event(), [], []

    def answer(future, node):
        released.append(release.wait(10))
        future.set_result(runs.outcome(node))

    def submit(node):
        future = Future()
        if node.init_seed == 1:
            threading.Thread(target=answer, args=(future, node)).start()
        else:
            future.set_result(runs.outcome(node, 0.5))
        return future

    def watched(search):
        result = yield from search
        ended.append(result.seed)
        release.set()
        return result

    drive([*searches([joint(1)], BLOCKS, "greedy"), watched(*searches([joint(2)], BLOCKS, "greedy"))], submit)
    assert ended == [2]
    assert released == [True]


def test_a_failed_node_ends_the_searches_that_need_it_and_no_other(capsys):
    for workers in (0, 2):
        asked = [one(joint(1)), one(joint(2)), *searches([joint(2)], BLOCKS, "greedy"), one(joint(3))]
        with local(runs.fail_on_seed_2, workers) as submit, pytest.raises(SearchError) as caught:
            drive(asked, submit)
        lines = str(caught.value).splitlines()
        assert lines[0] == "2 of 4 searches could not finish; all finished nodes are kept"
        what = f"node {joint(2).id} (all layers from scratch, seed 2)"
        assert lines[1] == f"{what}: data/train: utt7 is too short"
        assert len(lines) == 2  # the node is named once, though two searches needed it
        assert [result.seed for result in caught.value.results] == [1, 3]
        assert "Traceback" not in capsys.readouterr().err


def test_a_search_that_cannot_go_on_from_its_outcomes_ends_no_other():
    def refusing(node):
        outcome = (yield Request((node,)))[0]
        raise ValueError(f"seed {node.init_seed} ended after epoch {outcome.epochs}")

    with local(runs.instant, 0) as submit, pytest.raises(SearchError) as caught:
        drive([refusing(joint(1)), refusing(joint(1)), one(joint(2)), one(joint(1))], submit)
    epochs = runs.outcome(joint(1)).epochs
    assert str(caught.value).splitlines() == [
        "2 of 4 searches could not finish; all finished nodes are kept",
        f"seed 1 ended after epoch {epochs}",
    ]
    assert [result.seed for result in caught.value.results] == [2, 1]


def test_a_bug_is_named_with_its_kind_and_its_traceback_is_in_the_log(tmp_path, capsys):
    with local(runs.bug_on_seed_2, 0) as submit, pytest.raises(SearchError, match="KeyError: 'softmax'"):
        drive([one(joint(2))], submit)
    assert "Traceback" in capsys.readouterr().err
    store = Store(tmp_path)
    with local(runs.bug_on_seed_2, 2, store=store) as submit, pytest.raises(SearchError) as caught:
        drive([one(joint(2)), one(joint(1))], submit, store=store)
    log = store.log(joint(2))
    assert "Traceback" in log.read_text()
    assert f"{log} ends with:" in str(caught.value)
    assert str(caught.value).splitlines()[-1] == "KeyError: 'softmax'"


def test_a_killed_worker_takes_no_other_with_it(tmp_path, capsys):
    store = Store(tmp_path)
    with local(runs.die_on_seed_2, 2, store=store) as submit, pytest.raises(SearchError) as caught:
        drive([one(joint(seed)) for seed in range(1, 5)], submit, store=store)
    message = str(caught.value)
    assert [result.seed for result in caught.value.results] == [1, 3, 4]
    assert (
        f"node {joint(2).id} (all layers from scratch, seed 2): its process was killed by SIGKILL" in message
    )
    assert f"{store.log(joint(2))} ends with:\ntraining seed 2" in message
    assert store.log(joint(3)).read_text() == "training seed 3\n"
    progress = capsys.readouterr().err
    assert f"{joint(3).id} all layers from scratch, seed 3: dev error" in progress
    assert "[4 of 4 known]" in progress


def test_a_killed_node_is_tried_again_a_set_number_of_times(tmp_path, capsys):
    run = functools.partial(runs.die_twice, root=tmp_path)
    with local(run, 2, retries=2) as submit:
        (result,) = drive([one(joint(1))], submit)
    assert result.final == joint(1).id
    assert (tmp_path / "1.tries").read_text() == "xxx"
    name = f"node {joint(1).id} (all layers from scratch, seed 1)"
    killed = f"{name}: its process was killed by SIGKILL (out of memory?); retry"
    said = capsys.readouterr().err.splitlines()
    assert said[:2] == [f"{killed} 1 of 2", f"{killed} 2 of 2"]
    with (
        local(run, 2, retries=1) as submit,
        pytest.raises(SearchError, match=r"\(tried 2 times\)") as caught,
    ):
        drive([one(joint(2)), one(joint(3))], submit)
    assert len(str(caught.value).splitlines()) == 3
    assert (tmp_path / "2.tries").read_text() == "xx"


def test_only_what_may_end_well_is_tried_again(tmp_path):
    with local(functools.partial(runs.fail_with, root=tmp_path), 2, retries=2) as submit:
        futures = [submit(joint(seed)) for seed in range(1, 7)]
        errors = [future.exception() for future in futures]
    tries = [len((tmp_path / f"{seed}.tries").read_text()) for seed in range(1, 7)]
    assert tries == [1, 1, 1, 3, 3, 1]
    assert [error.lost for error in errors] == [False, False, False, True, True, False]


def test_running_nodes_show_the_last_line_of_their_log(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(driver, "_HEARTBEAT_SECONDS", 0.1)
    store = Store(tmp_path)
    with local(runs.log_and_dawdle, 2, store=store) as submit:
        drive([one(joint(1))], submit, store=store)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == f"{joint(1).id} epoch 2:  60%"  # once, though several beats passed
    assert lines[1].startswith("[1 of 1 known]")
    assert len(lines) == 2


def test_last_lines_splits_progress_bars_and_reads_only_the_end(tmp_path):
    log = tmp_path / "log"
    assert last_lines(log, 5) == ""
    log.write_bytes(b"x" * 20_000 + b"\none\n\n  \ntwo\r50%\r100%\n\xff\n")
    assert last_lines(log, 4) == "two\n50%\n100%\n\N{REPLACEMENT CHARACTER}"
    assert len(last_lines(log, 99)) < 8192 + 10


def test_a_worker_that_leaves_without_a_word_is_reported():
    with local(runs.leave_on_seed_2, 2) as submit, pytest.raises(SearchError, match="exit status 7"):
        drive([one(joint(2))], submit)


def test_workers_have_one_thread_and_a_gpu_each(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,3")
    with local(runs.tell_environment, 2, gpus=2) as submit:
        found = [submit(joint(seed)) for seed in range(1, 5)]
        metrics = [future.result().metrics for future in found]
    assert {values["threads"] for values in metrics} == {1.0}
    assert {values["gpu"] for values in metrics} == {5.0, 3.0}
    assert os.environ["OMP_NUM_THREADS"] == "8"


def test_finished_nodes_answer_from_disk(tmp_path, capsys):
    """A replayed study submits nothing; one with a missing node submits just that."""
    store = Store(tmp_path)
    joints = [joint(1), joint(2)]
    with local(functools.partial(runs.train_once, root=tmp_path), 0, store=store) as submit:
        first = drive(searches(joints, BLOCKS), submit, store=store)

    def refuse(node):
        raise AssertionError(f"{node.id} is finished")

    assert drive(searches(joints, BLOCKS), refuse, store=store) == first
    assert "from disk" in capsys.readouterr().err

    gone = first[0].steps[-1].node
    (store.node_dir(gone) / "done.json").unlink()
    asked = []

    def count(node):
        asked.append(node.id)
        future = Future()
        future.set_result(runs.outcome(node))
        return future

    assert drive(searches(joints, BLOCKS), count, store=store) == first
    assert asked == [gone]


def test_a_damaged_node_fails_its_search_only(tmp_path):
    store = Store(tmp_path)
    store.finish(runs.outcome(joint(1)))
    (store.node_dir(joint(1)) / "done.json").write_text('{"err')
    with local(runs.instant, 0) as submit, pytest.raises(SearchError, match=r"done\.json: damaged") as caught:
        drive([one(joint(1)), one(joint(2))], submit, store=store)
    assert [result.seed for result in caught.value.results] == [2]


def test_two_drivers_on_one_store_do_no_work_twice(tmp_path):
    """Two programs run the same study at the same time; every node is trained by one of them."""
    code = (
        "import functools, sys\n"
        f"sys.path.insert(0, {str(HERE)!r})\n"
        "import fake_runs\n"
        "from fake_runs import local, searches\n"
        "from asr_topdown.study.driver import drive\n"
        "from asr_topdown.schedule.node import Node\n"
        "from asr_topdown.runs.store import Store\n"
        "joints = [Node(experiment='e', train_set='t', init_seed=s, epochs=50, patience=5) for s in (1, 2)]\n"
        "store = Store(sys.argv[1])\n"
        "with local(functools.partial(fake_runs.train_once, root=sys.argv[1]), 0, store=store) as submit:\n"
        "    print(drive(searches(joints, [('a',), ('b',), ('c',)]), submit, store=store))\n"
    )
    pipe = subprocess.PIPE
    programs = [
        subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=pipe, stderr=pipe, text=True)
        for _ in range(2)
    ]
    answers = [program.communicate(timeout=60) for program in programs]
    assert [program.returncode for program in programs] == [0, 0], answers
    assert answers[0][0] == answers[1][0]
    marks = [path.read_text().split() for path in tmp_path.glob("nodes/*/trained")]
    assert len(marks) == len(Store(tmp_path).nodes()) >= 2 * 5
    assert all(len(mark) == 1 for mark in marks)


def _is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _pids(folder, count):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        written = [path.read_text() for path in folder.glob("*.pid")]
        if len([text for text in written if text]) == count:
            return [int(text) for text in written]
        time.sleep(0.02)
    raise AssertionError("the workers did not start")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize("how", ["SIGINT", "SIGKILL"])
def test_workers_end_with_their_parent(tmp_path, how):
    """Ctrl-C stops the workers; and a killed parent leaves none behind."""
    import signal

    code = (
        "import dataclasses, functools, pathlib, sys\n"
        f"sys.path.insert(0, {str(HERE)!r})\n"
        "import fake_runs\n"
        "from asr_topdown.study.driver import drive\n"
        "from asr_topdown.schedule.node import Node\n"
        "one = Node(experiment='e', train_set='t', init_seed=1, epochs=50, patience=5)\n"
        "joints = [dataclasses.replace(one, init_seed=seed) for seed in (1, 2, 3)]\n"
        "run = functools.partial(fake_runs.sleep_long, folder=pathlib.Path(sys.argv[1]))\n"
        "with fake_runs.local(run, 2) as submit:\n"
        "    drive([fake_runs.one(joint) for joint in joints], submit)\n"
    )
    program = subprocess.Popen([sys.executable, "-c", code, tmp_path], stderr=subprocess.PIPE, text=True)
    pids = _pids(tmp_path, 2)
    program.send_signal(getattr(signal, how))
    _, errors = program.communicate(timeout=20)
    assert program.returncode != 0
    deadline = time.monotonic() + 10
    while any(map(_is_running, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(map(_is_running, pids))
    if how == "SIGINT":
        assert errors.strip().splitlines()[-1] == "KeyboardInterrupt"
    assert len(list(tmp_path.glob("*.pid"))) == 2  # the queued third node never began
