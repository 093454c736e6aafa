"""The factor on the learning rate at each optimiser step: pure functions of the step."""

from asr_topdown.config.train import LrScheduleConfig


def lr_factor(config: LrScheduleConfig, step: int) -> float:
    """The factor on the optimiser's learning rate in step `step`, counted from 1.

    `noam` is dim^-0.5 x min(step^-0.5, step x warmup_steps^-1.5) (Vaswani et al. 2017, section 5.3), where
    the optimiser's rate is ESPnet v1's `transformer-lr`, 5 to 10. `warmup` has the same shape with
    a maximum factor of 1, as in ESPnet v2's WarmupLR: there the optimiser's rate is the peak.
    """
    assert step >= 1
    if config.name == "constant":
        return 1.0
    shape = min(step**-0.5, step * config.warmup_steps**-1.5)
    return shape * (config.dim**-0.5 if config.name == "noam" else config.warmup_steps**0.5)
