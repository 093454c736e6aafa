"""Lets the tests import `plays`, which also programs that they start can."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
