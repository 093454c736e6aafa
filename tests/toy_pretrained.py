"""Toy encoders of every architecture with random weights, as the library saves them."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

transformers = pytest.importorskip("transformers", reason="wants the extra pretrained")

SIZE = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 24}
CONVOLUTIONS = {
    "conv_dim": (8, 8, 12), "conv_kernel": (10, 8, 8), "conv_stride": (5, 8, 8), "num_feat_extract_layers": 3,
}  # fmt: skip
POSITIONS = {"num_conv_pos_embeddings": 6, "num_conv_pos_embedding_groups": 2}
RAW = {**SIZE, **CONVOLUTIONS, **POSITIONS}
LARGE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
HEARD = {
    "feature_extractor_type": "Wav2Vec2FeatureExtractor", "sampling_rate": 16000, "feature_size": 1,
    "padding_value": 0.0,
}  # fmt: skip
BASE_HEARD = {**HEARD, "do_normalize": True, "return_attention_mask": False}
LARGE_HEARD = {**HEARD, "do_normalize": True, "return_attention_mask": True}
BUCKETS = {"num_buckets": 12, "max_bucket_distance": 20}

# name -> the library's classes, the architecture, what input is wanted
TOYS: dict[str, tuple[str, str, dict[str, Any], dict[str, Any]]] = {
    "wav2vec2_base": ("Wav2Vec2Model", "Wav2Vec2Config", RAW, BASE_HEARD),
    "wav2vec2_large": ("Wav2Vec2Model", "Wav2Vec2Config", {**RAW, **LARGE}, LARGE_HEARD),
    "hubert_base": ("HubertModel", "HubertConfig", RAW, BASE_HEARD),
    "hubert_large": ("HubertModel", "HubertConfig", {**RAW, **LARGE}, LARGE_HEARD),
    "wavlm_base": (
        "WavLMModel", "WavLMConfig", {**RAW, **BUCKETS}, {**BASE_HEARD, "do_normalize": False},
    ),
    "wavlm_large": ("WavLMModel", "WavLMConfig", {**RAW, **LARGE, **BUCKETS}, LARGE_HEARD),
    "data2vec": (
        "Data2VecAudioModel", "Data2VecAudioConfig",
        {**RAW, "num_conv_pos_embeddings": 2, "conv_pos_kernel_size": 5}, LARGE_HEARD,
    ),
    "wav2vec2_bert": (
        "Wav2Vec2BertModel", "Wav2Vec2BertConfig",
        {**SIZE, "feature_projection_input_dim": 40, "conv_depthwise_kernel_size": 5,
         "left_max_position_embeddings": 8, "right_max_position_embeddings": 4},
        {"feature_extractor_type": "SeamlessM4TFeatureExtractor", "feature_size": 20, "num_mel_bins": 20,
         "sampling_rate": 16000, "stride": 2, "padding_value": 1},
    ),
    "whisper": (
        "WhisperModel", "WhisperConfig",
        {"d_model": 16, "encoder_layers": 3, "encoder_attention_heads": 2, "encoder_ffn_dim": 24,
         "decoder_layers": 1, "decoder_attention_heads": 2, "decoder_ffn_dim": 8, "num_mel_bins": 20,
         "max_source_positions": 50, "vocab_size": 20, "pad_token_id": 0, "bos_token_id": 1,
         "eos_token_id": 2, "decoder_start_token_id": 1, "suppress_tokens": None,
         "begin_suppress_tokens": None},
        {"feature_extractor_type": "WhisperFeatureExtractor", "feature_size": 20, "chunk_length": 1,
         "n_fft": 400, "hop_length": 160, "sampling_rate": 16000},
    ),
}  # fmt: skip


def save(name: str, folder: Path, *, safe: bool = True) -> Path:
    """Write a toy encoder into `folder` as it would be published."""
    network, settings, architecture, heard = TOYS[name]
    torch.manual_seed(sum(name.encode()))
    made = getattr(transformers, network)(getattr(transformers, settings)(**architecture))
    with torch.no_grad():
        for parameter in made.parameters():  # far from the values at which biases and norms begin
            parameter += 0.1 * torch.randn(parameter.shape)
    made.save_pretrained(folder)
    if not safe:
        (folder / "model.safetensors").unlink()
        torch.save(made.state_dict(), folder / "pytorch_model.bin")
    (folder / "preprocessor_config.json").write_text(json.dumps(heard))
    return folder
