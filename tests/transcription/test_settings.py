"""The arguments of `asr_topdown.load` are checked before a model is read."""

import numpy as np
import pytest

import asr_topdown
from asr_topdown.transcription.settings import check_settings


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"beam": 0}, "beam 0: must be at least 1"),
        ({"beam": 2.5}, "beam 2.5: must be a whole number"),
        ({"nbest": 0}, "nbest 0: must be at least 1"),
        ({"nbest": -2, "beam": 3}, "nbest -2: must be at least 1"),
        ({"nbest": "3"}, "nbest '3': must be a whole number"),
        ({"channel": -1}, "channel -1: channels are counted from 0"),
        *(
            ({"longest": longest}, f"longest {longest}: must be a number of seconds, at least 1")
            for longest in (0, -5.0, 0.01, float("nan"), float("inf"), None)
        ),
        ({"precision": "int4"}, "precision 'int4': must be one of float32, bfloat16, int8"),
        ({"device": "banana"}, "device banana: must be cpu, cuda or cuda:N"),
        ({"device": "meta"}, "device meta: must be cpu, cuda or cuda:N"),
        ({"device": None}, "device None: must be cpu, cuda or cuda:N"),
        ({"device": "cuda:99"}, "device cuda:99: there "),
    ],
)
def test_arguments_have_limits(settings, problem):
    with pytest.raises(ValueError, match=f"^{problem}"):
        asr_topdown.load("no such model", **settings)


def test_integers_of_numpy_are_whole_numbers():
    check_settings(beam=np.int64(3), nbest=np.int32(1), channel=np.uint8(0), longest=np.float32(4))
