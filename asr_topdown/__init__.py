"""asr_topdown: end-to-end speech recognition with layer-scheduled training."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asr_topdown.decode.recognizer import Recognizer

__version__ = "0.1.0"
__all__ = ["load"]


def load(model: Path | str, *, device: str = "cpu", beam: int | None = None) -> "Recognizer":
    """Load a trained model's folder: `asr_topdown.load(folder).transcribe(["a.wav"])`.

    Args:
        model: a folder that `asr-topdown train` or `topdown` made.
        device: "cpu", "cuda", …
        beam: width of a beam search; by default the search of the model's configuration.
    """
    # Imported here, so that `import asr_topdown` and the command line's help need no torch.
    from asr_topdown.decode.recognizer import Recognizer

    return Recognizer.load(model, device=device, beam=beam)
