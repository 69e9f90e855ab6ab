"""Imports modules, given by name; prints for each that cannot be imported why not."""

from __future__ import annotations

import sys
from importlib import import_module

for name in sys.argv[1:]:
    try:
        import_module(name)
    except ImportError as error:
        print(f"{name}: {error}")
