"""A real Slurm, started for the test: cancelled, killed and timed-out jobs still give the result."""

import functools
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from asr_topdown.engines import slurm
from asr_topdown.engines.engine_config import EngineConfig, open_engine
from asr_topdown.engines.job import Job, JobError
from asr_topdown.engines.slurm_options import SlurmOptions, parse
from asr_topdown.runs.store import Store
from asr_topdown.schedule.node import Node, Parent
from asr_topdown.schedule.protocol import Result, Step, train_all, train_one
from asr_topdown.study.driver import drive, submitter
from asr_topdown.weights import load_weights, weights_of_epoch

HERE = Path(__file__).parent
SCRIPT = HERE / "slurm_cluster.sh"
CANCELLED, KILLED, OVER_TIME = 1, 2, 3  # seeds of the joint trainings, named after what befalls them


def wanted() -> str:
    """What is missing here for a cluster; "" if nothing is."""
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    missing = [
        name for name in ("slurmctld", "slurmd", "sbatch", "munged") if not shutil.which(name, path=path)
    ]
    if missing:
        return f"no {', '.join(missing)}: apt-get install slurm-wlm munge"
    if os.getuid() != 0:
        return "starting Slurm needs root"
    try:
        import submitit  # noqa: F401
    except ImportError:
        return "no submitit: pip install 'asr_topdown[cluster]'"
    return ""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A running Slurm with four CPUs, which SLURM_CONF names."""
    if reason := wanted():
        pytest.skip(reason)
    # Not below pytest's own folder, which is root's alone: munge's socket must be reached by its user.
    folder = Path(subprocess.check_output(["mktemp", "-d"], text=True).strip())
    folder.chmod(0o755)
    subprocess.run([SCRIPT, "start", folder, "4"], check=True, timeout=60)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
        paths = [str(HERE), str(HERE.parent), str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")]
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
        patch.syspath_prepend(str(HERE))
        yield folder
        subprocess.run(["scancel", "--user", str(os.getuid())], check=False)
    subprocess.run([SCRIPT, "stop", folder], check=True, timeout=60)
    shutil.rmtree(folder, ignore_errors=True)


def test_options_are_read_from_pairs_and_files(tmp_path):
    file = tmp_path / "gpu.yaml"
    file.write_text(
        "partition: gpu\ntime: 4:00:00\ngpus: 1\nsetup:\n- module load cuda\n- nvidia-smi\nmem: 8G\n"
    )
    assert parse([str(file), "time=1-02:30,nodelist=a,b,exclusive="]) == SlurmOptions(
        time=26 * 60 + 30,
        gpus=1,
        mem="8G",
        setup=("module load cuda", "nvidia-smi"),
        sbatch={"partition": "gpu", "nodelist": "a,b", "exclusive": ""},
    )
    assert [parse([f"time={text}"]).time for text in ("90", "1:30", "1:30:00", "2-1", "2-1:1:1")] == [
        *(90, 2, 90, 2940, 2942)
    ]
    for words, message in (
        ("time=soon", "time=soon: must be minutes"),
        ("gpus=all", "gpus=all: must be a whole number"),
        ("=gpu", "must read key=value"),
        ("nowhere.yaml", "nowhere.yaml"),
    ):
        with pytest.raises((ValueError, OSError), match=message):
            parse([words])


def test_sbatchs_own_names_of_our_options_are_the_same_options():
    assert parse(["cpus-per-task=4,gpus_per_node=2"]) == SlurmOptions(cpus=4, gpus=2)
    assert parse(["cpus=2", "cpus-per-task=4", "cpus=3"]).cpus == 3
    assert parse(["mail_user=me", "mail-user=you"]).sbatch == {"mail-user": "you"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("job-name=foo", "job-name=foo: cannot be chosen: jobs are found again by their names"),
        ("job_name=foo", "job-name=foo: cannot be chosen"),
        ("signal=USR1@60", "signal=USR1@60: cannot be chosen: notice=SECONDS says"),
        ("output=x.log", "output=x.log: cannot be chosen: a job's output is in its own folder"),
        ("error=x.log", "error=x.log: cannot be chosen"),
        ("open-mode=truncate", "open-mode=truncate: cannot be chosen"),
        ("no-requeue=", "no-requeue=: cannot be chosen: .* requeues=N says how often"),
        ("array=0-3", "array=0-3: cannot be chosen"),
        ("nodes=2", "nodes=2: must be 1: a job is one process"),
        ("ntasks=2", "ntasks=2: must be 1"),
    ],
)
def test_options_that_the_engine_sets_itself_are_refused(words, message):
    with pytest.raises(ValueError, match=f"^--slurm {message}"):
        parse(["nodes=1,ntasks-per-node=1", words])


def joint_and_children(joint, children):
    """A search: a joint training, then `children` of it side by side."""
    outcome = yield from train_one(joint)
    parent = Parent(experiment=joint.experiment, node=joint.id, epoch=outcome.best_epoch)
    ways = (
        {"frozen": ("softmax",)},
        {"frozen": ("blstm.1", "softmax")},
        {"start": "keep"},
    )
    common = {"experiment": joint.experiment, "train_set": joint.train_set, "parent": parent, "patience": 0}
    nodes = [Node(**common, **way, init_seed=7, epochs=5) for way in ways[:children]]
    outcomes = yield from train_all(nodes)
    return Result(
        "joint", joint.init_seed, (Step.of(outcome),), min(outcomes, key=lambda one: one.error).node.id
    )


def wait_for(what, seconds=240):
    for _ in range(10 * seconds):  # not by the clock: a stopped test does not fail when it goes on
        if what():
            return
        time.sleep(0.1)
    raise AssertionError("it did not happen")


def lines(path):
    return path.read_text().split() if path.exists() else []


@pytest.mark.slow
def test_a_search_survives_scancel_kill_and_the_time_limit(cluster, tmp_path, capsys):
    import cluster_runs

    experiment = cluster_runs.toy_experiment(tmp_path / "data")
    joints = {seed: experiment.joint(seed) for seed in (CANCELLED, KILLED, OVER_TIME)}
    searches = [(CANCELLED, 2), (KILLED, 2), (OVER_TIME, 1)]  # 3 joint trainings and 5 children of them

    def run(store, marks, unlucky):
        marks.mkdir()
        return functools.partial(
            cluster_runs.train_watched, experiment=experiment, store=store, marks=marks, unlucky=unlucky
        )

    def job_of(node, store):
        return lines(store.node_dir(node) / "slurm" / "job")[0]

    def misfortune(marks, store):
        cancelled, killed, over_time = joints[CANCELLED], joints[KILLED], joints[OVER_TIME]
        for node in joints.values():
            wait_for(lambda node=node: len(lines(marks / f"{node.id}.steps")) >= 8)
        subprocess.run(["scancel", job_of(cancelled, store)], check=True)
        os.kill(int(lines(marks / f"{killed.id}.tries")[0]), signal.SIGKILL)
        # The shortest limit there is; `notice` before it, the job is told, and goes back to the queue.
        number = job_of(over_time, store)
        subprocess.run(["scontrol", "update", f"JobId={number}", "TimeLimit=1"], check=True)
        state = ["squeue", "--noheader", "--states=all", f"--jobs={number}", "--format=%T"]
        wait_for(lambda: "PENDING" in subprocess.check_output(state, text=True))
        subprocess.run(["scontrol", "update", f"JobId={number}", "TimeLimit=10"], check=True)

    remote, marks = Store(tmp_path / "remote"), tmp_path / "marks"
    train = run(remote, marks, True)
    evil = threading.Thread(target=misfortune, args=(marks, remote))
    evil.start()
    options = SlurmOptions(time=10, notice=45, poll=2)
    with open_engine(EngineConfig(engine="slurm", slurm=options, retries=1)) as engine:
        results = drive(
            [joint_and_children(joints[seed], children) for seed, children in searches],
            submitter(engine, train, store=remote),
            store=remote,
        )
    evil.join()
    said = capsys.readouterr().err

    here = Store(tmp_path / "here")
    with open_engine(EngineConfig(workers=0)) as engine:
        submit = submitter(engine, run(here, tmp_path / "marks_here", False), store=here)
        expected = drive(
            [joint_and_children(joints[seed], children) for seed, children in searches], submit, store=here
        )
    assert results == expected
    nodes = here.nodes()
    assert len(nodes) == 8
    for node in nodes:
        mine, theirs = here.outcome(node), remote.outcome(node)
        assert (mine.error, mine.best_epoch) == (theirs.error, theirs.best_epoch)
        apart = {"peak_memory": 0}  # another process, another peak
        assert {**mine.metrics, **apart} == {**theirs.metrics, **apart}
        left, right = (
            load_weights(weights_of_epoch(store.node_dir(node), mine.best_epoch)) for store in (here, remote)
        )
        assert left.keys() == right.keys()
        assert all(torch.equal(left[name], right[name]) for name in left)

    tries = {node.id: len(lines(marks / f"{node.id}.tries")) for node in nodes}
    assert tries == {node.id: 1 + (node in joints.values()) for node in nodes}
    steps = {seed: lines(marks / f"{joints[seed].id}.steps") for seed in joints}
    undisturbed = {seed: lines(tmp_path / "marks_here" / f"{joints[seed].id}.steps") for seed in joints}
    assert [len(set(one)) for one in undisturbed.values()] == [25, 25, 25]
    # Told to end, it saved its state at the next step: nothing was done twice.
    assert steps[CANCELLED] == undisturbed[CANCELLED]
    assert steps[OVER_TIME] == undisturbed[OVER_TIME]
    # Killed, it went on from the end of its last epoch.
    assert dict.fromkeys(steps[KILLED]) == dict.fromkeys(undisturbed[KILLED])
    assert {step[0] for step in steps[KILLED] if steps[KILLED].count(step) > 1} == {"2"}
    assert f"node {joints[CANCELLED].id}" in said
    assert "ended without a result (CANCELLED); retry 1 of 1" in said
    assert "ended without a result (FAILED); retry 1 of 1" in said
    assert said.count("retry") == 2  # the one over time came back by itself, as the same job


def jobs_ever(name_start="asr-"):
    """Numbers of all jobs that the cluster remembers."""
    command = ["squeue", "--noheader", "--states=all", "--format=%i %j"]
    listed = subprocess.check_output(command, text=True).splitlines()
    return [line.split()[0] for line in listed if line.split()[1].startswith(name_start)]


def test_a_driver_that_ends_leaves_its_jobs_and_finds_them_again(cluster, tmp_path):
    code = (
        "import functools, sys, cluster_runs\n"
        "from asr_topdown.engines.engine_config import EngineConfig, open_engine\n"
        "from asr_topdown.engines.slurm_options import SlurmOptions\n"
        "from asr_topdown.study.driver import drive, submitter\n"
        "from asr_topdown.schedule.node import Node\n"
        "from asr_topdown.schedule.protocol import Result, Step, train_one\n"
        "from asr_topdown.runs.store import Store\n"
        "def one(node):\n"
        "    outcome = yield from train_one(node)\n"
        "    return Result('joint', node.init_seed, (Step.of(outcome),), node.id)\n"
        "nodes = [Node(experiment='e', train_set='t', init_seed=s, epochs=5, patience=5) for s in range(6)]\n"
        "store = Store(sys.argv[1])\n"
        "train = functools.partial(cluster_runs.sleep_and_mark, root=sys.argv[1], seconds=6)\n"
        "with open_engine(EngineConfig(engine='slurm', slurm=SlurmOptions(poll=1))) as engine:\n"
        "    submit = submitter(engine, train, store=store)\n"
        "    print(drive([one(node) for node in nodes], submit, store=store))\n"
    )

    def start():
        pipe = subprocess.PIPE
        return subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=pipe, stderr=pipe, text=True)

    before = set(jobs_ever())
    first = start()
    wait_for(
        lambda: len(list(tmp_path.glob("nodes/*/slurm/job"))) == 6 and list(tmp_path.glob("nodes/*/trained"))
    )
    first.send_signal(signal.SIGINT)
    errors = first.communicate(timeout=30)[1]
    assert first.returncode != 0
    assert "6 jobs stay in Slurm's queue" in errors
    assert "scancel " in errors
    second = start()
    wait_for(lambda: len(list(tmp_path.glob("nodes/*/trained"))) > 2)
    second.kill()
    second.communicate()
    answer, errors = start().communicate(timeout=60)
    assert answer.count("Result(search='joint'") == 6, errors
    assert "which was submitted before" in errors
    assert len(set(jobs_ever()) - before) == 6
    assert [len(path.read_text().splitlines()) for path in tmp_path.glob("nodes/*/trained")] == [1] * 6


def test_what_goes_wrong_is_said(cluster, tmp_path):
    def fails(options, work, name):
        with open_engine(EngineConfig(engine="slurm", slurm=options)) as engine:
            error = engine.submit(Job("the job", work, tmp_path / name)).exception(timeout=60)
        assert isinstance(error, JobError)
        assert not error.lost
        return str(error)

    nowhere = SlurmOptions(poll=1, sbatch={"partition": "nowhere"})
    assert "invalid partition specified: nowhere" in fails(nowhere, os.getpid, "a")
    missing = fails(SlurmOptions(poll=1), functools.partial(open, "/nowhere/text"), "b")
    assert missing.startswith("the job: /nowhere/text: No such file or directory")


def test_a_users_other_jobs_may_have_any_name(monkeypatch, tmp_path):
    """Such as `sbatch -J 'a|b'`: one of them ended every training of a study."""
    queue = "7|RUNNING|None|asr-n\n8|PENDING|Priority|a|b\n9|PENDING|(Nodes are DOWN, DRAINED)|\n"
    asked = []

    def squeue(command, **_):
        asked.append(command[-1])
        return subprocess.CompletedProcess(command, 0, queue, "")

    monkeypatch.setattr(slurm, "_check_installed", lambda: None)
    monkeypatch.setattr(subprocess, "run", squeue)
    engine = slurm.Slurm(SlurmOptions())
    try:
        states = engine._states()
    finally:
        engine.close()
    assert states == {("7", "asr-n"): "RUNNING", ("8", "a|b"): "PENDING", ("9", ""): "PENDING"}
    assert asked == ["--format=%i|%T|%r|%j"]


def test_without_submitit_it_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    with (
        pytest.raises(ValueError, match=r"pip install 'asr_topdown\[cluster\]'"),
        open_engine(EngineConfig(engine="slurm")),
    ):
        pass
