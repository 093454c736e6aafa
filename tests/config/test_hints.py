"""Errors in settings: file, line and full key, and a suggestion."""

from pathlib import Path

import pytest

from asr_topdown import config
from asr_topdown.config import Config
from asr_topdown.config.hints import OTHER_NAMES, paths


def problem(tmp_path: Path, text: str, *overrides: str) -> str:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r".") as raised:
        config.load(path, overrides)
    message = str(raised.value)
    assert "\n" not in message
    assert "Value error" not in message
    return message.replace(f"{tmp_path}/", "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train: {lr: 1}", "unknown key train.lr; did you mean train.optimizer.lr?"),
        ("lr: 1", "unknown key lr; did you mean train.optimizer.lr?"),
        ("train: {learning_rate: 1}", "unknown key train.learning_rate; did you mean train.optimizer.lr?"),
        ("train: {batch_size: 8}", "unknown key train.batch_size; did you mean train.utterances_per_batch?"),
        ("train: {batch: 8}", "unknown key train.batch; did you mean train.utterances_per_batch?"),
        ("train: {max-epoch: 8}", "unknown key train.max-epoch; did you mean train.epochs?"),
        ("encoder: {}", "unknown key encoder; did you mean model.encoder?"),
        ("trian: {}", "unknown key trian; did you mean train?"),
        ("train: {patiance: 1}", "unknown key train.patiance; did you mean train.patience?"),
        ("train: {optimizer: {plateua: x}}", "did you mean train.optimizer.plateau?"),
        ("model: {type: x}", "unknown key model.type; did you mean model.kind?"),
        ("features: {fbank: {num_mel: 3}}", "did you mean features.fbank.num_mels?"),
        ("features: {n_mels: 3}", "unknown key features.n_mels; did you mean features.fbank.num_mels?"),
        ("features: {sampling_rate: 8000}", "did you mean features.fbank.sample_rate?"),
        ("train: {specaugment: {freq_mask: 1}}", "did you mean train.specaugment.freq_masks?"),
        ("train: {threads: 2}", "unknown key train.threads; did you mean run.threads?"),
        ("decode: {beam_width: 5}", "unknown key decode.beam_width; did you mean decode.beam?"),
        (
            "model: {encoder: [{kind: blstm, d_model: 4}]}",
            "unknown key model.encoder.0.d_model: another kind has it, not this one",
        ),
        (
            "model: {kind: awd_lstm, encoder: []}",
            "unknown key model.encoder: another kind has it, not this one",
        ),
        ("train: {optimizer: {lr: 1,5}}", "unknown key train.optimizer.5; did you mean train.optimizer?"),
        ("train: {qqqq: 1}", "unknown key train.qqqq"),
        ("train: {'': 1}", "unknown key train."),
        (
            "train.epochs: 3",
            "train.epochs: a key in a file has no dots, write train: {epochs: …}",
        ),
        ("train: {optimizer.lr: 3}", "a key in a file has no dots, write optimizer: {lr: …}"),
    ],
)
def test_unknown_keys(tmp_path: Path, text: str, message: str) -> None:
    assert problem(tmp_path, text).endswith(message)


