"""A cluster's secrets: made once at random, kept in files that only their owner reads, never shown."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

# InfluxDB makes its writer's and reader's tokens itself: `metrics provision` keeps them on volumes
NAMES = (
    "spark_auth",
    "influxdb_admin_password",
    "influxdb_admin_token",
    "grafana_admin_password",
    "grafana_secret_key",
    "hadoop_http_secret",
)
FOLDER_MODE, FILE_MODE = 0o700, 0o600
_BYTES = 32


def make_secrets(folder: Path) -> list[str]:
    """Makes the secrets that are not there yet; one that is there is never written again.

    Args:
        folder: where they stand, one file each.

    Returns:
        The names of those made now.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(FOLDER_MODE)
    missing = [name for name in NAMES if not (folder / name).exists()]
    for name in missing:
        _write(folder / name, secrets.token_urlsafe(_BYTES))
    return missing


def main(arguments: list[str]) -> int:
    """Makes the secrets in the folder named first and prints the names of those made now, none of their values."""
    print("\n".join(make_secrets(Path(arguments[0]))))
    return 0


def _write(target: Path, value: str) -> None:
    """Renames a complete file into place, so that a cut-off run leaves no half secret."""
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    # created with its final mode: at no moment can another user open it
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii", newline="") as stream:
            stream.write(value)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
