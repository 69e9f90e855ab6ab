"""Some of the registry's tests run on a real HDFS."""

from __future__ import annotations

from tests.storage.conftest import on_hdfs

__all__ = ["on_hdfs"]
