"""Settings: strict names and types, and the same after a round trip."""

from pathlib import Path

import pytest
import yaml

from asr_topdown import config
from asr_topdown.config.features import FeaturesConfig
from asr_topdown.features.fbank_options import FbankOptions
from asr_topdown.schedule.seeds import SEED_STRIDE, derived_seed

REPOSITORY = Path(__file__).parents[2]


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train: {epoch: 3}", r"c\.yaml:1: unknown key train\.epoch; did you mean train\.epochs\?"),
        ("trian: {epochs: 3}", r"c\.yaml:1: unknown key trian; did you mean train\?"),
        (
            "features: {fbank: {num_mel: 3}}",
            r"unknown key features\.fbank\.num_mel; did you mean features\.fbank\.num_mels\?",
        ),
        ("train: {epochs: many}", r"c\.yaml:1: train\.epochs: .*got 'many'"),
        ("train: {epochs: 1.5}", r"c\.yaml:1: train\.epochs: must be a whole number, got 1\.5$"),
        ("train: {compile: maybe}", r"c\.yaml:1: train\.compile: must be true or false, got 'maybe'$"),
        (
            "schedule: {source_seed: other}",
            r"^\S+c\.yaml:1: schedule\.source_seed: must be a whole number or 'same' or 'next', got 'other'$",
        ),
        ("train: {epochs: 0}", r"c\.yaml:1: train\.epochs: .*got 0"),
        ("model: {ctc: {weight: 2}}", r"c\.yaml:1: model\.ctc\.weight: .*got 2"),
        (
            "text: {unit: label}",
            r"c\.yaml: text\.unit: label and model\.label go together, and without another head; "
            r"got text\.unit: label and model\.ctc$",
        ),
        ("model: {label: {}}", r"got text\.unit: char and model\.label$"),
        ("text: {unit: label}\nmodel: {label: {}, ctc: {}}", r"unit: label and model\.ctc and model\.label$"),
        (
            "text: {unit: label}\nmodel: {label: {}}",
            r"train\.metric: cer does not go with text\.unit: label: use label_error or loss",
        ),
        ("train: {metric: label_error}", r"label_error does not go with text\.unit: char: use cer, loss"),
        ("train: [1, 2", r"c\.yaml:1: not YAML"),
        ("just words", r"c\.yaml: must hold sections"),
        (
            "model: {attention: {}}",
            r"c\.yaml:1: model\.attention: must say its kind \(model\.att",
        ),
        ("train: {optimizer: {betas: [0.9]}}", r"betas: has too few items, got \[0.9\]$"),
        (
            "train: {optimizer: {betas: [0.9, 0.9, 0.9]}}",
            r"betas: must hold at most 2 items, got \[0.9, 0.9, 0.9\]$",
        ),
        (
            "train: {optimizer: {name: sgd, plateau: decay_eps}}",
            r"train\.optimizer: sgd has no eps: plateau must be none or decay_lr, got decay_eps$",
        ),
        ("schedule: {seeds: []}", r"c\.yaml:1: schedule\.seeds: must hold at least 1 item, got \[\]$"),
        ("schedule: {groups: [a]}", r"schedule\.groups: must be a section \(key: value\), got \['a'\]$"),
        ("include: conf.yaml", r"c\.yaml:1: include must be a list"),
        ("include: [c.yaml]", r"c\.yaml: includes itself"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        config.load(write(tmp_path / "c.yaml", text))


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ("{search: depth_sweep, depth_sweep: {starts: [rewind:0]}}", r"rewind:EPOCH, from 1, got 'rewind:0'"),
        (
            "{search: depth_sweep, depth_sweep: {starts: [keep, rewind:3]}}",
            r"schedule\.depth_sweep: .*epoch 3 ",
        ),
        (
            "{controls: [freeze_keep], freeze_keep: {epoch: 99}}",
            r"schedule\.freeze_keep: .*epoch 99 of .* of 2 ",
        ),
        ("{search: epoch_scan, epoch_scan: {epoch_stride: 3}}", r"schedule\.epoch_scan: .*epoch 3 of"),
        (
            "{search: epoch_scan, epoch_scan: {epoch_stride: 3, joint_epochs: 2}}",
            r"epoch_stride: must be at most joint_epochs, 2, got 3",
        ),
        (
            "{greedy: {classifier_epoch: 0}}",
            r"schedule\.greedy: classifier_epoch: epochs count from 1, got 0",
        ),
        ("{search: exhaustive, exhaustive: {classifier_epoch: -1}}", r"epochs count from 1, got -1"),
        ("{search: depth_sweep, source: a, depth_sweep: {starts: [rewind:3]}}", ""),
        ("{search: epoch_scan, epoch_scan: {epoch_stride: 3, joint_epochs: 3}}", ""),
        ("{search: [greedy, exhaustive], greedy: {classifier_epoch: lowest_loss}}", ""),
        ("{search: [greedy, exhaustive], exhaustive: {classifier_epoch: 99}}", ""),
        ("{controls: [], depth_sweep: {starts: [rewind:3]}}", ""),
        ("{controls: [freeze_keep], freeze_keep: {epoch: 2}}", ""),
    ],
)
def test_epochs_that_cannot_exist_are_refused(tmp_path: Path, schedule: str, message: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(f"train: {{epochs: 2}}\nrun: {{keep_epochs: all}}\nschedule: {schedule}")
    if not message:
        config.load(path)
        return
    with pytest.raises(ValueError, match=message):
        config.load(path)


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("freeze_top", "repeats"),
        ("epoch_scan", "repeats"),
        ("subset_scan", "repeats"),
        ("best_of", "trainings"),
    ],
)
def test_more_trainings_than_there_are_seeds_are_refused_before_any(name: str, setting: str) -> None:
    """They were after the joint training, and `--dry-run` said that none would follow."""
    with pytest.raises(ValueError, match=rf"schedule\.{name}\.{setting}: must be .* 500, got 501"):
        config.parse({"schedule": {name: {setting: 501}}})
    allowed = config.parse({"schedule": {name: {setting: 500}}}).schedule.settings(name)
    assert derived_seed(1, "repeat", getattr(allowed, setting) - 1) == 1 + SEED_STRIDE * (500 * 4 + 499)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.yaml"):
        config.load(tmp_path / "none.yaml")
    write(tmp_path / "parts" / "a.yaml", "include: [../c/none.yaml]")
    main = write(tmp_path / "c.yaml", "include:\n  - parts/a.yaml\n")
    with pytest.raises(FileNotFoundError, match=r"parts/a\.yaml:1: include: .*/c/none\.yaml: no such file$"):
        config.load(main)


