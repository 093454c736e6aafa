from dataclasses import dataclass
@dataclass(frozen=True, kw_only=True)
class FbankOptions:
    sample_rate: int = 16000
