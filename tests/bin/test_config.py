"""`asr-topdown config`, as used by a recipe's stages."""

from pathlib import Path

import pytest
import yaml

from asr_topdown import config
from asr_topdown.bin import main


@pytest.fixture
def ask(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "a.yaml").write_text("train: {epochs: 7}\nfeatures: {deltas: 1}\n")
    (tmp_path / "c.yaml").write_text("include : [a.yaml]\ndecode: {nbest: 2}\n")

    def call(*arguments: str) -> str:
        assert main.main(["config", str(tmp_path / "c.yaml"), *arguments]) == 0
        return capsys.readouterr().out

    return call


def test_the_resolved_configuration_reads_back(ask, tmp_path: Path) -> None:
    shown = ask("--set", "train.patience=3")
    wanted = config.load(tmp_path / "c.yaml", ["train.patience=3"])
    assert config.parse(yaml.safe_load(shown)) == wanted
    assert (wanted.train.epochs, wanted.train.patience) == (7, 3)


def test_files_sections_and_values(ask, tmp_path: Path) -> None:
    assert ask("--files") == f"{tmp_path / 'a.yaml'}\n{tmp_path / 'c.yaml'}\n"
    assert ask("--section", "decode.nbest") == "2\n"
    assert ask("--section", "text.unit") == "char\n"
    features = yaml.safe_load(ask("--section", "features"))
    assert features["fbank"] == yaml.safe_load(ask("--section", "features.fbank"))
    assert features["deltas"] == 1
    assert set(yaml.safe_load(ask("--section", "text", "decode.beam"))) == {"text", "decode.beam"}


def test_a_hash_changes_with_what_it_is_of(ask) -> None:
    features, decode = ask("--hash", "features"), ask("--hash", "features", "decode")
    assert len(features) == 17
    assert ask("--hash", "features", "--set", "decode.beam=3") == features
    assert ask("--hash", "features", "decode", "--set", "decode.beam=3") != decode
    assert ask("--hash", "features", "--set", "features.deltas=0") != features
    assert ask("--hash", "features", "--set", "features.fbank.dither=0") == features  # its default


def test_what_is_wrong_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c.yaml").write_text("train: {}\n")
    assert main.main(["config", str(tmp_path / "c.yaml"), "--hash", "trian"]) == 1
    assert capsys.readouterr().err == "asr-topdown config: error: no section or setting is called trian\n"
    assert main.main(["config", str(tmp_path / "none.yaml")]) == 1
    assert capsys.readouterr().err.endswith("none.yaml: No such file or directory\n")
