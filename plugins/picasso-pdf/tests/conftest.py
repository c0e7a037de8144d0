"""Let the tests import ``pdf_kit``, whatever import mode the run has."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
