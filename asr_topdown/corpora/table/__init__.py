"""`table`: recordings with transcripts in a table or next to them, in other toolkits' formats.

| kind | format |
|---|---|
| `csv` | a table with headings: Common Voice, Hugging Face's `metadata.csv`, SpeechBrain, your own |
| `json` | an object per line, or a list or object of objects: NeMo, ESPnet, `metadata.jsonl`, SpeechBrain |
| `lhotse` | `recordings.jsonl.gz` and `supervisions.jsonl.gz` |
| `kaldi` | a folder with `wav.scp` and `text`, as in Kaldi and ESPnet |
| `librispeech` | `*.trans.txt` files next to the sound |
| `beside` | a `.txt` or `.lab` file next to each sound file |
| `lines` | lines of `name text`, or of `name: text` |

`reading.py` detects the kind, one module reads each, and `preparation.py` makes data directories.
"""

from asr_topdown.corpora.table.preparation import SPEAKER_SOURCES, Options, prepare
from asr_topdown.corpora.table.reading import KINDS

__all__ = ["KINDS", "SPEAKER_SOURCES", "Options", "prepare"]
