"""The scripts around the stages (utils/*.sh), with a stand-in for `asr-topdown` that makes the outputs."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from asr_topdown import config
from asr_topdown.engines import slurm_options

RECIPES = ("prompts", "fsdd", "an4")

# Makes what the stages promise and writes each call to `calls`; FAIL=<command> makes one fail.
STAND_IN = """#!/usr/bin/env bash
if [[ $1 == config ]]; then echo "$(cksum <"$2" | cut -d' ' -f1)"; exit; fi
echo "$*" >>calls
echo "output of $1"
if [[ $1 == "$(cat fail 2>/dev/null)" ]]; then echo "asr-topdown $1: error: no luck" >&2; exit 1; fi
after() { local word=$1; shift; while (($#)); do [[ $1 != "$word" ]] || echo "$2"; shift; done; }
out=$(after --out "$@") exp=$(after --exp "$@")
case $1 in
    prepare) mkdir -p "$out"/{train,dev,test}; touch "$out"/{train,dev,test}/{wav.scp,text,utt2spk} ;;
    features) mkdir -p "$out"/{train,dev,test} ;;
    tokens) mkdir -p "${out%/*}"; touch "$out" ;;
    topdown | train) mkdir -p "$exp/results" ;;
    decode) mkdir -p "$exp/decode" ;;
