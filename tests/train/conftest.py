"""Lets the tests import `toy_training`, which also programs that they start can."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
