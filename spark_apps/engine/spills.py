"""Where engines keep what does not fit into memory."""

from __future__ import annotations

import getpass
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spark_apps.settings import Settings, table_root
from spark_apps.storage.staging import StagingFolder, folder_lock, remove_abandoned


@contextmanager
def open_spills(settings: Settings, name: str, beside_tables: bool = True) -> Iterator[Path]:
    """Makes a folder for what does not fit into memory, and removes it afterwards, with those of killed jobs.

    It stands beside local tables, not in /tmp, which is often small.

    Args:
        settings: say where the tables are.
        name: of whom it is for.
        beside_tables: where these are on this machine.
    """
    root = table_root(settings)
    elsewhere = Path(tempfile.gettempdir()) / f"shopstream-{getpass.getuser()}"
    parent = (root / "temp" if isinstance(root, Path) and beside_tables else elsewhere) / name
    parent.mkdir(parents=True, exist_ok=True)
    with folder_lock(parent):
        remove_abandoned(parent)
        spills = StagingFolder(parent)
    try:
        yield spills.folder
    finally:
        spills.close()
