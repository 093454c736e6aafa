"""A pretrained encoder as a chain of stages."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from asr_topdown.models.pretrained.frontends import (
    ConvolutionFrontend,
    FbankFrontend,
    Frontend,
    WindowFrontend,
)
from asr_topdown.models.pretrained.layers import (
    Block,
    ConformerBlock,
    EncoderLayer,
    GatedBlock,
    Mix,
    WindowBlock,
)
from asr_topdown.models.pretrained.library import published_network, random_network
from asr_topdown.models.pretrained.sound import LogMel, StackedFbank, flag
from asr_topdown.nn.stage import Stage


def pretrained_stages(
    input_size: int,
    *,
    path: str,
    architecture: Mapping[str, Any],
    preprocessor: Mapping[str, Any],
    weights: str,
    output: str | Sequence[int],
    mix: str,
    random: int,
    dropout: float,
) -> list[Stage]:
    """The stages of a published encoder.

    Args:
        input_size: 1, the size of a sample.
        path: the folder or hub name that holds the weights; "" = they are loaded afterwards, or random.
        architecture: the content of config.json.
        preprocessor: the content of preprocessor_config.json.
        weights: the hash of the files of weights; "" = random weights.
        output: `last`, or the layers whose outputs are used: 0 is the frontend, 1 the layer `enc.0`, ….
        mix: `last` gives one layer's output, `concat` several concatenated, `weighted` their weighted sum.
        random: how many of the network's highest layers start from random weights.
        dropout: on each layer's output.

    Raises:
        ValueError: in one line, naming the incompatible setting or the file.
    """
    if input_size != 1:
        raise ValueError("reads sound: set features.kind to waveform, and let it be the first of the encoder")
    if not architecture:
        raise ValueError("path: say where the encoder is, a folder or a name on the hub")
    frontend, blocks, norm = _parts(path, architecture, preprocessor, weights, random)
    chosen = _chosen(output, mix, len(blocks))
    given = len(blocks) - random
    if random and given >= chosen[-1]:
        raise ValueError(f"random: of the layers from enc.{given} up none is built, since output is {output}")
    frontend.published = bool(weights)
    stages: list[Stage] = [frontend]
    for index, block in enumerate(blocks[: chosen[-1]]):
        stages.append(
            EncoderLayer(
                block=block,
                norm=norm if index == len(blocks) - 1 else nn.Identity(),
                size=frontend.output_size,
                kept=sum(layer < index for layer in chosen),
                keep_input=index in chosen,
                window=frontend.window,
                last=index == chosen[-1] - 1,
                dropout=dropout,
                published=bool(weights) and index < given,
            )
        )
    if mix == "weighted":
        stages.append(Mix(count=len(chosen), size=frontend.output_size))
    return stages


def _parts(
    path: str, architecture: Mapping[str, Any], preprocessor: Mapping[str, Any], weights: str, random: int
) -> tuple[Frontend, list[Block], nn.Module]:
    """The frontend, the layers, of which the `random` highest are new, and the norm after the last one."""
    # Weights that are given, or will be, take nothing from the seed's generator: the layers above begin alike
    # whether their folder is there or not, which is no part of a training's name.
    with torch.random.fork_rng(devices=[]) if weights else contextlib.nullcontext():
        network = published_network(architecture, path, weights) if path else random_network(architecture)
    frontend, blocks, norm = _taken_apart(network, architecture, preprocessor)
    if not 0 <= random <= len(blocks):
        raise ValueError(f"random: the encoder has {len(blocks)} layers, got {random}")
    if weights and random:
        given = len(blocks) - random
        _, fresh, norm = _taken_apart(random_network(architecture), architecture, preprocessor)
        blocks = [*blocks[:given], *fresh[given:]]
    return frontend, blocks, norm


def _chosen(output: str | Sequence[int], mix: str, count: int) -> list[int]:
    """The layers whose outputs are used, ascending."""
    if isinstance(output, str):
        chosen = [count] if output == "last" else list(range(count + 1))
    else:
        chosen = sorted(output)
    if not chosen or len(set(chosen)) < len(chosen) or not 0 <= chosen[0] <= chosen[-1] <= count:
        raise ValueError(f"output: must be different layers from 0 to {count}, got {output}")
    if chosen[-1] == 0:
        raise ValueError("output: the frontend alone is no encoder; the lowest layer is 1")
    if len(chosen) > 1 and mix == "last":
        raise ValueError(f"mix: {len(chosen)} layers are asked for: must be concat or weighted")
    return chosen


def _taken_apart(
    network: Any, architecture: Mapping[str, Any], preprocessor: Mapping[str, Any]
) -> tuple[Frontend, list[Block], nn.Module]:
    """The frontend, the layers, and the norm after the last one."""
    kind = architecture["model_type"]
    if kind == "whisper":
        windowed = WindowFrontend(encoder=network, features=LogMel(settings=preprocessor))
        layers = [WindowBlock(layer=layer, window=windowed.window) for layer in network.layers]
        return windowed, [*layers], network.layer_norm
    layers_of: Sequence[Any] = network.encoder.layers
    if kind == "wav2vec2-bert":
        frontend = FbankFrontend(network=network, features=StackedFbank(preprocessor))
        return frontend, [ConformerBlock(layer=layer) for layer in layers_of], nn.Identity()
    stable = getattr(network.config, "do_stable_layer_norm", False)
    norm = network.encoder.layer_norm if stable else nn.Identity()
    heard = ConvolutionFrontend(network=network, normalise=flag(preprocessor, "do_normalize", True))
    if kind == "wavlm":
        table = layers_of[0].attention.rel_attn_embed
        return heard, [GatedBlock(layer=layer, table=table) for layer in layers_of], norm
    return heard, [Block(layer=layer) for layer in layers_of], norm
