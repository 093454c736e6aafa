"""How a training runs without changing what comes out: what `run:` may hold in an experiment's YAML."""

from typing import Literal

from pydantic import Field

from asr_topdown.config.section import Section


class RunConfig(Section):
    """What changes the speed, the memory, the log and what is kept, and no result; part of no name."""

    threads: int = Field(
        1, ge=1, description="OpenMP threads of one training; docs/speed.md says why it is 1"
    )
    num_workers: int | None = Field(
        None,
        ge=0,
        description="threads that load and augment batches ahead; none given: on a GPU one for each CPU but "
        "one, at most 4, on the CPU 0",
    )
    log_interval: int = Field(20, ge=1, description="optimiser steps between two lines of the log")
    checkpoint_minutes: float = Field(5.0, gt=0, description="most minutes between checkpoints in an epoch")
    keep_epochs: Literal["best", "all"] = Field(
        "best", description="whose weights stay when a training is over"
    )
    cache_frozen: float = Field(
        4.0,
        ge=0,
        description="compute the output of frozen lowest layers once and keep it in memory, where neither "
        "augmentation nor dropout changes it and it takes no more GiB than this; 0 = never",
    )
    cache_frozen_disk: float = Field(
        32.0,
        ge=0,
        description="what takes more than cache_frozen is kept in the training's folder while it runs, if it "
        "takes no more GiB than this and than are free; 0 = never",
    )
    transducer_loss: Literal["auto", "torch", "torchaudio", "warp_rnnt"] = Field(
        "auto",
        description="who computes the transducer's loss; auto: the first of warp_rnnt (CUDA only), "
        "torchaudio and torch (our own) that can be imported",
    )
