"""`shopstream generate`: synthetic events as a CSV file (SPEC D7)."""

from __future__ import annotations

from pathlib import Path

from spark_apps.errors import UserError, from_os_error
from spark_apps.generator import GeneratorSpec, write_events
from spark_apps.progress import row_progress

PREFIX = "synthetic-"


def run(events: int, month: str, seed: int, users: int | None, removals: float, output: Path, compress: bool) -> Path:
    """Writes synthetic events into a folder.

    Args:
        events: how many.
        month: such as 2019-10.
        seed: same seed, same bytes.
        users: users to spread them over; by default as many as in real October.
        removals: chance that a cart is followed by remove_from_cart.
        output: the folder; it is made if it is not there.
        compress: write gzip.

    Returns:
        The file, whose name says that it is synthetic.

    Raises:
        UserError: for values that cannot be used, or when the file cannot be written.
    """
    try:
        spec = GeneratorSpec(events, month, seed, users, removals)
        output.mkdir(parents=True, exist_ok=True)
        target = output / f"{PREFIX}{month}-seed{seed}-{events}.csv{'.gz' if compress else ''}"
        with row_progress(f"Generating {month}", events) as show:
            write_events(spec, target, show)
    except ValueError as error:
        raise UserError(str(error)) from None
    except OSError as error:
        raise from_os_error(error, output) or error from None
    return target
