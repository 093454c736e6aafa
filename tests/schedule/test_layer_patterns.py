"""Names and patterns of layers."""

import pytest

from asr_topdown.schedule.layer_patterns import match

BLSTM = ("vgg", "blstm.0", "blstm.1", "blstm.2", "blstm.10", "softmax")
CONFORMER = ("frontend", "enc.0", "enc.1", "decoder", "softmax")


@pytest.mark.parametrize(
    ("known", "patterns", "found"),
    [
        (BLSTM, [], ""),
        (BLSTM, ["softmax", "vgg"], "vgg softmax"),  # in the network's order
        (BLSTM, ["blstm.1"], "blstm.1"),  # not blstm.10
        (BLSTM, ["blstm.0-2"], "blstm.0 blstm.1 blstm.2"),
        (BLSTM, ["blstm.10-10"], "blstm.10"),
        (BLSTM, ["blstm.*"], "blstm.0 blstm.1 blstm.2 blstm.10"),
        (BLSTM, ["blstm.?"], "blstm.0 blstm.1 blstm.2"),
        (BLSTM, ["blstm.[!0]*"], "blstm.1 blstm.2 blstm.10"),
        (BLSTM, ["bottom:3"], "vgg blstm.0 blstm.1"),
        (BLSTM, ["top:1"], "softmax"),
        (BLSTM, ["top:6"], " ".join(BLSTM)),
        (BLSTM, ["bottom:1,top:1", "blstm.2"], "vgg blstm.2 softmax"),
        (BLSTM, ["blstm.0-1", "blstm.1-2"], "blstm.0 blstm.1 blstm.2"),
        (CONFORMER, ["*o*"], "frontend decoder softmax"),
        (("a-1", "a.0-1"), ["a.0-1"], "a.0-1"),  # a layer of just this name, not a range
        (("a", "A"), ["[A-Z]"], "A"),
    ],
)
def test_what_a_pattern_names(known: tuple[str, ...], patterns: list[str], found: str) -> None:
    assert match(known, patterns) == tuple(found.split())


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("blstm.7", "no layer matches 'blstm.7'"),
        ("Blstm.0", "no layer matches 'Blstm.0'"),
        ("enc.*", "no layer matches 'enc.*'"),
        ("", "no layer matches ''"),
        ("softmax,", "no layer matches ''"),
        ("blstm.1-3", "blstm.1-3: no layer is called blstm.3"),
        ("enc.0-999999999999", "no layer is called enc.0"),
        ("blstm.2-0", "blstm.2-0: the range runs backwards"),
        ("bottom:0", "bottom:0: must be from 1 to 6"),
        ("top:7", "top:7: must be from 1 to 6"),
        ("top:-1", "no layer matches 'top:-1'"),
    ],
)
def test_a_pattern_that_names_nothing_is_an_error(pattern: str, problem: str) -> None:
    with pytest.raises(ValueError, match=r"^--freeze: ") as caught:
        match(BLSTM, ["softmax", pattern], what="--freeze")
    message = str(caught.value)
    assert problem in message
    assert "backwards" in message or message.endswith(f"; the layers are {', '.join(BLSTM)}")
