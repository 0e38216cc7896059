"""Lets the parity tests import ``rule`` and ``flame_synth``, which stand beside them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
