"""asr_topdown: end-to-end speech recognition with layer-scheduled training."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asr_topdown.transcription.transcriber import Transcriber

__version__ = "0.2.0"
__all__ = ["load"]


def load(
    model: Path | str,
    *,
    device: str = "cpu",
    beam: int | None = None,
    nbest: int | None = None,
    precision: str | None = None,
    channel: int | None = None,
    longest: float = 30.0,
) -> "Transcriber":
    """Load a trained model: `asr_topdown.load(folder).transcribe(["a.wav"])[0].text`.

    Args:
        model: a folder made by `asr-topdown train` or `topdown`.
        device: "cpu", "cuda", …
        beam: width of a beam search; by default the search of the model's configuration.
        nbest: hypotheses per recording; by default as configured.
        precision: of matrix products, "float32", "bfloat16" or, on a CPU, "int8"; by default the
            configuration's.
        channel: of recordings with several, counted from 0; by default they are mixed.
        longest: seconds; longer audio is cut where it is quietest.

    Raises:
        ValueError: naming the missing or incompatible file of the folder, or a wrong argument.
    """
    # Imported here, so that `import asr_topdown` and the command line's help need no torch.
    from asr_topdown.transcription.transcriber import Transcriber

    return Transcriber.load(
        model,
        device=device,
        beam=beam,
        nbest=nbest,
        precision=precision,
        channel=channel,
        longest=longest,
    )
