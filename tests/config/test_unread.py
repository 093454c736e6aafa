"""Settings that another one leaves without effect are reported, and no others."""

from pathlib import Path

import pytest

from asr_topdown import config
from asr_topdown.config.unread import READ_WITH, unread

REPOSITORY = Path(__file__).parents[2]
SECTIONS = ("features", "text", "model", "train", "schedule", "decode")


@pytest.mark.parametrize(
    ("override", "lines"),
    [
        (
            "train.lr_schedule.warmup_steps=4000",
            [
                "train.lr_schedule.warmup_steps: 4000 has no effect with train.lr_schedule.name: constant; "
                "it is for noam, warmup"
            ],
        ),
        (
            "decode={beam: 20, length_penalty: 0.5}",
            [
                "decode.beam: 20 has no effect with decode.method: greedy; "
                "it is for prefix_beam, joint_beam, attention, transducer_beam",
                "decode.length_penalty: 0.5 has no effect with decode.method: greedy; "
                "it is for joint_beam, attention, transducer_beam",
            ],
        ),
        (
            "train.optimizer={name: sgd, eps: 1e-6}",
            [
                "train.optimizer.eps: 1e-06 has no effect with train.optimizer.name: sgd; "
                "it is for adam, adamw, adadelta"
            ],
        ),
        (
            "decode={pre_beam_size: 20, max_symbols: 3, max_length_ratio: 0.5, nbest: 5}",
            [
                "decode.pre_beam_size: 20 has no effect with decode.method: greedy; it is for joint_beam",
                "decode.nbest: 5 has no effect with decode.method: greedy, which finds one hypothesis",
            ],
        ),
        (
            "decode={method: prefix_beam, max_symbols: 3, max_length_ratio: 0.5, min_length_ratio: 0.1}",
            [
                "decode.max_symbols: 3 has no effect with decode.method: prefix_beam; "
                "it is for greedy, transducer_beam",
                "decode.max_length_ratio: 0.5 has no effect with decode.method: prefix_beam; "
                "it is for greedy, joint_beam, attention",
                "decode.min_length_ratio: 0.1 has no effect with decode.method: prefix_beam; "
                "it is for greedy, joint_beam, attention",
            ],
        ),
        (
            "decode={method: attention, lm: exp/lm}",
            ["decode.lm: exp/lm has no effect with decode.lm_weight: 0"],
        ),
        (
            "text.vocab_size=1000",
            ["text.vocab_size: 1000 has no effect with text.unit: char; it is for bpe, unigram"],
        ),
        (
            "decode={method: attention, ctc_weight: 0.5}",
            ["decode.ctc_weight: 0.5 has no effect with decode.method: attention; it is for joint_beam"],
        ),
        (
            "features={kind: given, dim: 13, fbank: {num_mels: 40, sample_rate: 8000, frame_shift_ms: 12.5}}",
            ["features.fbank.num_mels: 40 has no effect with features.kind: given; it is for fbank"],
        ),
        (
            "features.waveform.sample_rate=8000",
            [
                "features.waveform.sample_rate: 8000 has no effect with features.kind: fbank; "
                "it is for waveform"
            ],
        ),
        (
            "train.optimizer.plateau_patience=2",
            [
                "train.optimizer.plateau_patience: 2 has no effect with train.optimizer.plateau: none; "
                "it is for decay_eps, decay_lr"
            ],
        ),
        (
            "train.compile=true",
            ["train.compile: has no effect on a model without blocks of Transformers and the like"],
        ),
        (
            "schedule={source_seed: next, source_network: final}",
            [
                "schedule.source_seed: next has no effect without schedule.source",
                "schedule.source_network: final has no effect without schedule.source",
            ],
        ),
        (
            "schedule={search: exhaustive, freeze_top: {repeats: 7}}",
            ["schedule.freeze_top: has no effect on a study without freeze_top"],
        ),
        (
            "schedule={search: depth_sweep, depth_sweep: {rival_depths: [1]}}",
            ["schedule.depth_sweep.rival_depths: has no effect without schedule.depth_sweep.rivals"],
        ),
        (
            "model.attention={kind: lstm, smoothing_prior: unigram}",
            [
                "model.attention.smoothing_prior: unigram has no effect with "
                "model.attention.label_smoothing: 0"
            ],
        ),
        ("model.attention={kind: lstm, smoothing_prior: unigram, label_smoothing: 0.1}", []),
        ("schedule={search: freeze_top, freeze_top: {repeats: 7}}", []),
        ("train.optimizer={plateau: decay_lr, plateau_patience: 2}", []),
        ("train.optimizer={name: sgd, momentum: 0.9}", []),
        ("train.lr_schedule={name: warmup, warmup_steps: 4000}", []),
        ("decode={method: prefix_beam, beam: 20, nbest: 20}", []),
        ("decode={method: joint_beam, ctc_weight: 0.5, lm: exp/lm, lm_weight: 0.1}", []),
        ("text={unit: bpe, vocab_size: 1000}", []),
    ],
)
def test_what_has_no_effect_is_told(override: str, lines: list[str]) -> None:
    assert unread(config.parse({}, [override]), *SECTIONS) == lines
    assert unread(config.parse({}, [override]), "run") == []


