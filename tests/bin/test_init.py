"""`asr-topdown init`: the folder is complete and independent of its source."""

import errno
import os
import re
import subprocess

import pytest

from asr_topdown import config, files
from asr_topdown.bin.main import main

RECIPES = ("own", "prompts", "fsdd", "an4", "wsj", "swbd", "wikitext2")


def test_what_to_run_can_be_pasted_where_the_recipe_is(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["init", "."]) == 0
    assert capsys.readouterr().out.splitlines() == [
        ".: recipe own",
        "  ./run.sh --help",
        "  ./run.sh --source TABLE",
    ]


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_on_its_own(tmp_path, recipe, capsys):
    folder = tmp_path / "my corpus"
    assert main(["init", str(folder), "--from", recipe]) == 0
    assert f"  '{folder}/run.sh' --help\n" in capsys.readouterr().out
    assert os.access(folder / "run.sh", os.X_OK)
    for path in folder.rglob("*"):
        if path.suffix in (".sh", ".yaml"):
            text = re.sub("(^| )#.*", "", path.read_text(), flags=re.MULTILINE)
            assert "../.." not in text.replace('ln -sfn "../../$', ""), path
    configurations = list((folder / "conf").glob("*.yaml"))
    assert configurations
    for path in configurations:
        config.load(path)
    done = subprocess.run([folder / "run.sh", "--help"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "--stop-stage" in done.stdout


def test_the_same_settings_as_in_the_repository(tmp_path, repository):
    assert main(["init", str(tmp_path / "mine"), "--from", "prompts"]) == 0
    theirs = repository / "egs" / "prompts" / "conf" / "blstm_ctc.yaml"
    assert config.load(tmp_path / "mine" / "conf" / "blstm_ctc.yaml") == config.load(theirs)


def test_what_is_refused(tmp_path, capsys):
    assert main(["init", str(tmp_path / "mine"), "--from", "nothing"]) == 1
    said = capsys.readouterr().err
    assert "--from nothing: no such recipe; there are an4, fsdd, librispeech, mboshi, own" in said
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").touch()
    assert main(["init", str(tmp_path / "there")]) == 1
    assert f"{tmp_path}/there: there, and not empty" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["file"]


def test_after_a_full_disk_the_same_command_goes_on(tmp_path, capsys, monkeypatch):
    folder, left = tmp_path / "mine", 7
    write = files.write_text

    def fills_up(path, text, **settings):
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.ENOSPC, f"cannot write {path}: No space left on device")
        write(path, text, **settings)

    monkeypatch.setattr(files, "write_text", fills_up)
    assert main(["init", str(folder)]) == 1
    assert "No space left on device (make room and run the same command again" in capsys.readouterr().err
    monkeypatch.undo()
    assert main(["init", str(folder)]) == 0
    assert main(["init", str(tmp_path / "other")]) == 0
    one, other = (
        {path.relative_to(root): path.stat().st_mode for path in root.rglob("*")}
        for root in (folder, tmp_path / "other")
    )
    assert one == other
    (folder / "run.sh").unlink()
    (folder / "conf" / "mine.yaml").touch()  # not only an unfinished recipe
    capsys.readouterr()
    assert main(["init", str(folder)]) == 1
    assert f"{folder}: there, and not empty" in capsys.readouterr().err


def test_stopped_beside_run_sh_it_leaves_a_recipe_that_runs(tmp_path, monkeypatch):
    """It was there but could not be run, and the same command refused a folder that is not empty."""
    replace = os.replace

    def stopped(new, path):
        replace(new, path)
        if path.name == "run.sh":
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", stopped)
    assert main(["init", str(tmp_path / "mine")]) == 130
    assert os.access(tmp_path / "mine" / "run.sh", os.X_OK)
