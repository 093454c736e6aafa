"""`table`: recordings with transcripts in a table or beside them, in the forms that other toolkits have.

| kind | what it is |
|---|---|
| `csv` | a table with headings: Common Voice, Hugging Face's `metadata.csv`, SpeechBrain, one's own |
| `json` | one object a line, or one list or object of them: NeMo, ESPnet, Hugging Face's `metadata.jsonl`,
SpeechBrain |
| `lhotse` | `recordings.jsonl.gz` and `supervisions.jsonl.gz` |
| `kaldi` | a folder with `wav.scp` and `text`, as Kaldi and ESPnet have it |
| `librispeech` | `*.trans.txt` files beside the sound |
| `beside` | a `.txt` or `.lab` file beside each sound file |
| `lines` | lines of `name text`, or of `name: text` |

`reading.py` finds out which it is, one module reads each, and `preparation.py` makes a data directory of it.
"""

from asr_topdown.corpora.table.preparation import SPEAKER_SOURCES, Options, prepare
from asr_topdown.corpora.table.reading import KINDS

__all__ = ["KINDS", "SPEAKER_SOURCES", "Options", "prepare"]