def test_what_a_language_model_does_not_read_is_told() -> None:
    model = {"model": {"kind": "awd_lstm"}, "train": {"metric": "loss", "optimizer": {"name": "nt_asgd"}}}
    assert unread(config.parse(model, ["train.optimizer.plateau_patience=5"]), *SECTIONS) == []
    speech = ["features.deltas=2", "text.unit=bpe", "train.specaugment={}", "decode.beam=5"]
    assert unread(config.parse(model, speech), *SECTIONS) == [
        f"{name}: has no effect with model.kind: awd_lstm"
        for name in ("features", "text", "decode", "train.specaugment")
    ]


@pytest.mark.parametrize(("budget", "told"), [(49, False), (50, True), (51, True)])
def test_a_budget_that_nothing_is_above_is_told(budget: int, told: bool) -> None:
    schedule = {"search": "halving", "halving": {"budget": budget}}
    study = config.parse({"schedule": schedule, "run": {"keep_epochs": "all"}, "train": {"epochs": 50}})
    line = (
        f"schedule.halving.budget: {budget} has no effect with train.epochs: 50: all trainings then have all "
        "epochs from the start"
    )
    assert unread(study, "schedule") == [line] * told


def test_a_greedy_decoder_is_told_what_the_output_that_it_reads_has_not() -> None:
    decode = {"max_symbols": 3, "min_length_ratio": 0.5}
    two = {"ctc": {}, "attention": {"kind": "lstm"}}
    assert unread(config.parse({"model": two, "decode": decode}), "decode") == [
        f"decode.{name} has no effect with decode.method: greedy, which reads model.ctc; "
        f"it is for model.{head}"
        for name, head in (("max_symbols: 3", "transducer"), ("min_length_ratio: 0.5", "attention"))
    ]
    for model, name in (("transducer={}", "max_symbols"), ("attention={kind: lstm}", "min_length_ratio")):
        settings = [f"model.{model}", f"decode.{name}={decode[name]}"]
        assert unread(config.parse({}, settings), "decode") == []


def test_blocks_that_can_be_compiled_are_found() -> None:
    for model in (
        {"encoder": [{"kind": "blstm"}, {"kind": "conformer"}], "ctc": {}},
        {"attention": {"kind": "transformer"}},
    ):
        assert unread(config.parse({"model": model}, ["train.compile=true"]), *SECTIONS) == []


def test_every_setting_choice_and_value_exists() -> None:
    for setting, (choice, values) in READ_WITH.items():
        assert config.parse({}).at(setting) is not None
        for value in values:
            assert config.parse({}, [f"{choice}={value}"]).at(choice) == value


@pytest.mark.parametrize(
    "path", sorted((REPOSITORY / "egs").glob("*/conf/*.yaml")), ids=lambda path: path.name
)
def test_recipes_set_nothing_in_vain(path: Path) -> None:
    try:
        loaded = config.load(path)
    except ValueError:  # a piece for other configurations
        return
    assert unread(loaded, *SECTIONS) == []
