"""Lets the tests import `fake_runs`, which also programs that they start can."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
