"""What a dropped file was cut from, as far as the replay wrote it down (see spark_apps/provenance.py)."""

from __future__ import annotations

from pydantic import ValidationError

from spark_apps.errors import UnusableFileError
from spark_apps.provenance import ReplayedParts
from spark_apps.storage import StoragePath
from spark_apps.streaming.replay import ReplayState
from spark_apps.tables import REPLAY_STATE, provenance_path


def replayed_parts(root: StoragePath, sha256: str, sequence: int | None) -> dict[str, tuple[str, ...]] | None:
    """Returns the raw parts of a drop by ISO date; none for a file from elsewhere; None where nobody knows any more.

    Args:
        root: folder of the tables.
        sha256: of the drop's bytes.
        sequence: its number in the replay, by its name.

    Raises:
        UnusableFileError: when what was written down is damaged.
    """
    note = root / provenance_path(sha256)
    try:
        return ReplayedParts.model_validate_json(note.read_bytes()).parts
    except FileNotFoundError:
        return None if sequence is not None and sequence <= _dropped(root) else {}
    except ValidationError:
        raise UnusableFileError(f"{note} is damaged: remove it, and start the stream again.") from None


def _dropped(root: StoragePath) -> int:
    """How many files the replay of this root has dropped, 0 where there was none: the others came from elsewhere."""
    try:
        return ReplayState.model_validate_json((root / REPLAY_STATE).read_bytes()).sequence
    except FileNotFoundError:
        return 0
    except ValidationError:
        raise UnusableFileError(
            f"{root / REPLAY_STATE} is damaged: replay with --again, which writes it anew."
        ) from None
