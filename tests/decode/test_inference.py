"""Recognition in float32, bfloat16 and int8: differences, unchanged parts, errors."""

import warnings

import networks
import pytest
import torch
from torch import nn

from asr_topdown.config.decode import PRECISIONS, DecodeConfig
from asr_topdown.decode.decoders import build_decoder, with_beam
from asr_topdown.decode.inference import Inference, Inferred
from asr_topdown.decode.model import decoder_hash
from asr_topdown.logs import warn_once
from asr_topdown.models.recognizer import Recognizer
from asr_topdown.nn import precision
from asr_topdown.nn.quantized import dynamic_int8
from asr_topdown.text import Vocabulary

UNITS = Vocabulary.build(["abcd"], "char")
BOUNDS = {"bfloat16": 0.005, "int8": 0.03}
"""Most that a probability of these networks, whose weights are random and small, may change."""


def network(name: str) -> Recognizer:
    return networks.make(name).eval()


def infer(model: Recognizer, kind: str) -> Inferred:
    batch = networks.make_batch()
    config = with_beam(model, DecodeConfig.model_validate({"precision": kind}), 3)
    return Inference(model, config, UNITS)(batch.feats, batch.feat_lengths, 0, batch.feat_lengths)


@pytest.mark.parametrize("name", networks.NETWORKS)
def test_every_network_in_every_precision(name: str) -> None:
    model = network(name)
    batch = networks.make_batch()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with torch.no_grad():
        memory, lengths = model.encode(batch.feats, batch.feat_lengths)
        expected = build_decoder(model, with_beam(model, DecodeConfig(), 3), UNITS)(memory, lengths)
        exact = None if model.ctc is None else model.ctc.log_probs(memory)
    plain = infer(model, "float32")
    assert plain.results == expected
    assert (plain.ctc_log_probs is None) == (exact is None)
    for kind, bound in BOUNDS.items():
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = infer(model, kind)
        assert found.lengths.tolist() == lengths.tolist()
        assert all(len(one.hypotheses) for one in found.results)
        for one, two in zip(found.results, expected, strict=True):
            assert one.best.score == pytest.approx(two.best.score, abs=0.6)
        if exact is not None and found.ctc_log_probs is not None:
            assert found.ctc_log_probs.dtype == torch.float32
            within = networks.within(lengths, exact.shape[1])
            difference = (found.ctc_log_probs.exp() - exact.exp())[within].abs().max()
            exactly = kind == "bfloat16" and not precision.has_bfloat16(model.device)  # it is float32 there
            assert (difference == 0) == exactly
            assert difference < bound
    after = model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[key], value) for key, value in before.items())


def test_float32_is_float32_on_a_gpu_also_after_a_training_in_tf32(monkeypatch: pytest.MonkeyPatch) -> None:
    """The dev set is decoded in the process that trained, test sets in another one."""
    monkeypatch.setattr(Recognizer, "device", torch.device("cuda"))
    both = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [flags.allow_tf32 for flags in both]
    precision.set_tf32("tf32", torch.device("cuda"))
    Inference(network("blstm_ctc"), DecodeConfig(), UNITS)
    found = [flags.allow_tf32 for flags in both]
    for flags, value in zip(both, before, strict=True):
        flags.allow_tf32 = value
    assert found == [False, False]


def test_what_int8_covers() -> None:
    """LSTMs and linear layers, but those whose weights the LSTM decoder reads itself."""
    model = dynamic_int8(network("blstm"), torch.device("cpu"))
    kinds = {name: type(module).__module__ for name, module in model.named_modules()}
    assert "quantized.dynamic" in kinds["stages.blstm.0.lstm_fwd"]
    assert "quantized.dynamic" in kinds["stages.blstm.0.projection"]
    assert "quantized.dynamic" in kinds["heads.ctc.output"]
    assert "quantized.dynamic" in kinds["heads.attention.output.linear"]
    assert isinstance(model.get_submodule("heads.attention.decoder.attention.query"), nn.Linear)
    transformer = dynamic_int8(network("transformer"), torch.device("cpu"))
    floats = [name for name, module in transformer.named_modules() if type(module) is nn.Linear]
    assert floats == []


def test_int8_is_refused_off_the_cpu() -> None:
    with pytest.raises(ValueError, match=r"decode\.precision: int8 is for CPUs, and this runs on cuda"):
        dynamic_int8(network("blstm_ctc"), torch.device("cuda"))


def test_bfloat16_that_the_hardware_lacks_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(precision, "has_bfloat16", lambda device: False)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    warn_once.cache_clear()
    found, exact = (infer(network("blstm_ctc"), kind) for kind in ("bfloat16", "float32"))
    assert found.ctc_log_probs is not None
    assert torch.equal(found.ctc_log_probs, exact.ctc_log_probs)
    infer(network("blstm_ctc"), "bfloat16")
    said = "decode.precision: cpu has neither AMX nor AVX512-BF16: bfloat16 is float32 here"
    assert caplog.messages == [said]


def test_a_decodings_name_has_its_precision_unless_that_is_float32() -> None:
    names = [decoder_hash(DecodeConfig(precision=kind)) for kind in PRECISIONS]
    assert names[0] == decoder_hash(DecodeConfig())
    assert len(set(names)) == 3
