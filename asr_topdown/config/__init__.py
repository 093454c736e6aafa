"""Every setting of an experiment, typed and frozen, read from YAML.

A YAML file may list others under `include:` (relative to itself); they are merged first, in order, and the
file's own keys override them. `--set section.key=value` overrides all files. An unknown key is an error that
gives its path and the nearest known one.
"""

from asr_topdown.config.config import Config
from asr_topdown.config.reading import dump, files, load, load_saved, parse

__all__ = ["Config", "dump", "files", "load", "load_saved", "parse"]