esac
"""
EVERYTHING = [
    *("prepare", "validate", "features", "tokens", "topdown", "topdown", "decode", "score", "report"),
]


@pytest.fixture
def stand_in(copy: Path) -> Path:
    (copy / "bin" / "asr-topdown").write_text(STAND_IN)
    return copy


def calls(copy: Path, recipe: str) -> list[str]:
    """The commands called since the previous call."""
    return [words[0] for words in full_calls(copy, recipe)]


def full_calls(copy: Path, recipe: str) -> list[list[str]]:
    path = copy / "egs" / recipe / "calls"
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return [line.split() for line in lines]


@pytest.mark.parametrize("recipe", RECIPES)
def test_all_stages_in_order_and_the_data_but_once(recipe, stand_in, run_recipe):
    first = run_recipe(recipe)
    assert first.returncode == 0, first.stdout
    assert calls(stand_in, recipe) == EVERYTHING
    second = run_recipe(recipe)
    assert second.returncode == 0
    # The commands of the later stages know themselves what is done; preparing has no such memory.
    assert calls(stand_in, recipe) == EVERYTHING[1:]
    assert second.stdout.count("up to date") == 1


def test_the_demo_is_two_studies_of_two_languages_in_one_folder(stand_in, run_recipe):
    done = run_recipe("prompts", "--seeds", "4", script="demo.sh")
    assert done.returncode == 0, done.stdout
    made = full_calls(stand_in, "prompts")
    half = ["prepare", "validate", "features", "tokens", "topdown", "decode", "score"]
    assert [call[0] for call in made] == [*half, *half, "report"]
    english, french = (" ".join(call) for call in made if call[0] == "topdown")
    for call, name, data in ((english, "english", "data"), (french, "french", "data/fr")):
        assert f" --train {data}/features-" in call
        assert " --exp exp/demo --device cpu --set schedule.seeds=[4] " in f"{call} "
        assert call.endswith(f"--results {name}")
    assert "--set schedule.source=english" in french
    assert "schedule.source" not in english
    assert "--language fr" in " ".join(made[7])
    assert done.stdout.splitlines()[-1] == "== the report: egs/prompts/exp/demo/report/report.html"


def test_a_language_has_its_own_data_and_results(stand_in, run_recipe):
    assert run_recipe("prompts", "--language", "it", "--stop-stage", "4").returncode == 0
    made = [" ".join(call) for call in full_calls(stand_in, "prompts")]
    assert "--language it --out data/it --downloads downloads" in made[0]
    assert " --exp exp/blstm_ctc_it " in made[-1]
    refused = run_recipe("prompts", "--language", "de")
    assert (refused.returncode, "--language de: must be en, es, fr, it or ru" in refused.stdout) == (2, True)


def test_the_data_are_prepared_again_when_they_or_the_command_change(stand_in, run_recipe, tmp_path):
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    (sounds / "a.wav").write_text("a")
    for changed in (
        lambda: None,
        lambda: (sounds / "a.wav").write_text("ab"),
        lambda: (sounds / "b").touch(),
    ):
        changed()
        for expected in (["prepare", "validate"], ["validate"]):
            assert run_recipe("prompts", "--prompts", str(sounds), "--stop-stage", "0").returncode == 0
            assert calls(stand_in, "prompts") == expected
    (tmp_path / "others").mkdir()
    assert run_recipe("prompts", "--prompts", str(tmp_path / "others"), "--stop-stage", "0").returncode == 0
    assert calls(stand_in, "prompts") == ["prepare", "validate"]


def test_the_data_are_prepared_again_when_the_recipes_own_script_is_edited(stand_in, run_recipe, tmp_path):
    """A copy of yesno kept the data of the original, with the new local/data.sh never run."""
    (tmp_path / "sounds").mkdir()
    script = stand_in / "egs" / "yesno" / "local" / "data.sh"
    sets = [f"data/{name}/text" for name in ("train", "dev", "test")]
    for said in ("one corpus", "another"):
        lines = [
            "#!/bin/sh",
            "mkdir -p data/train data/dev data/test",
            f"touch {' '.join(sets)}",
            f"echo {said}",
        ]
        script.write_text("\n".join(lines))
        for begins, ends in ((said, "== stage 0 · data: done in"), ("== stage 0 · data: up to date", "")):
            done = run_recipe("yesno", "--yesno", str(tmp_path / "sounds"), "--stop-stage", "0")
            assert done.returncode == 0, done.stdout
            assert f"\n{begins}" in f"\n{done.stdout}"
            assert ends in done.stdout


def test_the_data_are_prepared_again_when_they_change_while_they_are_prepared(stand_in, run_recipe, tmp_path):
    """The record was of what was there in the end, which nobody had read."""
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    (sounds / "1.txt").write_text("one")
    script = stand_in / "bin" / "asr-topdown"
    script.write_text(STAND_IN.replace("prepare) mkdir", f"prepare) echo two words > {sounds}/1.txt; mkdir"))
    for expected in (["prepare", "validate"], ["prepare", "validate"]):
        assert run_recipe("prompts", "--prompts", str(sounds), "--stop-stage", "0").returncode == 0
        assert calls(stand_in, "prompts") == expected
        script.write_text(STAND_IN)
    assert run_recipe("prompts", "--prompts", str(sounds), "--stop-stage", "0").returncode == 0
    assert calls(stand_in, "prompts") == ["validate"]


def test_a_transcript_of_equal_length_within_the_same_minute_is_a_change(stand_in, run_recipe, tmp_path):
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    for said, seconds in (("one", 1_700_000_001), ("two", 1_700_000_002)):
        (sounds / "1.txt").write_text(said)
        os.utime(sounds / "1.txt", (seconds, seconds))
        for expected in (["prepare", "validate"], ["validate"]):
            assert run_recipe("prompts", "--prompts", str(sounds), "--stop-stage", "0").returncode == 0
            assert calls(stand_in, "prompts") == expected


def test_two_scripts_at_once_prepare_the_data_but_once(stand_in, run_recipe):
    (stand_in / "bin" / "asr-topdown").write_text(
        STAND_IN.replace("prepare) mkdir", "prepare) sleep 2; mkdir")
    )
    with ThreadPoolExecutor() as threads:
        first, second = threads.map(
            lambda tag: run_recipe("prompts", "--tag", tag, "--stop-stage", "1"), "ab"
        )
    assert (first.returncode, second.returncode) == (0, 0), first.stdout + second.stdout
    assert sorted(calls(stand_in, "prompts")) == ["features", "features", "prepare", "validate", "validate"]
    waited = first if "waiting" in first.stdout else second
    assert waited.stdout.splitlines()[0] == "== stage 0 · data: another script is in it; waiting for its end"
    assert "== stage 0 · data: up to date" in waited.stdout.splitlines()[1]


def test_two_configurations_share_neither_features_nor_tokens_nor_results(stand_in, run_recipe):
    other = stand_in / "egs/prompts/conf/other.yaml"
    other.write_text("features: {fbank: {num_mels: 23}}\n")
    places = []
    for options in ([], ["--config", "conf/other.yaml"]):
        assert run_recipe("prompts", *options).returncode == 0
        made = {call[0]: call for call in full_calls(stand_in, "prompts")}
        after = {name: made[name][made[name].index("--out") + 1] for name in ("features", "tokens")}
        places.append({*after.values(), made["topdown"][made["topdown"].index("--exp") + 1]})
        assert after["features"] + "/train" in made["topdown"]
        assert after["tokens"] in made["topdown"]
        assert after["features"] + "/test" in made["decode"]
        assert after["features"] + "/test" in made["score"]
    assert not places[0] & places[1]
    assert {"exp/blstm_ctc", "exp/other"} <= places[0] | places[1]


def test_settings_pass_through_and_processes_reach_decoding(stand_in, run_recipe):
    settings = ["--set", "train.epochs=2", "--set=schedule.controls=[]"]
    assert run_recipe("prompts", *settings, "--nj", "3", "--seeds", "4,5").returncode == 0
    made = full_calls(stand_in, "prompts")
    for name in ("features", "tokens", "topdown", "decode"):
        for call in (call for call in made if call[0] == name):
            assert " --set train.epochs=2 --set schedule.controls=[] " in f"{' '.join(call)} "
    joint, study = (" ".join(call) for call in made if call[0] == "topdown")
    assert joint.endswith("--results study --search joint")
    assert study.endswith("--results study")
    for words in (joint, study):
        assert "--set schedule.seeds=[4,5]" in words
        assert "--workers 3" in words
    for name in ("features", "decode"):
        assert "--nj 3" in next(" ".join(call) for call in made if call[0] == name)


def test_options_of_a_study_reach_its_joint_trainings_which_stay_joint(stand_in, run_recipe):
    """A second study of a folder relinks no network of the first, and stage 3 is never another search."""
    options = ["--results", "other", "--topdown-args", "--retries 3\n\t--search greedy --results x\n"]
    assert run_recipe("prompts", *options, "--stop-stage", "4").returncode == 0
    joint, study = (" ".join(call) for call in full_calls(stand_in, "prompts") if call[0] == "topdown")
    assert joint.endswith(" --retries 3 --search greedy --results x --results other --search joint")
    assert study.endswith(" --retries 3 --search greedy --results x --results other")


def test_links_to_features_and_tokens_lead_there_although_exp_is_elsewhere(stand_in, run_recipe, tmp_path):
    recipe = stand_in / "egs" / "prompts"
    (tmp_path / "large" / "disk").mkdir(parents=True)
    (recipe / "exp").symlink_to(tmp_path / "large" / "disk")
    assert run_recipe("prompts", "--stop-stage", "3").returncode == 0
    exp = recipe / "exp" / "blstm_ctc"
    (features,), (tokens,) = recipe.glob("data/features-*"), recipe.glob("data/tokens-*/tokens.txt")
    assert (exp / "features").resolve(strict=True) == features.resolve()
    assert (exp / "tokens.txt").resolve(strict=True) == tokens.resolve()


def test_parts_of_the_training_set(stand_in, run_recipe):
    """--subset and --joint-data: section 3 of the paper, on any corpus."""
    options = ["--subset", "unseen", "--joint-data", "p10,p50", "--percents", "10\n 50", "--stop-stage", "4"]
    (stand_in / "bin" / "asr-topdown").write_text(
        STAND_IN.replace("esac", 'data) mkdir -p "$out"/train_{p10,p50,unseen} ;;\nesac')
    )
    assert run_recipe("prompts", *options).returncode == 0
    made = {call[0]: " ".join(call) for call in full_calls(stand_in, "prompts")}
    (features,) = re.findall(r"--out (\S+)", made["features"])
    assert made["data"] == f"data nested {features}/train --percent 10 50 --out {features}/parts_10_50"
    parts = f"{features}/parts_10_50/train"
    assert f"--train {parts}_unseen --dev {features}/dev " in made["topdown"]
    assert made["topdown"].endswith(f" --joint-data {parts}_p10 {parts}_p50 --results study")
    assert "--exp exp/blstm_ctc_unseen " in made["topdown"]


def test_a_sweep_over_parts_as_well(stand_in, run_recipe):
    """--sweep-parts: training uses the whole, and the sweep gets the parts."""
    (stand_in / "bin" / "asr-topdown").write_text(
        STAND_IN.replace("esac", 'data) mkdir -p "$out"/train_{p10,p50,unseen} ;;\nesac')
    )
    options = ["--sweep-parts", "p10,p50", "--percents", "10 50", "--stop-stage", "4"]
    assert run_recipe("prompts", *options).returncode == 0
    made = {call[0]: " ".join(call) for call in full_calls(stand_in, "prompts")}
    (features,) = re.findall(r"--out (\S+)", made["features"])
    parts = f"{features}/parts_10_50/train"
    assert f"--train {features}/train --dev {features}/dev " in made["topdown"]
    assert made["topdown"].endswith(f" --parts {parts}_p10 {parts}_p50 --results study")
    assert "--exp exp/blstm_ctc " in made["topdown"]


def test_stages_can_be_chosen(stand_in, run_recipe):
    run_recipe("prompts")
    calls(stand_in, "prompts")
    assert run_recipe("prompts", "--stage", "1", "--stop_stage=2").returncode == 0
    assert calls(stand_in, "prompts") == ["features", "tokens"]


@pytest.mark.parametrize(("first", "last"), [("9", "7"), ("3", "2"), ("8", "9")])
def test_that_nothing_was_done_is_an_error(first, last, stand_in, run_recipe):
    done = run_recipe("prompts", "--stage", first, "--stop-stage", last)
    assert done.returncode == 2
    (shown,) = done.stdout.splitlines()  # and nothing of a report
    assert shown.endswith(f"error: nothing was done: there is no stage from {first} to {last}")


def test_a_failing_stage_shows_its_log_and_how_to_run_it_again(stand_in, run_recipe):
    (stand_in / "egs/prompts/fail").write_text("features")
    failed = run_recipe("prompts", "--tag", "my run", "--stage", "1", "--stop-stage=3", "--stage", "0")
    assert failed.returncode == 1
    assert calls(stand_in, "prompts") == ["prepare", "validate", "features"]
    assert "stage 1 · features: FAILED with exit code 1. The end of egs/prompts/data/log" in failed.stdout
    assert "   | asr-topdown features: error: no luck" in failed.stdout
    again = failed.stdout.splitlines()[-1].partition("run this stage again: ")[2]
    assert again == "egs/prompts/run.sh --tag 'my run' --stage 1 --stop-stage 1"

    (stand_in / "egs/prompts/fail").unlink()
    path = f"{stand_in / 'bin'}:/usr/bin:/bin"
    done = subprocess.run(
        ["bash", "-c", again], env={"PATH": path}, capture_output=True, text=True, cwd=stand_in
    )
    assert done.returncode == 0, done.stderr
    assert calls(stand_in, "prompts") == ["features"]


def test_a_missing_input_is_named(stand_in, run_recipe):
    failed = run_recipe("prompts", "--stage", "2")
    assert failed.returncode == 1
    assert "stage 2 · tokens: error: data/train/text is missing; run the earlier stages" in failed.stdout
    assert calls(stand_in, "prompts") == []


def test_before_the_first_stage_there_is_none_to_run(stand_in, run_recipe):
    failed = run_recipe("prompts", "--prompts", "nowhere")
    assert failed.returncode == 1
    assert failed.stdout == "== stage 0 · data: error: nowhere: no such file or folder\n"
    assert calls(stand_in, "prompts") == []


def test_a_log_that_cannot_be_written_is_said_and_no_older_one_shown(stand_in, run_recipe):
    recipe = stand_in / "egs" / "prompts"
    assert run_recipe("prompts").returncode == 0
    calls(stand_in, "prompts")
    (logs,) = (recipe / "exp").glob("*/log")
    (logs / "5_decode.log").unlink()
    (logs / "5_decode.log").mkdir()  # root may write to whatever is a file
    done = run_recipe("prompts", "--stage", "5", "--stop-stage", "5")
    assert done.returncode == 0, done.stdout
    said = "== egs/prompts/exp/blstm_ctc/log/5_decode.log cannot be written: what follows is not saved"
    assert done.stdout.splitlines()[1:3] == [said, "output of decode"]
    (recipe / "fail").write_text("decode")
    failed = run_recipe("prompts", "--stage", "5", "--stop-stage", "5")
    assert failed.returncode == 1
    assert failed.stdout.splitlines()[1:5] == [
        said,
        "output of decode",
        "asr-topdown decode: error: no luck",
        "== stage 5 · decode: FAILED with exit code 1.",
    ]


def test_a_stage_that_cannot_be_noted_as_done_is_done_again(stand_in, run_recipe):
    logs = stand_in / "egs" / "prompts" / "data" / "log"
    # A folder where the note should be: root may write to whatever is a file.
    (stand_in / "bin" / "rm").write_text('#!/bin/sh\nmkdir -p "$2"\n')
    (stand_in / "bin" / "rm").chmod(0o755)
    done = run_recipe("prompts", "--stop-stage", "0")
    assert done.returncode == 0, done.stdout
    said = "== egs/prompts/data/log/0_data.done cannot be written: this stage will be done again"
    assert said in done.stdout.splitlines()
    (stand_in / "bin" / "rm").unlink()
    shutil.rmtree(logs)
    calls(stand_in, "prompts")
    assert run_recipe("prompts", "--stop-stage", "0").returncode == 0
    assert calls(stand_in, "prompts") == ["prepare", "validate"]


def test_a_wrong_configuration_stops_before_the_first_stage(copy, run_recipe):
    done = run_recipe("prompts", "--set", "train.epoch=1")
    assert done.returncode == 1
    (line,) = done.stdout.splitlines()
    assert "train.epochs" in line
    assert not (copy / "egs/prompts/data").exists()


@contextlib.contextmanager
def training_begun(stand_in: Path, *script: str) -> Iterator["subprocess.Popen[str]"]:
    """A run of the prompts' recipe in its training, which on signal N takes a while and ends with 128 + N."""
    command = stand_in / "bin" / "asr-topdown"
    end = "kill $!; sleep 0.3; echo saved; exit"
    traps = "; ".join(f"trap '{end} {128 + number}' {number}" for number in (1, 2, 15))
    waiting = f"topdown | train) {traps}; sleep 20 & touch ready; wait"
    command.write_text(STAND_IN.replace('topdown | train) mkdir -p "$exp/results"', waiting))
    recipe = stand_in / "egs" / "prompts"
    process = subprocess.Popen(
        script or ["./run.sh"],
        cwd=recipe,
        env={"PATH": f"{stand_in / 'bin'}:/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # a terminal sends Ctrl-C to every process of the group
    )
    for _ in range(600):
        if (recipe / "ready").exists():
            break
        time.sleep(0.05)
    yield process
    with contextlib.suppress(ProcessLookupError):  # whatever is left over
        os.killpg(process.pid, signal.SIGKILL)


def test_ctrl_c_says_how_to_go_on(stand_in):
    with training_begun(stand_in) as process:
        os.killpg(process.pid, signal.SIGINT)
        shown, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stage 3 · joint: interrupted. The end of exp/blstm_ctc/log/3_joint.log:" in shown
    assert "saved" in shown
    assert shown.rstrip().endswith("again: ./run.sh --stage 3 --stop-stage 3")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("script", [["./run.sh"], ["./demo.sh", "--stage", "0", "--stop-stage", "4"]])
@pytest.mark.usefixtures("heard_hangups")
def test_a_request_to_end_reaches_the_command_which_is_waited_for(number, script, stand_in):
    with training_begun(stand_in, *script) as process:
        process.send_signal(number)  # to the script alone
        shown, _ = process.communicate(timeout=60)
        with pytest.raises(ProcessLookupError):  # nothing of it still runs
            os.killpg(process.pid, 0)
    assert process.returncode == 128 + number
    said = [line for line in shown.splitlines() if not line.startswith("   |")]
    passed_on = said.index(f"== {number.name}: passed on to what is running; waiting for its end")
    assert said.index("saved") > passed_on
    assert (
        f"· {'joint' if script == ['./run.sh'] else 'topdown'}: stopped by {number.name}. The end of "
        in shown
    )
    assert "run.sh" in said[-1]


def test_a_missing_output_is_a_failure(stand_in, run_recipe):
    command = stand_in / "bin" / "asr-topdown"
    command.write_text(STAND_IN.replace("{wav.scp,text,utt2spk}", "wav.scp"))
    failed = run_recipe("prompts")
    assert failed.returncode == 1
    assert "   | the command succeeded but data/train/text is missing" in failed.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--stgae", "1"], "unknown option --stgae"),
        (["--stage", "one"], "--stage one: must be a whole number"),
        (["--stage", "1+1"], "--stage 1+1: must be a whole number"),
        (["--nj=many"], "--nj many: must be a whole number"),
        (["--nj", "0"], "--nj 0: must be at least 1"),
        (["--tag"], "--tag needs a value"),
        (["--tag", "--stage", "3"], "--tag needs a value"),
        (["prompts"], "unexpected argument prompts"),
        (["--path", "/tmp"], "unknown option --path"),
        (["--caller=/tmp"], "unknown option --caller"),  # a variable of the scripts, and no option
        (["--s.*e", "1"], "unknown option --s.*e"),
        (["--stage[$(touch hacked)]", "1"], "unknown option --stage[$(touch hacked)]"),
        (["--=1"], "unknown option --"),
        (["--set", "train.epochs"], "--set train.epochs: must read KEY=VALUE"),
        (["--tag", "../../x"], "--tag ../../x: must be a name without /"),
        (["--tag", ".."], "--tag ..: must be a name without /"),
        (["--results=a/b"], "--results a/b: must be a name without /"),
    ],
)
def test_wrong_options_are_errors(options, message, stand_in, run_recipe):
    done = run_recipe("prompts", *options)
    assert done.returncode == 2
    (line,) = done.stdout.splitlines()
    assert f"error: {message}" in line
    assert calls(stand_in, "prompts") == []
    assert not list(stand_in.rglob("hacked"))


