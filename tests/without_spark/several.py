"""Runs several commands in one process, each given as a list in JSON; ends with the first that fails."""

from __future__ import annotations

import json
import sys

from spark_apps.cli import main

for arguments in sys.argv[1:]:
    try:
        main(json.loads(arguments), standalone_mode=False)
    except SystemExit as ended:
        if ended.code:
            raise
