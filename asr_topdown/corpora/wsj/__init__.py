"""`wsj`: the Wall Street Journal corpora WSJ0 (LDC93S6A/B) and WSJ1 (LDC94S13A/B), from the discs.

80 hours of read newspaper text, 16 kHz. The preparation follows Kaldi and ESPnet, without their tools: the
sound is not copied (SPHERE compressed with shorten), and wav.scp names the files on the discs.
"""

from asr_topdown.corpora.wsj.preparation import prepare
from asr_topdown.corpora.wsj.sets import SETS

__all__ = ["SETS", "prepare"]
