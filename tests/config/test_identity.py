"""What determines a configuration's hash."""

from dataclasses import dataclass
from typing import Literal

import pytest

from asr_topdown import config
from asr_topdown.config import Config
from asr_topdown.config.identity import settings_hash, stated
from asr_topdown.config.section import Section


class Small(Section):
    kind: Literal["small"] = "small"
    size: int = 3
    name: str = ""


class Large(Section):
    kind: Literal["large"] = "large"
    size: int = 3


@dataclass(frozen=True)
class Options:
    rate: int = 8
    shape: str = "round"


class Whole(Section):
    part: Small | Large = Small(size=7)
    parts: tuple[Small | Large, ...] = ()
    options: Options | None = None


def test_only_what_differs_from_its_default_is_stated() -> None:
    assert stated(Whole()) == {}
    assert stated(Whole(part=Small())) == {"part": {"kind": "small"}}  # not this section's default
    assert stated(Whole(part=Large())) == {"part": {"kind": "large"}}
    assert stated(Whole(parts=(Small(), Large(size=1)))) == {
        "parts": [{"kind": "small"}, {"kind": "large", "size": 1}]
    }
    assert stated(Whole(options=Options())) == {"options": {}}
    assert stated(Whole(options=Options(rate=9))) == {"options": {"rate": 9}}


def test_sections_do_not_run_into_each_other() -> None:
    one = settings_hash({"a": Small(size=1), "b": Small()})
    assert one != settings_hash({"a": Small(), "b": Small(size=1)})
    assert one == settings_hash({"b": Small(), "a": Small(size=1)})


@pytest.mark.parametrize(
    "same",
    [
        "run.log_interval=7",
        "run.threads=2",
        "run.keep_epochs=all",
        "run.transducer_loss=torch",
        "run.matrix_product=onednn",
        "train.epochs=3",
        "train.patience=1",
        "decode.beam=3",
        "schedule.seeds=[8]",
        "features.deltas=0",
    ],
)
def test_what_does_not_decide_a_network(same: str) -> None:
    assert config.parse({}, [same]).identity() == Config().identity()


OTHERS = [
    "train.optimizer.lr=0.5",
    "train.grad_accumulation=2",
    "train.max_frames=9",
    "train.specaugment={}",
    "train.average={last: 1}",
    "features.deltas=1",
    "features.fbank.preemphasis=0.5",
    "features.fbank.dither=1",
    "text.unit=word",
    "train.precision=bfloat16",
    "train.tempo_perturb=0.1",
]


def test_what_decides_a_network() -> None:
    ids = {config.parse({}, [other]).identity() for other in OTHERS} | {Config().identity()}
    assert len(ids) == len(OTHERS) + 1


def test_the_hash_of_sections_and_settings() -> None:
    base, changed = Config(), config.parse({}, ["decode.beam=3", "features.deltas=1"])
    assert base.hash_of("features") != changed.hash_of("features")
    assert base.hash_of("decode.method") == changed.hash_of("decode.method")
    assert base.hash_of("text", "train") == changed.hash_of("train", "text") != base.hash_of("text")
    with pytest.raises(ValueError, match=r"no section or setting is called train\.nope"):
        base.hash_of("train.nope")
    assert base.at("features.fbank.sample_rate") == 16000
    assert base.at("model.encoder.0") == base.model.encoder[0]
    with pytest.raises(ValueError, match=r"no section or setting is called model\.encoder\.9"):
        base.at("model.encoder.9")