def test_percents_without_a_subset_are_an_error(stand_in, run_recipe):
    done = run_recipe("prompts", "--percents", "10 20", "--stage", "1")
    assert done.returncode == 2
    message = "--percents 10 20: has no effect without --subset, --joint-data or --sweep-parts"
    assert message in done.stdout.splitlines()[-1]
    assert calls(stand_in, "prompts") == []


def test_a_number_with_a_zero_before_it_is_no_octal_one(stand_in, run_recipe):
    run_recipe("prompts")
    calls(stand_in, "prompts")
    assert run_recipe("prompts", "--stage", "07", "--stop-stage", "008").returncode == 0
    assert calls(stand_in, "prompts") == ["report"]


@pytest.mark.parametrize("recipe", RECIPES)
def test_help_shows_every_option_with_its_default(recipe, copy, run_recipe):
    done = run_recipe(recipe, "--help")
    assert done.returncode == 0
    shown = re.findall(r"^  --([a-z0-9-]+) .*\[(.*)\]$", done.stdout, re.MULTILINE)
    assert len(dict(shown)) == len(shown)
    assert dict(shown).items() >= {"stage": "0", "stop-stage": "7", "ngpu": "0", "results": "study"}.items()
    assert {"nj", "config", "tag", "set", "seeds", recipe} <= dict(shown).keys()


