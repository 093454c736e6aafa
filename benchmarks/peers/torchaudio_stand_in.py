"""What SpeechBrain asks of torchaudio on import: a version, and modules in which nothing is used."""

import sys
from types import ModuleType

__version__ = "2.11.0+stand.in"

for _name in ("transforms", "functional", "compliance", "compliance.kaldi"):
    sys.modules[f"{__name__}.{_name}"] = ModuleType(f"{__name__}.{_name}")
transforms, functional, compliance = (
    sys.modules[f"{__name__}.{_name}"] for _name in ("transforms", "functional", "compliance")
)
compliance.kaldi = sys.modules[f"{__name__}.compliance.kaldi"]  # type: ignore[attr-defined]


def list_audio_backends() -> list[str]:
    """None: it reads no sound."""
    return []
