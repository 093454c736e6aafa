"""The frame around the stages (utils/*.sh), with a stand-in for `asr-topdown` that only makes the outputs."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from asr_topdown import config
from asr_topdown.engines import slurm_options

RECIPES = ("prompts", "fsdd", "an4")

# Makes what the stages promise and writes each call to `calls`; FAIL=<command> makes one fail.
STAND_IN = """#!/usr/bin/env bash
echo "$1" >>calls
echo "output of $1"
if [[ $1 == "$(cat fail 2>/dev/null)" ]]; then echo "asr-topdown $1: error: no luck" >&2; exit 1; fi
data=$(dirname "$(find data -name log)") exp=$(find exp -name log 2>/dev/null | xargs -r dirname)
mkdir -p "$data"/{train,dev,test}
case $1 in
    prepare) touch "$data"/{train,dev,test}/{wav.scp,text,utt2spk} ;;
    features) touch "$data"/{train,dev,test}/feats.scp ;;
    tokens) touch "$data/tokens.txt" ;;
    train) mkdir -p "$exp/nodes" ;;
    topdown) mkdir -p "$exp/results" && touch "$exp/results/study.json" ;;
    decode) mkdir -p "$exp/decode" ;;
    report) mkdir -p "$exp/report" && touch "$exp/report/report.html" ;;
