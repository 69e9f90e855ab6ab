"""stream: dropped files keep everything up to date; and how far it is."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

import click

from spark_apps.commands.common import engine_options, json_option, next_step, out, print_json, print_table, root_option
from spark_apps.settings import load_settings, table_root
from spark_apps.streaming.intake import REASONS
from spark_apps.streaming.records import BatchRecord

if TYPE_CHECKING:
    from spark_apps.jobs.stream.status import StreamStatus

# How long points may take to reach their sink after the last batch; `metrics push` sends the others.
_LAST_POINTS_SECONDS = 5.0
# entries of incoming that a person is shown of each kind
_SHOWN = 10
_STEPS = ("file", "models", "parse", "update", "write")


@click.group("stream", invoke_without_command=True)
@engine_options
@click.option("--once", is_flag=True, help="End when the files that are there are read.")
@click.option("--stop-after", type=click.IntRange(min=1), metavar="N", help="End after so many files.")
@click.pass_context
def stream(
    context: click.Context,
    root: str | None,
    engine: str | None,
    master: str | None,
    once: bool,
    stop_after: int | None,
) -> None:
    """Keep features, segments and recommendations up to date with dropped files.

    Each file is one batch, applied once: what it changes appears at one moment,
    also when the stream is killed and started again. Ctrl-C ends it after the
    running batch, a second Ctrl-C at once. `shopstream simulate` drops the files.

    \b
    Example: shopstream stream --once
    """
    if context.invoked_subcommand is not None:
        return
    # late: `stream status` need not wait for them
    from spark_apps.engine.opening import open_engine
    from spark_apps.jobs.stream.query import StopPolicy, run
    from spark_apps.runtime.memory import return_freed_memory
    from spark_apps.telemetry.sender import Sender
    from spark_apps.telemetry.sinks import sink_of

    return_freed_memory()
    settings = load_settings(root=root, engine=engine, master=master)
    folder = table_root(settings)
    sender = Sender(folder, sink_of(settings, folder))

    def report(record: BatchRecord) -> None:
        sender.wake()
        tell_batch(record)

    sender.start()
    try:
        with open_engine(settings, "stream") as opened:
            applied = run(opened, settings, folder, StopPolicy(once, stop_after), report)
    finally:
        status = sender.stop(_LAST_POINTS_SECONDS)
    out.print(f"{applied:,} files applied.")
    if status.waiting:
        out.print(f"{status.waiting:,} batches have not reached {status.sink} yet: {status.error or 'time was up'}.")
        next_step("shopstream metrics push")
    else:
        next_step("shopstream stream status, or shopstream simulate for more files")


def tell_batch(record: BatchRecord) -> None:
    """Prints one line for a batch, on standard error."""
    click.echo(_line(record), err=True)
    if record.ahead and record.last_ahead:
        events = "1 event" if record.ahead == 1 else f"{record.ahead:,} events"
        until = f"{record.last_ahead:%Y-%m-%d %H:%M}"
        click.echo(f"        {events} far ahead, up to {until}: counted, but the watermark does not follow.", err=True)


def _line(record: BatchRecord) -> str:
    """One line for a batch, of at most 80 columns if its file was applied."""
    if record.outcome != "applied":
        why = f": {REASONS[record.reason]}" if record.reason else ""
        return f"{record.batch:>6}  {_one_line(record.file)}  {record.outcome}{why}"
    bad = f", {sum(record.quarantined.values()):,} bad" if record.quarantined else ""
    late = f", {record.late:,} late" if record.late else ""
    held = f", {record.held:,} known" if record.held else ""
    users = f"{record.activity.users:,} users" if record.activity else "no user"
    clock = f"to {record.last_event:%m-%d %H:%M}" if record.last_event else ""
    return f"{record.batch:>6}  {record.clean:>7,} events{bad}{late}{held}, {users}  {clock}  {record.duration:.1f} s"


@stream.command()
@root_option
@json_option
def status(root: str | None, as_json: bool) -> None:
    """Show how far the stream is, and what its last batch took.

    \b
    Example: shopstream stream status
    """
    from spark_apps.jobs.stream.status import read_status

    found = read_status(table_root(load_settings(root=root)))
    if as_json:
        print_json({**asdict(found), "last": found.last.model_dump(mode="json") if found.last else None})
        return
    _print_status(found)


def _print_status(found: StreamStatus) -> None:
    rows = [
        ("batches applied", f"{found.batches:,}"),
        ("files waiting", f"{found.waiting:,}"),
        ("oldest of them waits", _seconds(found.waiting_seconds)),
        ("events, good", f"{found.clean:,} in the last {found.looked_at:,} batches"),
        ("lines in quarantine", f"{found.quarantined:,} of them"),
        ("late events", f"{found.late:,} of them"),
        ("events ahead of the stream's time", f"{found.ahead:,} of them"),
        ("files refused", f"{len(found.refused):,} of them"),
        ("state", f"{found.state_bytes / 1e6:,.1f} MB in {found.state_files:,} files"),
    ]
    rows += [(f"points in {one.sink}", f"{one.waiting:,} batches wait") for one in found.sinks]
    print_table("Stream", ["what", "figure"], rows)
    _print_undone(found)
    if found.last is None:
        next_step("shopstream simulate, and shopstream stream")
        return
    steps = [(name, f"{found.last.seconds[name]:.2f}") for name in _STEPS if name in found.last.seconds]
    print_table(f"Batch {found.last.batch}", ["step", "seconds"], steps)
    out.print(f"Its last event: {_clock(found.last.last_event)}; watermark: {_clock(found.last.watermark)}.")
    out.print(f"From drop to tables: {found.last.latency:,.1f} s.")
    next_step("shopstream stream" if found.waiting else "shopstream simulate")


def _print_undone(found: StreamStatus) -> None:
    """Says what is not applied and why; of many files that wait their turn, the first."""
    shown = [one for one in found.incoming if one.for_stream][:_SHOWN] + [
        one for one in found.incoming if not one.for_stream
    ][:_SHOWN]
    if shown:
        print_table("Not applied", ["in incoming", "why"], [(_one_line(one.name), one.why) for one in shown])
    if len(shown) < len(found.incoming):
        out.print(
            f"And {len(found.incoming) - len(shown):,} more: `shopstream stream status --json` names all of them."
        )
    refused = [(_one_line(one.file), REASONS[one.reason]) for one in found.refused[-_SHOWN:] if one.reason]
    if refused:
        print_table("Refused", ["file", "why"], refused)


def _one_line(name: str) -> str:
    """Returns a file's name as a terminal can show it."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in name)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f} s"


def _clock(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else "-"
