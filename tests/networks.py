"""Small recognisers of every kind, and a ragged batch for them."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from asr_topdown import config as configuration
from asr_topdown.build import build_model
from asr_topdown.data.batch import SpeechBatch
from asr_topdown.models.recognizer import Recognizer

FEATURES, VOCAB = 9, 6
SIZES = (45, 30, 21, 8)
LABELS: tuple[list[int], ...] = ([2, 3, 3, 5], [1, 4], [2], [])

LSTM = {
    "kind": "lstm", "embedding_size": 4, "hidden_size": 5, "attention_size": 6, "location_filters": 2,
    "location_width": 3,
}  # fmt: skip
BLOCKS = {"num_layers": 2, "num_heads": 2, "ffn_dim": 12}
CONV2D = {"kind": "conv2d", "channels": 3, "output_size": 8}
DECODER = {"kind": "transformer", **BLOCKS}
TRANSDUCER = {
    "predictor": {"embedding_size": 3, "hidden_size": 6, "num_layers": 2, "dropout": 0.5},
    "joiner_size": 7,
}


def blstm(num_layers: int, hidden_size: int, **settings: Any) -> dict[str, Any]:
    """The section of a BLSTM encoder."""
    return {"kind": "blstm", "num_layers": num_layers, "hidden_size": hidden_size, **settings}


def blstm_ctc(num_layers: int, hidden_size: int, **settings: Any) -> dict[str, Any]:
    """The section `model` of a BLSTM under CTC."""
    return {"encoder": [blstm(num_layers, hidden_size, **settings)], "ctc": {}}


CONFORMER = {"kind": "conformer", "d_model": 8, "kernel_size": 5, **BLOCKS}
E_BRANCHFORMER = {
    "kind": "e_branchformer", "d_model": 8, "cgmlp_dim": 10, "kernel_size": 5, "merge_kernel_size": 3,
    **BLOCKS,
}  # fmt: skip
NETWORKS: dict[str, dict[str, Any]] = {
    "blstm_ctc": blstm_ctc(2, 4, projection_size=3, stack=3, norm=True, dropout=0.2),
    "vgg_ctc": {"encoder": [{"kind": "vgg", "filters": (3, 4)}, blstm(1, 4)], "ctc": {}},
    "conformer_ctc": {"encoder": [CONV2D, CONFORMER], "ctc": {}},
    "conv2d_blstm_ctc": {"encoder": [CONV2D, blstm(2, 4, subsample=(2,))], "ctc": {}},
    "blstm": {
        "encoder": [blstm(2, 4, projection_size=5, stack=2, subsample=(2,), dropout=0.2)],
        "ctc": {"weight": 0.3},
        "attention": {**LSTM, "dropout": 0.2, "label_smoothing": 0.1, "smoothing_prior": "unigram"},
    },
    "vgg": {
        "encoder": [{"kind": "vgg", "channels": 3}, blstm(2, 4, projection_size=5, norm=True)],
        "ctc": {"weight": 0.3},
        "attention": {**LSTM, "dropout": 0.2, "label_smoothing": 0.1},
    },
    "transformer": {
        "encoder": [CONV2D, {"kind": "transformer", "d_model": 8, **BLOCKS}],
        "ctc": {"weight": 0.3},
        "attention": DECODER,
    },
    "conformer": {
        "encoder": [CONV2D, CONFORMER],
        "ctc": {"weight": 0.3},
        "attention": {**DECODER, "num_layers": 1, "num_heads": 4},
    },
    "conformer_batch": {
        "encoder": [CONV2D, {**CONFORMER, "conv_norm": "batch"}],
        "ctc": {"weight": 0.3},
        "attention": {**DECODER, "num_layers": 1},
    },
    "e_branchformer": {
        "encoder": [CONV2D, E_BRANCHFORMER],
        "ctc": {"weight": 0.3},
        "attention": {**DECODER, "num_layers": 1},
    },
    "attention": {"encoder": [blstm(1, 4)], "attention": LSTM},
    "vgg_transformer_attention": {
        "encoder": [
            {"kind": "vgg", "filters": (2, 3)},
            {"kind": "transformer", "d_model": 8, **BLOCKS, "attention_dropout": 0.1},
        ],
        "attention": {**DECODER, "attention_dropout": 0.1},
    },
    "transducer": {
        "encoder": [blstm(2, 3, projection_size=4, stack=2, subsample=(2,))],
        "transducer": TRANSDUCER,
    },
    "ctc_transducer": {
        "encoder": [{"kind": "vgg", "filters": (3, 4)}, blstm(1, 3, projection_size=4)],
        "ctc": {"weight": 0.3},
        "transducer": TRANSDUCER,
    },
    "transformer_transducer": {
        "encoder": [CONV2D, {"kind": "transformer", "d_model": 8, **BLOCKS}],
        "transducer": TRANSDUCER,
    },
    "hybrid": {
        "encoder": [CONV2D, {"kind": "transformer", "d_model": 8, **BLOCKS}, {**CONFORMER, "num_layers": 1}],
        "ctc": {"weight": 0.2},
        "attention": DECODER,
        "transducer": {**TRANSDUCER, "weight": 0.3},
    },
}


def make(
    model: str | dict[str, Any], *, features: int = FEATURES, vocab_size: int = VOCAB, seed: int = 0
) -> Recognizer:
    """The recogniser of this name or with these settings, told the labels of the batch."""
    torch.manual_seed(seed)
    settings = NETWORKS[model] if isinstance(model, str) else model
    of_labels = {"text": {"unit": "label"}, "train": {"metric": "loss"}} if "label" in settings else {}
    config = configuration.parse(
        {"features": {"fbank": {"num_mels": features}}, "model": settings, **of_labels}
    )
    network = build_model(config, vocab_size)
    assert isinstance(network, Recognizer)
    network.set_prior(LABELS)
    return network


def make_batch(
    sizes: Sequence[int] = SIZES, labels: Sequence[Sequence[int]] = LABELS, *, features: int = FEATURES
) -> SpeechBatch:
    """Utterances of different lengths; what stands in the padding must not matter."""
    generator = torch.Generator().manual_seed(1)
    feats = torch.full((len(sizes), max(sizes) + 3, features), 77.0)
    tokens = torch.full((len(sizes), max(map(len, labels)) + 1), -1)
    for row, (size, units) in enumerate(zip(sizes, labels, strict=True)):
        feats[row, :size] = torch.randn(size, features, generator=generator)
        tokens[row, : len(units)] = torch.tensor(units, dtype=torch.long)
    names = tuple(f"u{row}" for row in range(len(sizes)))
    counts = torch.tensor([len(units) for units in labels])
    return SpeechBatch(names, feats, torch.tensor(sizes), tokens, counts)


def alone(batch: SpeechBatch, row: int) -> SpeechBatch:
    """One utterance of a batch, without padding."""
    size, count = int(batch.feat_lengths[row]), int(batch.token_lengths[row])
    one = slice(row, row + 1)
    return batch._replace(
        ids=batch.ids[one], feats=batch.feats[one, :size], feat_lengths=batch.feat_lengths[one],
        tokens=batch.tokens[one, :count], token_lengths=batch.token_lengths[one],
    )  # fmt: skip


def within(lengths: Tensor, size: int) -> Tensor:
    """(B, size) booleans, true on real frames."""
    return torch.arange(size) < lengths[:, None]
