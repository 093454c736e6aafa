"""Lets the tests import `targets`, which `run.py` also does."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
