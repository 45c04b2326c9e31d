"""Makes ``vee_days`` importable by the tests beside it."""

import importlib.util
import sys
from pathlib import Path

_NAME = "vee_days"
if _NAME not in sys.modules:
    _spec = importlib.util.spec_from_file_location(_NAME, Path(__file__).with_name("vee_days.py"))
    sys.modules[_NAME] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules[_NAME])
