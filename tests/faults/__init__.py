"""The fault campaign: studies that are killed, damaged and starved, each then started once more and compared."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