esac
"""
ALL = ["prepare", "validate", "features", "tokens", "train", "topdown", "decode", "score", "report"]


@pytest.fixture
def stand_in(copy: Path) -> Path:
    (copy / "bin" / "asr-topdown").write_text(STAND_IN)
    return copy


def calls(copy: Path, recipe: str) -> list[str]:
    """The commands that were called since the last time that one asked."""
    path = copy / "egs" / recipe / "calls"
    names = path.read_text().split() if path.exists() else []
    path.unlink(missing_ok=True)
    return names


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_finished_stage_passes_on(recipe, stand_in, run_recipe):
    first = run_recipe(recipe)
    assert first.returncode == 0, first.stdout
    assert calls(stand_in, recipe) == ALL
    second = run_recipe(recipe)
    assert second.returncode == 0
    assert calls(stand_in, recipe) == ["score"]  # its table is there to be read
    assert second.stdout.count("up to date") == len(ALL) - 1


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_stage_runs_again_when_its_inputs_change(recipe, stand_in, run_recipe):
    run_recipe(recipe)
    calls(stand_in, recipe)
    shared = stand_in / "conf" / "train" / "adam.yaml"
    shared.write_text(shared.read_text() + "# changed\n")  # included by the recipe's configuration
    run_recipe(recipe)
    assert calls(stand_in, recipe) == ["features", "tokens", "train", "topdown", "decode", "score"]
    text = next((stand_in / "egs" / recipe / "data").rglob("dev/text"))
    text.write_text("a b\n")
    run_recipe(recipe)
    assert calls(stand_in, recipe) == ["validate", "train", "topdown", "score"]


def test_stages_can_be_chosen_and_outputs_are_looked_for(stand_in, run_recipe):
    run_recipe("prompts")
    calls(stand_in, "prompts")
    (stand_in / "egs/prompts/data/tokens.txt").unlink()
    assert run_recipe("prompts", "--stage", "1", "--stop_stage=2").returncode == 0
    assert calls(stand_in, "prompts") == ["tokens"]


def test_a_failing_stage_shows_its_log_and_how_to_run_it_again(stand_in, run_recipe):
    (stand_in / "egs/prompts/fail").write_text("features")
    failed = run_recipe("prompts", "--tag", "my run")
    assert failed.returncode == 1
    assert calls(stand_in, "prompts") == ["prepare", "validate", "features"]
    assert "stage 1 · features: FAILED with exit code 1" in failed.stdout
    assert "   | asr-topdown features: error: no luck" in failed.stdout
    again = failed.stdout.splitlines()[-1].partition("run this stage again: ")[2]
    assert again.endswith("egs/prompts/run.sh --tag my\\ run --stage 1 --stop-stage 1")

    (stand_in / "egs/prompts/fail").unlink()
    path = f"{stand_in / 'bin'}:/usr/bin:/bin"
    done = subprocess.run(["bash", "-c", again], env={"PATH": path}, capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done.stderr
    assert calls(stand_in, "prompts") == ["features"]


def test_a_missing_input_is_named(stand_in, run_recipe):
    failed = run_recipe("prompts", "--stage", "2")
    assert failed.returncode == 1
    assert "stage 2 · tokens: error: data/train/text is not there" in failed.stdout
    assert calls(stand_in, "prompts") == []


def test_ctrl_c_says_how_to_go_on(stand_in):
    command = stand_in / "bin" / "asr-topdown"
    waiting = "train) trap 'kill $!; exit 130' INT; touch ready; sleep 20 & wait"
    command.write_text(STAND_IN.replace('train) mkdir -p "$exp/nodes"', waiting))
    recipe = stand_in / "egs" / "prompts"
    process = subprocess.Popen(
        [str(recipe / "run.sh")],
        env={"PATH": f"{stand_in / 'bin'}:/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # a terminal sends Ctrl-C to every process of the group
    )
    for _ in range(200):
        if (recipe / "ready").exists():
            break
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    shown, _ = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "stage 3 · train: interrupted" in shown
    assert shown.rstrip().endswith("egs/prompts/run.sh --stage 3 --stop-stage 3")


def test_a_missing_output_is_a_failure(stand_in, run_recipe):
    command = stand_in / "bin" / "asr-topdown"
    command.write_text(STAND_IN.replace("tokens) touch", "tokens) true"))
    failed = run_recipe("prompts")
    assert failed.returncode == 1
    assert "   | the command succeeded but data/tokens.txt is not there" in failed.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--stgae", "1"], "unknown option --stgae"),
        (["--stage", "one"], "--stage one: must be a whole number"),
        (["--nj=many"], "--nj many: must be a whole number"),
        (["--tag"], "--tag needs a value"),
        (["prompts"], "unexpected argument prompts"),
        (["--path", "/tmp"], "unknown option --path"),
    ],
)
def test_wrong_options_are_errors(options, message, stand_in, run_recipe):
    done = run_recipe("prompts", *options)
    assert done.returncode == 2
    assert message in done.stdout
    assert calls(stand_in, "prompts") == []


@pytest.mark.parametrize("recipe", RECIPES)
def test_help_shows_every_option_with_its_default(recipe, copy, run_recipe):
    done = run_recipe(recipe, "--help")
    assert done.returncode == 0
    shown = re.findall(r"^  --([a-z0-9-]+) .*\[(.*)\]$", done.stdout, re.MULTILINE)
    assert dict(shown).items() >= {"stage": "0", "stop-stage": "7", "ngpu": "0", "seeds": "1"}.items()
    assert {"nj", "config", "tag", recipe} <= dict(shown).keys()


def test_paths_are_meant_from_where_one_stands(stand_in, run_recipe, tmp_path):
    (tmp_path / "sounds").mkdir()
    done = run_recipe("prompts", "--prompts", "sounds", "--stop-stage", "0", cwd=tmp_path)
    assert done.returncode == 0
    assert f"--prompts {tmp_path}/sounds" in done.stdout


def test_without_the_package_one_line_says_what_to_do(copy, tmp_path):
    run = copy / "egs" / "prompts" / "run.sh"
    done = subprocess.run(["bash", str(run)], env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.strip() == f"asr-topdown is not installed: run {copy}/tools/install.sh first"


@pytest.mark.parametrize("recipe", RECIPES)
def test_recipes_fit_on_a_screen(recipe, repository):
    assert len((repository / "egs" / recipe / "run.sh").read_text().splitlines()) <= 66


def test_every_configuration_loads(repository):
    found = [*repository.glob("conf/*/*.yaml"), *repository.glob("egs/*/conf/*.yaml")]
    engines = [path for path in found if path.parent.name == "engine"]
    assert len(found) >= 10
    for path in engines:
        slurm_options.parse([str(path)])
    for path in set(found) - set(engines):
        config.load(path)
