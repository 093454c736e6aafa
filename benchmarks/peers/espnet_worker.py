"""ESPnet 2 as a contestant, through its public classes; run in the environment of `peers.sh`."""

from collections.abc import Callable
from typing import Any

import torch
from espnet.nets.batch_beam_search import BatchBeamSearch
from espnet.nets.beam_search import BeamSearch
from espnet.nets.scorers.ctc import CTCPrefixScorer
from espnet2.asr.ctc import CTC
from espnet2.asr.decoder.rnn_decoder import RNNDecoder
from espnet2.asr.decoder.transformer_decoder import TransformerDecoder
from espnet2.asr.encoder.rnn_encoder import RNNEncoder
from espnet2.asr.encoder.transformer_encoder import TransformerEncoder
from espnet2.asr.encoder.vgg_rnn_encoder import VGGRNNEncoder
from espnet2.asr.espnet_model import ESPnetASRModel
from torch import Tensor, nn
from worker import FEATURES, NEVER, UNITS, Batch, Contestant, serve, torch_optimizer

TOKENS = ["<blank>", "<unk>", *(f"unit{index}" for index in range(UNITS - 3)), "<sos/eos>"]
LOCATION = {"atype": "location", "adim": 320, "aconv_chans": 10, "aconv_filts": 100}


class Espnet(Contestant):
    """Its WSJ recipes' networks; <sos/eos> is one of the 50 units."""

    optimizer = staticmethod(torch_optimizer)

    def build(self, model: str) -> nn.Module:
        encoder, decoder = _parts(model)
        return ESPnetASRModel(
            vocab_size=UNITS,
            token_list=TOKENS,
            frontend=None,
            specaug=None,
            normalize=None,
            preencoder=None,
            encoder=encoder,
            postencoder=None,
            decoder=decoder,
            ctc=CTC(odim=UNITS, encoder_output_size=encoder.output_size()),
            joint_network=None,
            ctc_weight=1.0 if decoder is None else 0.3,
            report_cer=False,
            report_wer=False,
        )

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        feats, lengths, tokens, token_lengths = batch
        padding = torch.arange(tokens.shape[1], device=tokens.device) >= token_lengths[:, None]
        loss, _, _ = network(feats, lengths, tokens.masked_fill(padding, -1), token_lengths)
        return loss

    def search(
        self, network: nn.Module, model: str, *, beam: int, ctc_weight: float, tokens: int
    ) -> Callable[[Tensor], list[int]]:
        assert isinstance(network, ESPnetASRModel)
        decoder: Any = network.decoder
        output = decoder.output_layer if model.startswith("transformer") else decoder.output
        with torch.no_grad():
            output.bias[network.eos] = NEVER
        # What `asr_inference.py` does: hypotheses as a batch if every scorer can, which its LSTM cannot.
        kind = BatchBeamSearch if model.startswith("transformer") else BeamSearch
        search = kind(
            scorers={"decoder": decoder, "ctc": CTCPrefixScorer(ctc=network.ctc, eos=network.eos)},
            weights={"decoder": 1 - ctc_weight, "ctc": ctc_weight},
            beam_size=beam,
            vocab_size=UNITS,
            sos=network.sos,
            eos=network.eos,
            token_list=TOKENS,
            pre_beam_score_key="full",
        ).to(next(network.parameters()).device)

        def one(feats: Tensor) -> int:
            memory, _ = network.encode(feats[None], torch.tensor([len(feats)], device=feats.device))
            best = search(memory[0], maxlenratio=-tokens)[0]
            return len(best.yseq) - 2  # without <sos> and <eos>

        return lambda feats: [one(utterance) for utterance in feats]  # it searches one at a time


def _parts(model: str) -> tuple[Any, Any]:
    if model == "transformer_ctc_attention":
        return (
            TransformerEncoder(
                FEATURES, output_size=256, attention_heads=4, linear_units=2048, num_blocks=12
            ),
            TransformerDecoder(UNITS, 256, attention_heads=4, linear_units=2048, num_blocks=6),
        )
    if model == "transformer_narrow":
        raise ValueError("its conv2d front end is as wide as the Transformer")
    if model == "vgg_ctc_attention":
        encoder: Any = VGGRNNEncoder(FEATURES, num_layers=4, hidden_size=320, output_size=320)
    else:
        encoder = RNNEncoder(FEATURES, num_layers=4, hidden_size=320, output_size=320, subsample=(2, 2, 1, 1))
    if model == "blstm_ctc":
        return encoder, None
    return encoder, RNNDecoder(UNITS, 320, num_layers=1, hidden_size=320, att_conf=LOCATION)


if __name__ == "__main__":
    serve(Espnet())
