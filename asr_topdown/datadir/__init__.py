"""The Kaldi data directory: read, write, validate, fix, subset, combine, speed-perturb, summarise."""

from asr_topdown.datadir.changes import combine, originals, speed_perturb, subset
from asr_topdown.datadir.copying import copy_tables
from asr_topdown.datadir.directory import DataDir, check_features, content_hash, features_hash, read
from asr_topdown.datadir.fixing import fix
from asr_topdown.datadir.lines import read_table, write_table
from asr_topdown.datadir.parsing import Side
from asr_topdown.datadir.summary import Summary, durations, summarise, table
from asr_topdown.datadir.transcripts import read_transcripts, tidy
from asr_topdown.datadir.validation import check, validate
from asr_topdown.datadir.writing import write

__all__ = [
    "DataDir",
    "Side",
    "Summary",
    "check",
    "check_features",
    "combine",
    "content_hash",
    "copy_tables",
    "durations",
    "features_hash",
    "fix",
    "originals",
    "read",
    "read_table",
    "read_transcripts",
    "speed_perturb",
    "subset",
    "summarise",
    "table",
    "tidy",
    "validate",
    "write",
    "write_table",
]
