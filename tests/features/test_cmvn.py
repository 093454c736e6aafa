from pathlib import Path

import kaldiio
import numpy as np
import pytest
import torch

from asr_topdown.features.cmvn import VARIANCE_FLOOR, Cmvn

RNG = np.random.default_rng(0)
FEATS = [
    (RNG.standard_normal((n, 5)) * [1, 2, 3, 0.1, 10] + [0, 15, -15, 4, 100]).astype("f4")
    for n in (30, 1, 70)
]


def test_statistics_are_kaldis() -> None:
    stats = Cmvn.of(torch.from_numpy(feats) for feats in FEATS).stats
    together = np.concatenate(FEATS).astype(np.float64)
    assert stats.shape == (2, 6)
    assert stats.dtype == np.float64
    np.testing.assert_allclose(stats[0], [*together.sum(0), 101])
    np.testing.assert_allclose(stats[1], [*(together**2).sum(0), 0])


def test_what_was_counted_gets_mean_zero_and_variance_one() -> None:
    cmvn = Cmvn.of(FEATS)
    normalised = cmvn.apply(torch.from_numpy(np.concatenate(FEATS)))
    assert normalised.dtype == torch.float32
    assert normalised.double().mean(0).abs().max() < 1e-5
    assert (normalised.double().var(0, correction=0) - 1).abs().max() < 1e-5


def test_a_batch_is_normalised_as_its_utterances() -> None:
    cmvn = Cmvn.of(FEATS)
    batch = torch.from_numpy(np.stack((FEATS[0], FEATS[2][:30])))
    assert torch.equal(cmvn.apply(batch)[1], cmvn.apply(batch[1]))


def test_sums_are_exact_where_float32_is_not() -> None:
    # 1e6 frames of 4097 + noise: float32 sums of squares would have lost the variance.
    feats = (4097 + RNG.standard_normal((1_000_000, 1))).astype(np.float32)
    assert abs(float(Cmvn.of([feats]).scale) ** -2 - feats.astype(np.float64).var()) < 1e-6


def test_a_constant_dimension_becomes_zero() -> None:
    feats = torch.full((1000, 2), -15.942385)
    feats[:, 1] = torch.arange(1000.0)
    normalised = Cmvn.of([feats]).apply(feats)
    assert normalised[:, 0].abs().max() < 1e-5 * VARIANCE_FLOOR**-0.5 * 1e-1
    assert torch.isfinite(normalised).all()


def test_the_file_is_a_kaldi_matrix_of_doubles(tmp_path: Path) -> None:
    cmvn = Cmvn.of(FEATS)
    path = tmp_path / "cmvn.ark"
    cmvn.save(path)
    # Kaldi's format: key, blank, NUL B, DM for a matrix of doubles, sizes as \4 + int32.
    assert path.read_bytes()[:25] == b"global \0BDM \4\2\0\0\0\4\6\0\0\0" + cmvn.stats.tobytes()[:3]
    np.testing.assert_array_equal(dict(kaldiio.load_ark(str(path)))["global"], cmvn.stats)
    loaded = Cmvn.load(path)
    np.testing.assert_array_equal(loaded.stats, cmvn.stats)
    assert torch.equal(loaded.apply(torch.from_numpy(FEATS[0])), cmvn.apply(torch.from_numpy(FEATS[0])))
    first = path.read_bytes()
    loaded.save(path)
    assert path.read_bytes() == first


def test_no_frames_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one frame"):
        Cmvn.of([])
    with pytest.raises(ValueError, match="hold no frame"):
        Cmvn.of([np.zeros((0, 5))])
    with pytest.raises(ValueError, match="not finite"):
        Cmvn.of([np.array([[np.nan]])])


def test_other_dimensions_are_an_error() -> None:
    cmvn = Cmvn.of(FEATS)
    with pytest.raises(ValueError, match="statistics of 5 dimensions, features of 6"):
        cmvn.apply(torch.zeros(3, 6))
    with pytest.raises(ValueError, match="5 and 6 dimensions"):
        Cmvn.of([np.zeros((1, 5)), np.zeros((1, 6))])


def test_a_bad_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no\.ark: no such file"):
        Cmvn.load(tmp_path / "no.ark")
    path = tmp_path / "bad.ark"
    good = tmp_path / "good.ark"
    Cmvn.of(FEATS).save(good)
    kaldiio.save_ark(str(tmp_path / "feats.ark"), {"a": np.zeros((7, 3))})
    contents = (
        b"",
        b"hello\n",
        good.read_bytes()[:60],
        (tmp_path / "feats.ark").read_bytes(),
        good.read_bytes() * 2,
    )
    for content in contents:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"bad\.ark: not a file of CMVN statistics") as caught:
            Cmvn.load(path)
        assert "\n" not in str(caught.value)