def test_floats_as_in_yaml_1_2() -> None:
    """PyYAML alone reads 1e-4 as a string."""
    assert config.parse({}, ["train.optimizer.lr=1e-4"]).train.optimizer.lr == 1e-4
    assert config.parse({}, ["train.optimizer.lr=3"]).train.optimizer.lr == 3.0


def test_includes_come_first_and_overrides_last(tmp_path: Path) -> None:
    write(
        tmp_path / "parts" / "a.yaml",
        "train: {epochs: 7, patience: 2}\nmodel: {kind: recognizer, ctc: {weight: 1}}",
    )
    write(tmp_path / "parts" / "b.yaml", "train: {patience: 3}")
    main = write(tmp_path / "c.yaml", "include: [parts/a.yaml, parts/b.yaml]\ntrain: {grad_clip: 1.0}")
    loaded = config.load(main, ["train.epochs=9", "schedule.seeds=[4, 5]"])
    assert (loaded.train.epochs, loaded.train.patience, loaded.train.grad_clip) == (9, 3, 1.0)
    assert loaded.model.ctc.weight == 1
    assert loaded.schedule.seeds == (4, 5)


def test_an_override_may_name_a_place_in_a_list(tmp_path: Path) -> None:
    encoder = "[{kind: vgg}, {kind: blstm, dropout: 0.1}]"
    path = write(tmp_path / "c.yaml", f"model: {{encoder: {encoder}, ctc: {{}}}}")
    changed = config.load(path, ["model.encoder.1.dropout=0.5", "model.encoder.1.hidden_size=7"])
    vgg, blstm = changed.model.encoder
    assert (vgg.kind, blstm.dropout, blstm.hidden_size) == ("vgg", 0.5, 7)
    with pytest.raises(ValueError, match=r"model\.encoder: has no item 2 \(the first is 0\)"):
        config.load(path, ["model.encoder.2.dropout=1"])
    with pytest.raises(ValueError, match=r"model\.encoder: must be a list, got 3"):
        config.load(path, ["model.encoder=3"])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("features.fbank.num_mels=-1", r"c\.yaml:1, --set features\.fbank\.num_mels=-1: features\.fbank: "),
        ("model.kind=x", r"^--set model\.kind=x: model\.kind: must be one of"),
        ("train.metric=accuracy", r"c\.yaml, --set train\.metric=accuracy: train\.metric: accuracy is an"),
    ],
)
def test_an_override_that_a_section_refuses_is_named(tmp_path: Path, override: str, message: str) -> None:
    (tmp_path / "c.yaml").write_text("features: {fbank: {num_mels: 4}}\nmodel: {ctc: {}}")
    with pytest.raises(ValueError, match=message):
        config.load(tmp_path / "c.yaml", [override])


