"""The tables and files of one batch, staged for its publication."""

from __future__ import annotations

from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark_apps.engine.frames import write_files
from spark_apps.ingestion.cleaning import REASON
from spark_apps.jobs.stream.lines import Lines
from spark_apps.jobs.stream.places import batch_file, gains_file, numbered, replace_bucket_bases, staged_below
from spark_apps.publication import Publication
from spark_apps.storage import StoragePath, write_parquet
from spark_apps.streaming.figures import Answered, Learned, gains_of
from spark_apps.streaming.state import StreamState
from spark_apps.tables import (
    STREAM_EVENTS,
    STREAM_PRODUCTS,
    STREAM_QUARANTINE,
    STREAM_RECOMMENDATIONS,
    STREAM_USERS,
    STREAM_WINDOWS,
    Table,
)


class Outputs:
    """What one batch writes."""

    def __init__(self, root: StoragePath, publication: Publication, batch: int) -> None:
        """Names the batch and the publication that will show it."""
        self._root, self._publication, self.batch = root, publication, batch

    @property
    def bases_below(self) -> str:
        """Where tasks put bases that they make anew: see `places.staged_below`."""
        return staged_below(self._publication, self._root)

    def stage_lines(self, lines: Lines) -> tuple[tuple[str, ...], dict[str, int]]:
        """Stages events and quarantine.

        Returns:
            The paths that the events will have, and the lines in quarantine by reason.
        """
        events = self._stage(lines.events(self.batch), STREAM_EVENTS) if lines.clean else ()
        if lines.rows == lines.clean:
            return events, {}
        refused = lines.quarantine(self.batch).persist()
        self._stage(refused, STREAM_QUARANTINE)
        reasons = {row[REASON]: row["count"] for row in refused.groupBy(REASON).count().collect()}  # a handful
        refused.unpersist()
        return events, dict(sorted(reasons.items()))

    def stage_users(self, users: DataFrame, last: date) -> str:
        """Stages users and their lists; returns the path that the users will have.

        Args:
            users: columns of tasks.ANSWERED.
            last: the date under which the lists stand.
        """
        rows = users.where(F.col("user_id").isNotNull()).withColumn("batch", F.lit(self.batch))
        (named,) = self._stage(rows, STREAM_USERS)
        places = F.posexplode(F.arrays_zip("listed", "list_scores", "list_sources")).alias("place", "one")
        lists = rows.select("user_id", "batch", places).select(
            "user_id",
            (F.col("place") + 1).alias("rank"),
            F.col("one.listed").alias("product_id"),
            F.col("one.list_scores").alias("score"),
            F.col("one.list_sources").alias("source"),
            "batch",
            F.lit(last).alias("date"),
        )
        self._stage(lists, STREAM_RECOMMENDATIONS)
        return named

    def stage_figures(self, learned: Learned, answered: Answered) -> None:
        """Stages what the driver has; it grows with the batch's products and windows."""
        for table, rows in ((STREAM_WINDOWS, learned.windows), (STREAM_PRODUCTS, learned.products)):
            path = batch_file(table.path, self.batch)
            write_parquet(self._publication.stage(path), numbered(rows, table, self.batch))
            self._publication.replace(path)
        write_parquet(self._publication.stage(gains_file(self.batch)), gains_of(answered))
        self._publication.replace(gains_file(self.batch))

    def stage_bases(self, state: StreamState) -> None:
        """Takes the bases that tasks made anew in the place of the former ones.

        Args:
            state: before the batch.
        """
        replace_bucket_bases(self._publication, state, state.due())

    def _stage(self, rows: DataFrame, table: Table) -> tuple[str, ...]:
        """Stages a table's rows as one file, or one a date; returns the paths they will have."""
        folder = self._publication.scratch(table.name)
        write_files(rows.coalesce(1), folder, table)
        paths = []
        found: list[StoragePath] = sorted(folder.rglob("*.parquet"), key=str)
        for file in found:
            parent = f"{table.path}/{file.parent.name}" if table.partition else table.path
            paths.append(batch_file(parent, self.batch))
            self._publication.replace(paths[-1], file)
        return tuple(paths)
