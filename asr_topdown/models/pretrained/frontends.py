"""The stage `frontend` of pretrained encoders: from audio to the input of their first layer.

The networks are the library's, whose modules are reused one by one; their computation on a padded batch
is reimplemented, so that no frame depends on the padding.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asr_topdown.models.pretrained.sound import LogMel, StackedFbank, normalised, zeroed
from asr_topdown.nn.lengths import mask
from asr_topdown.nn.stage import Stage


class Frontend(Stage):
    """The name of all frontends."""

    name = "frontend"
    numbered = False


class ConvolutionFrontend(Frontend):
    """Convolutions over the samples, a projection and a positional convolution (wav2vec 2.0).

    Args:
        network: the library's Wav2Vec2Model, HubertModel, WavLMModel or Data2VecAudioModel.
        normalise: whether each utterance's samples are normalised to mean 0 and variance 1.
    """

    def __init__(self, *, network: Any, normalise: bool) -> None:
        super().__init__()
        settings = network.config
        self.output_size = settings.hidden_size
        self.normalise = normalise
        self.convolutions = network.feature_extractor.conv_layers
        self.projection = network.feature_projection
        positions = network.encoder.pos_conv_embed
        stacked = hasattr(positions, "layers")  # Data2VecAudio has several on top of each other
        self.positions = positions.layers if stacked else nn.ModuleList([_Transposed(positions=positions)])
        # With pre-norm layers it follows the last one.
        stable = getattr(settings, "do_stable_layer_norm", False)
        self.norm = nn.Identity() if stable else network.encoder.layer_norm

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """As `Stage`, of (B, N, 1) samples; at least one frame."""
        samples = F.pad(x[..., 0], (0, max(0, self._least() - x.shape[1])))
        samples = (normalised if self.normalise else zeroed)(samples, lengths)
        frames, lengths = self._convolved(samples[:, None], lengths)
        projected = self.projection(frames.transpose(1, 2))
        hidden = projected[0] if isinstance(projected, tuple) else projected
        padding = ~mask(lengths, hidden.shape[1])[..., None]
        hidden = hidden.masked_fill(padding, 0.0)
        positions = hidden
        for layer in self.positions:
            positions = layer(positions.transpose(1, 2)).transpose(1, 2).masked_fill(padding, 0.0)
        return self.norm(hidden + positions), lengths

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Frames of (B,) numbers of samples: 49 or 50 per second."""
        for layer in self.convolutions:
            lengths = _convolved_length(lengths, layer.conv)
        return lengths

    def _convolved(self, signal: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        for layer in self.convolutions:
            lengths = _convolved_length(lengths, layer.conv)
            norm = getattr(layer, "layer_norm", None)
            if isinstance(norm, nn.GroupNorm):  # over time: the padding must not count
                signal = layer.activation(_normed_over_time(layer.conv(signal), lengths, norm))
            else:
                signal = layer(signal)
        return signal, lengths

    def _least(self) -> int:
        """Samples needed for one frame."""
        samples = 1
        for layer in reversed(self.convolutions):
            samples = (samples - 1) * layer.conv.stride[0] + layer.conv.kernel_size[0]
        return samples


class FbankFrontend(Frontend):
    """Log mel energies and a projection (Wav2Vec2-BERT).

    Args:
        network: the library's Wav2Vec2BertModel.
        features: its input.

    Raises:
        ValueError: if the two are incompatible.
    """

    def __init__(self, *, network: Any, features: StackedFbank) -> None:
        super().__init__()
        wanted = network.config.feature_projection_input_dim
        if features.size != wanted:
            raise ValueError(
                f"architecture.feature_projection_input_dim is {wanted}, and the preprocessor gives "
                f"{features.size} numbers a frame"
            )
        self.output_size = network.config.hidden_size
        self.features = features
        self.projection = network.feature_projection

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """As `Stage`, of (B, N, 1) samples; at least one frame."""
        samples = F.pad(x[..., 0], (0, max(0, self.features.least - x.shape[1])))
        frames, lengths = self.features(samples, lengths)
        hidden, _ = self.projection(frames)
        return hidden.masked_fill(~mask(lengths, hidden.shape[1])[..., None], 0.0), lengths

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Frames of (B,) numbers of samples: 50 per second."""
        return self.features.output_lengths(lengths)


class WindowFrontend(Frontend):
    """Log mel energies of whole windows, two convolutions and positions (Whisper).

    Args:
        encoder: the library's WhisperEncoder.
        features: its input.

    Raises:
        ValueError: if the two are incompatible.
    """

    def __init__(self, *, encoder: Any, features: LogMel) -> None:
        super().__init__()
        settings = encoder.config
        self.output_size, self.window = settings.d_model, settings.max_source_positions
        frames = features.window // features.hop
        if (features.size, frames) != (settings.num_mel_bins, 2 * self.window):
            raise ValueError(
                f"architecture: the network reads {2 * self.window} frames of {settings.num_mel_bins} "
                f"numbers, and the preprocessor gives {frames} of {features.size}"
            )
        self.features = features
        self.conv1, self.conv2 = encoder.conv1, encoder.conv2
        # Not a parameter: the library does not train it either.
        self.register_buffer("positions", encoder.embed_positions.weight.detach().clone())

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, N, 1) samples -> (B, W x window, D), with the last window not cut, (B,) lengths."""
        mels = self.features(x[..., 0], lengths)
        hidden = F.gelu(self.conv2(F.gelu(self.conv1(mels)))).transpose(1, 2)
        assert isinstance(self.positions, Tensor)
        hidden = hidden + self.positions
        return hidden.reshape(len(x), -1, self.output_size), self.output_lengths(lengths)

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Frames with audio, of (B,) numbers of samples: 50 per second."""
        return -(-lengths // (2 * self.features.hop))


class _Transposed(nn.Module):
    """A module of (B, T, D) as one of (B, D, T)."""

    def __init__(self, *, positions: nn.Module) -> None:
        super().__init__()
        self.module = positions

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.module(x.transpose(1, 2))
        return out.transpose(1, 2)


def _convolved_length(lengths: Tensor, conv: nn.Conv1d) -> Tensor:
    return ((lengths - conv.kernel_size[0]) // conv.stride[0] + 1).clamp(min=0)


def _normed_over_time(signal: Tensor, lengths: Tensor, norm: nn.GroupNorm) -> Tensor:
    """(B, C, T), each channel normalised over the frames of its utterance, as without padding."""
    signal = signal.float()
    real = mask(lengths, signal.shape[2])[:, None]
    count = lengths.clamp(min=1)[:, None, None]
    mean = (signal * real).sum(2, keepdim=True) / count
    centred = signal - mean
    variance = (centred.square() * real).sum(2, keepdim=True) / count
    scaled = centred * torch.rsqrt(variance + norm.eps)
    return scaled * norm.weight[:, None] + norm.bias[:, None]