@pytest.mark.parametrize("name", OTHER_NAMES.values())
def test_the_names_of_other_toolkits_lead_somewhere(name: str) -> None:
    assert tuple(name.split(".")) in paths(Config)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train: {epochs: yes}", "c.yaml:1: train.epochs: "),
        ("train: {epochs: true}", "c.yaml:1: train.epochs: must be a number, got True"),
        ("train: {epochs: '7'}", "c.yaml:1: train.epochs: must be a number, got the text '7'"),
        ("train: {patience: false}", "train.patience: must be a number, got False"),
        ("features: {fbank: {num_mels: true}}", "features.fbank.num_mels: must be a number, got True"),
        ("features: {fbank: {energy: yes}}", "features.fbank.energy: must be true or false, got 'yes'"),
        ("features: {fbank: {energy: 1}}", "features.fbank.energy: must be true or false, got 1"),
        ("schedule: {seeds: [1, true]}", "c.yaml:1: schedule.seeds.1: must be a number, got True"),
        (
            "train: {utterances_per_batch: 1000000000000000000000000000000}",
            "train.utterances_per_batch: must be at most 2147483647, got 1000000000000000000000000000000",
        ),
        ("schedule: {seeds: [99999999999]}", "schedule.seeds.0: must be at most 2147483647"),
        ("train: {optimizer: {lr: .inf}}", "train.optimizer.lr: must be a finite number, got inf"),
        ("train: {optimizer: {lr: 1e999}}", "train.optimizer.lr: must be a finite number, got inf"),
        ("train: {grad_clip: .nan}", "train.grad_clip: "),
        ("features: {fbank: {frame_length_ms: .inf}}", "features.fbank.frame_length_ms: must be a finite"),
        ("features: {fbank: {low_freq: .nan}}", "features.fbank.low_freq: must be a finite number, got nan"),
        ("features: {fbank: {frame_shift_ms: 1e9}}", "features.fbank: frame_length_ms 25.0 and frame_shift"),
        ("features: {fbank: {num_mels: 1000000}}", "features.fbank: num_mels 1000000 is too large"),
        ("train: 7", "c.yaml:1: train: must be a section (key: value), got 7"),
        ("train: [7]", "c.yaml:1: train: must be a section (key: value), got [7]"),
        ("train: {optimizer: adam}", "train.optimizer: must be a section (key: value), got 'adam'"),
        ("features: {fbank: x}", "features.fbank: must be a section (key: value), got 'x'"),
        ("model: {kind: nonesuch}", "model.kind: must be one of "),
        ("train:\n  epochs: 3\n  metric: wer", "c.yaml:3: train.metric: must be 'cer'"),
        (
            "decode: {max_length_ratio: 0.2, min_length_ratio: 0.5}",
            "c.yaml:1: decode: min_length_ratio 0.5 is more than max_length_ratio, 0.2",
        ),
        (
            "decode: {min_length_ratio: 1.5}",
            "decode: min_length_ratio 1.5 is more than max_length_ratio, 0, as many labels as frames",
        ),
        ("decode: {method: prefix_beam, nbest: 20}", "c.yaml:1: decode: nbest 20 is more than the beam, 10"),
    ],
)
def test_wrong_values(tmp_path: Path, text: str, message: str) -> None:
    assert message in problem(tmp_path, text)


def test_no_limit_on_the_gradient_is_a_limit() -> None:
    assert config.parse({}, ["train.grad_clip=.inf"]).train.grad_clip == float("inf")


def test_the_place_that_decides_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("# first\ntrain:\n  patience: -1\n  epochs: 0\n")
    assert problem(tmp_path, "include: [a.yaml]\ntrain: {patience: 3}").startswith("a.yaml:4: train.epochs:")
    assert problem(tmp_path, "train: {epochs: 3}", "train.epochs=0").startswith(
        "--set train.epochs=0: train.epochs:"
    )
    assert problem(tmp_path, "train: {epochs: 3}", "train={lr: 3}").startswith(
        "--set train={lr: 3}: unknown key train.lr"
    )


def test_everything_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(ValueError, match=r"train\.epochs") as raised:
        config.parse({"train": {"epochs": 0, "patience": -1}, "decode": {"beem": 1}})
    assert len(str(raised.value).splitlines()) == 3


@pytest.mark.parametrize(
    "override",
    ["train.epochs", "=3", "train..epochs=3", ".=3", "train.epochs=[1", "train={epochs: 1, epochs: 2}"],
)
def test_overrides_that_cannot_be_read(tmp_path: Path, override: str) -> None:
    assert problem(tmp_path, "", override).startswith(f"--set {override}")
