"""Compile Transformer blocks with PyTorch, which fuses the operations between matrix products."""

from torch import nn

from asr_topdown.nn.conformer import ConformerLayer
from asr_topdown.nn.e_branchformer import EBranchformerLayer
from asr_topdown.nn.transformer import TransformerLayer
from asr_topdown.nn.transformer_decoder import DecoderBlock

BLOCKS = (ConformerLayer, EBranchformerLayer, TransformerLayer, DecoderBlock)


def compile_blocks(model: nn.Module, backend: str = "inductor") -> int:
    """Compile every block of a Transformer in `model`, in place, for batches of any size; returns how many.

    Names and tensors do not change. A block is compiled when it first runs, which takes a minute or more.
    """
    blocks = [module for module in model.modules() if isinstance(module, BLOCKS)]
    for block in blocks:
        block.compile(dynamic=True, backend=backend)
    return len(blocks)
