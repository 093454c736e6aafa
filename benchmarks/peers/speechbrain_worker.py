"""SpeechBrain as a contestant, through its public classes; run in the environment of `peers.sh`."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from speechbrain.decoders.scorer import CTCScorer, ScorerBuilder
from speechbrain.decoders.seq2seq import S2SRNNBeamSearcher, S2STransformerBeamSearcher
from speechbrain.lobes.models.convolution import ConvolutionFrontEnd
from speechbrain.lobes.models.CRDNN import CRDNN
from speechbrain.lobes.models.transformer.TransformerASR import TransformerASR
from speechbrain.nnet.embedding import Embedding
from speechbrain.nnet.linear import Linear
from speechbrain.nnet.losses import ctc_loss, nll_loss
from speechbrain.nnet.RNN import LSTM, AttentionalRNNDecoder
from torch import Tensor, nn
from worker import FEATURES, NEVER, UNITS, Batch, Contestant, serve, torch_optimizer

BLANK, BOS, EOS = 0, 48, 49
SIZE = 320


class ProjectedBlstm(nn.Module):
    """ESPnet's encoder out of SpeechBrain's layers: each BLSTM with a projection, tanh between them."""

    def __init__(self) -> None:
        super().__init__()
        sizes = [FEATURES, SIZE, SIZE, SIZE]
        self.lstms = nn.ModuleList(LSTM(SIZE, input_size=size, bidirectional=True) for size in sizes)
        self.projections = nn.ModuleList(Linear(SIZE, input_size=2 * SIZE) for _ in sizes)

    def forward(self, frames: Tensor, share: Tensor) -> Tensor:
        for index, (lstm, projection) in enumerate(zip(self.lstms, self.projections, strict=True)):
            frames = projection(lstm(frames, lengths=share)[0][:, :: 2 if index < 2 else 1])
            if index < 3:
                frames = torch.tanh(frames)
        return frames


class Recurrent(nn.Module):
    """An encoder, a CTC output and, if wanted, a location-aware LSTM decoder."""

    def __init__(self, encoder: nn.Module, *, decoder: bool, takes_lengths: bool) -> None:
        super().__init__()
        self.encoder, self.takes_lengths = encoder, takes_lengths
        self.ctc = Linear(UNITS, input_size=SIZE)
        self.decoder = None
        if decoder:
            self.embedding = Embedding(num_embeddings=UNITS, embedding_dim=SIZE)
            self.decoder = AttentionalRNNDecoder(
                "lstm", "location", SIZE, SIZE, 1, enc_dim=SIZE, input_size=SIZE, channels=10, kernel_size=100
            )
            self.output = Linear(UNITS, input_size=SIZE)

    def encode(self, feats: Tensor, share: Tensor) -> Tensor:
        return self.encoder(feats, share) if self.takes_lengths else self.encoder(feats)

    def forward(self, feats: Tensor, share: Tensor, read: Tensor) -> tuple[Tensor, Tensor | None]:
        memory = self.encode(feats, share)
        if self.decoder is None:
            return self.ctc(memory), None
        return self.ctc(memory), self.output(self.decoder(self.embedding(read), memory, share)[0])


class Transformer(nn.Module):
    """The LibriSpeech recipe's front end and Transformer, in the sizes of Karita et al. 2019."""

    def __init__(self) -> None:
        super().__init__()
        self.front = ConvolutionFrontEnd(
            (8, 10, FEATURES),
            num_blocks=2,
            num_layers_per_block=1,
            out_channels=[64, 32],
            kernel_sizes=[3, 3],
            strides=[2, 2],
            residuals=[False, False],
        )
        self.asr = TransformerASR(
            UNITS, 32 * -(-FEATURES // 4), 256, 4, 12, 6, 2048, 0.1, normalize_before=True, causal=False
        )
        self.ctc = Linear(UNITS, input_size=256)
        self.output = Linear(UNITS, input_size=256)

    def encode(self, feats: Tensor, share: Tensor) -> Tensor:
        return self.asr.encode(self.front(feats), share)

    def forward(self, feats: Tensor, share: Tensor, read: Tensor) -> tuple[Tensor, Tensor]:
        memory, decoded = self.asr(self.front(feats), read, share, pad_idx=BLANK)
        return self.ctc(memory), self.output(decoded)


class SpeechBrain(Contestant):
    """Not quite ESPnet's networks: the VGG model's encoder is its CRDNN, which has layer norms."""

    optimizer = staticmethod(torch_optimizer)

    def build(self, model: str) -> nn.Module:
        if model.startswith("transformer"):
            return Transformer()
        if model == "vgg_ctc_attention":
            encoder = CRDNN(
                input_size=FEATURES,
                cnn_channels=[64, 128],
                using_2d_pooling=True,
                rnn_class=LSTM,
                rnn_layers=4,
                rnn_neurons=SIZE,
                dnn_blocks=1,
                dnn_neurons=SIZE,
                dropout=0.0,
            )
            return Recurrent(encoder, decoder=True, takes_lengths=False)
        return Recurrent(ProjectedBlstm(), decoder=model != "blstm_ctc", takes_lengths=True)

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        feats, lengths, tokens, token_lengths = batch
        share = lengths / feats.shape[1]
        token_share = token_lengths / tokens.shape[1]
        inside = torch.arange(tokens.shape[1], device=tokens.device) < token_lengths[:, None]
        tokens = tokens * inside
        ctc, decoder = network(feats, share, F.pad(tokens, (1, 0), value=BOS))
        loss = ctc_loss(ctc.log_softmax(-1).float(), tokens, share, token_share, BLANK, reduction="batchmean")
        if decoder is None:
            return loss
        predict = F.pad(tokens, (0, 1)).scatter(1, token_lengths[:, None], EOS)
        predict_share = (token_lengths + 1) / predict.shape[1]
        attention = nll_loss(decoder.log_softmax(-1).float(), predict, predict_share, reduction="batchmean")
        return 0.3 * loss + 0.7 * attention

    def search(
        self, network: nn.Module, model: str, *, beam: int, ctc_weight: float, tokens: int
    ) -> Callable[[Tensor], list[int]]:
        assert isinstance(network, Recurrent | Transformer)
        with torch.no_grad():
            network.output.w.bias[EOS] = NEVER
        scorer = CTCScorer(network.ctc, blank_index=BLANK, eos_index=EOS)
        settings: dict[str, Any] = {
            "bos_index": BOS,
            "eos_index": EOS,
            "min_decode_ratio": 0.0,
            "max_decode_ratio": 1.0,
            "beam_size": beam,
            "scorer": ScorerBuilder(
                weights={"ctc": ctc_weight}, partial_scorers=[scorer], scorer_beam_scale=1.5
            ),
        }
        if isinstance(network, Transformer):
            searcher: Any = S2STransformerBeamSearcher([network.asr, network.output], **settings)
        else:
            searcher = S2SRNNBeamSearcher(network.embedding, network.decoder, network.output, **settings)

        def run(feats: Tensor) -> list[int]:
            share = torch.ones(len(feats), device=feats.device)
            memory = network.encode(feats, share)
            searcher.max_decode_ratio = (tokens + 0.5) / memory.shape[1]
            # The label of the last step makes room for <eos>.
            return [len(hypothesis) + 1 for hypothesis in searcher(memory, share)[0]]

        return run


if __name__ == "__main__":
    serve(SpeechBrain())
