"""simulate: a month once more, file by file."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta

import click

from spark_apps.commands.common import json_option, next_step, out, print_json, print_table, root_option
from spark_apps.commands.durations import Duration
from spark_apps.jobs import simulate as simulate_job
from spark_apps.jobs.simulate import Plan, Replayed
from spark_apps.jobs.simulate.stream_process import StreamProcess
from spark_apps.platform.signals import Wait, asked_to_end
from spark_apps.settings import load_settings, table_root
from spark_apps.storage import StoragePath


@click.command()
@root_option
@click.option("--month", type=click.DateTime(["%Y-%m"]), default="2019-11", show_default=True, help="What to replay.")
@click.option("--events", type=click.IntRange(min=1), help=f"Events of a file.  [default: {Plan.events}]")
@click.option(
    "--span", type=Duration(timedelta(seconds=1)), help="Original time of a file, as 1h, instead of --events."
)
@click.option(
    "--interval", type=Duration(), help=f"From one file to the next.  [default: {Plan.interval.total_seconds():g}s]"
)
@click.option("--speed", type=click.Choice(["max"]), help="No interval: as fast as the stream keeps up.")
@click.option(
    "--ahead", type=click.IntRange(min=0), default=5, show_default=True, help="Files the stream may be behind."
)
@click.option("--batches", type=click.IntRange(min=1), help="Files to drop.  [default: all that are left]")
@click.option("--again", is_flag=True, help="Start from the month's first event.")
@click.option("--stream", "with_stream", is_flag=True, help="Run `shopstream stream` beside it, until all is applied.")
@json_option
def simulate(
    root: str | None,
    month: datetime,
    events: int | None,
    span: timedelta | None,
    interval: timedelta | None,
    speed: str | None,
    ahead: int,
    batches: int | None,
    again: bool,
    with_stream: bool,
    as_json: bool,
) -> None:
    """Replay a month of raw rows as files for the stream.

    Goes on where it stopped, and holds back while the stream is behind. Ctrl-C ends it between two files.

    \b
    Example: shopstream simulate --events 10000 --interval 10s
    """
    if events is not None and span is not None:
        raise click.UsageError("--events and --span say two things about a file's size: give one of them.")
    if speed is not None and interval is not None:
        raise click.UsageError("--speed max has no interval: give one of the two.")
    pause = timedelta() if speed is not None else interval
    plan = Plan(
        month=month.date(),
        events=events or Plan.events,
        span=span,
        interval=pause if pause is not None else Plan.interval,
        ahead=ahead,
        files=batches,
        again=again,
    )
    folder = table_root(load_settings(root=root))
    with asked_to_end() as wait:
        done = _beside_a_stream(folder, plan, wait) if with_stream else simulate_job.run(folder, plan, wait)
    if as_json:
        print_json({**asdict(done), "complete": done.complete})
    else:
        _print(done)


def _beside_a_stream(root: StoragePath, plan: Plan, wait: Wait) -> Replayed:
    with StreamProcess(root) as stream:
        done = simulate_job.run(root, plan, stream.wait(wait))
        stream.finish(wait)
    return done


def _print(done: Replayed) -> None:
    figures = [
        ("files", f"{done.files:,}"),
        ("events", f"{done.events:,}"),
        ("size", f"{done.bytes / 1e6:,.1f} MB"),
        ("original time", f"{_minute(done.first_event)} to {_minute(done.last_event)}"),
        ("seconds", f"{done.seconds:,.1f}, of which held back {done.held_back:,.1f}"),
        ("events a second", f"{done.events / done.seconds:,.0f}"),
    ]
    print_table(f"Dropped of {done.month}", ["what", "figure"], figures if done.files else [("files", "0")])
    out.print(f"{done.position:,} of {done.total:,} events are dropped ({done.position / done.total:.1%}).")
    if done.complete:
        next_step("shopstream stream (`shopstream simulate --again` starts the month from its first event)")
    else:
        next_step("shopstream stream, and `shopstream simulate`, which goes on where this ended")


def _minute(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment is not None else "-"