@pytest.mark.parametrize("override", ["train.epochs", "=3", "train.epochs=[1"])
def test_malformed_overrides(override: str) -> None:
    with pytest.raises(ValueError, match="--set"):
        config.parse({}, [override])


def test_dump_reads_back_to_the_same() -> None:
    original = config.parse({"train": {"optimizer": {"eps": 1e-8}, "specaugment": {"freq_masks": 1}}})
    assert config.parse(yaml.safe_load(config.dump(original))) == original


def test_identity_is_of_what_decides_the_network() -> None:
    base = config.Config()
    for same in (
        "run.log_interval=7",
        "train.epochs=3",
        "decode.beam=3",
        "schedule.seeds=[8]",
        "run.threads=2",
    ):
        assert config.parse({}, [same]).identity() == base.identity(), same
    for other in (
        "train.optimizer.lr=0.5",
        "model.encoder=[{kind: blstm, hidden_size: 7}]",
        "features.deltas=1",
        "text.unit=word",
        "train.grad_accumulation=2",
        "train.max_frames=9",
    ):
        assert config.parse({}, [other]).identity() != base.identity(), other


@pytest.mark.parametrize(
    "path", sorted(REPOSITORY.glob("egs/*/conf/*.yaml")), ids=lambda path: str(path.parts[-3:])
)
def test_every_recipes_configuration_loads(path: Path) -> None:
    assert config.load(path) == config.parse(yaml.safe_load(config.dump(config.load(path))))


@pytest.mark.parametrize("path", sorted(REPOSITORY.glob("egs/*/conf/*former*.yaml")), ids=lambda p: str(p))
def test_noam_knows_the_size_of_the_model(path: Path) -> None:
    loaded = config.load(path)
    if loaded.train.lr_schedule.name == "noam":
        assert loaded.train.lr_schedule.dim == loaded.model.encoder[-1].d_model


@pytest.mark.parametrize(("rate", "shift"), [(8000, 80), (11025, 110), (16000, 160), (22050, 220)])
def test_a_frame_lasts_as_long_as_its_samples(rate: int, shift: int) -> None:
    """Kaldi's frames are whole samples, rounded down."""
    features = FeaturesConfig(fbank=FbankOptions(sample_rate=rate))
    assert features.fbank.num_frames(900 + shift * 4000) - features.fbank.num_frames(900) == 4000
    assert 4000 * features.frame_seconds == pytest.approx(4000 * shift / rate, abs=1e-9)
