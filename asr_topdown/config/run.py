"""How a training runs, without effect on its result: what `run:` may hold in an experiment's YAML."""

from typing import Literal

from pydantic import Field

from asr_topdown.config.section import Section


class RunConfig(Section):
    """Settings that affect speed, memory, logs and retention, but no result; not part of any name."""

    threads: int = Field(
        1, ge=1, description="OpenMP threads of one training; docs/speed.md says why it is 1"
    )
    num_workers: int | None = Field(
        None,
        ge=0,
        description="threads that load and augment batches in advance; default: on a GPU the number of CPUs "
        "minus one, at most 4; on the CPU 0",
    )
    log_interval: int = Field(20, ge=1, description="optimiser steps between log lines")
    checkpoint_minutes: float = Field(
        5.0, gt=0, description="maximum minutes between checkpoints within an epoch"
    )
    keep_epochs: Literal["best", "all"] = Field(
        "best", description="which epochs' weights to keep after training"
    )
    cache_frozen: float = Field(
        4.0,
        ge=0,
        description="compute the output of the frozen lowest layers once and cache it in memory, if neither "
        "augmentation nor dropout changes it and it takes at most this many GiB; 0 = never",
    )
    cache_frozen_disk: float = Field(
        32.0,
        ge=0,
        description="cache outputs larger than cache_frozen in the training's folder while it runs, if they "
        "take at most this many GiB and the disk has room; 0 = never",
    )
    transducer_loss: Literal["auto", "torch", "torchaudio", "warp_rnnt"] = Field(
        "auto",
        description="implementation of the transducer loss; auto: the first of warp_rnnt (CUDA only), "
        "torchaudio and torch (this package's own) that can be imported",
    )
    matrix_product: Literal["auto", "torch", "onednn"] = Field(
        "auto",
        description="library of float32 matrix products on a CPU, PyTorch's own or oneDNN, which round "
        "differently; auto: oneDNN for those kinds of products for which it is clearly faster here, and "
        "products in place of oneDNN's kernel for gradients of convolutions' weights where they are",
    )