def test_processes_by_default_are_those_that_the_machine_has(copy, run_recipe):
    """run_recipe sets OMP_NUM_THREADS=1, which nproc would take for the answer."""
    done = run_recipe("prompts", "--help")
    assert f"[{len(os.sched_getaffinity(0))}]" in next(
        line for line in done.stdout.splitlines() if line.startswith("  --nj ")
    )


def test_paths_are_meant_from_where_one_stands(stand_in, run_recipe, tmp_path):
    (tmp_path / "sounds").mkdir()
    done = run_recipe("prompts", "--prompts", "sounds", cwd=tmp_path)
    assert done.returncode == 0
    assert f"--prompts {tmp_path}/sounds" in done.stdout
    report = stand_in / "egs/prompts/exp/blstm_ctc/report/report.html"
    assert done.stdout.splitlines()[-1] == f"== the report: {report.relative_to(tmp_path)}"
    (tmp_path / "-n").mkdir()  # no option of the programs that get it
    done = run_recipe("prompts", "--prompts", "-n", "--stop-stage", "0", cwd=tmp_path)
    assert f"--prompts {tmp_path}/./-n" in done.stdout
    elsewhere = run_recipe("prompts", "--stage", "7", cwd=stand_in / "bin")
    assert elsewhere.stdout.splitlines()[-1] == f"== the report: {report}"


def test_without_the_package_one_line_says_what_to_do(copy, tmp_path):
    run = copy / "egs" / "prompts" / "run.sh"
    install = copy / "tools" / "install.sh"
    for advice in (
        "activate the environment that has it, or pip install asr_topdown",
        f"run {install} first",
    ):
        done = subprocess.run(
            ["bash", str(run)], env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True
        )
        assert done.returncode == 1
        assert done.stderr.strip() == f"asr-topdown is not on the PATH: {advice}"
        install.parent.mkdir(exist_ok=True)  # a checkout has it, what a wheel lays out has not
        install.touch(mode=0o755)


def test_recipes_fit_on_a_screen(repository):
    for path in repository.glob("egs/*/run.sh"):
        assert len(path.read_text().splitlines()) <= 62, path


def test_every_configuration_loads(repository):
    found = [*repository.glob("conf/*/*.yaml"), *repository.glob("egs/*/conf/*.yaml")]
    engines = [path for path in found if path.parent.name == "engine"]
    assert len(found) >= 10
    for path in engines:
        slurm_options.parse([str(path)])
    for path in set(found) - set(engines):
        config.load(path)
