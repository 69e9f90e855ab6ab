"""The platform: HDFS, Spark, and whether the stream keeps up."""

from __future__ import annotations

from grafana_foundation_sdk.builders import bargauge, stat, table, timeseries
from grafana_foundation_sdk.models.dashboard import Dashboard, ValueMap, ValueMappingResult

from grafana.panels.flux import latest, over_time, points
from grafana.panels.frame import framed
from grafana.panels.looks import GREEN, RED, Steps, above, below, figure, line, ranking, rows, with_limit
from grafana.panels.realtime import MOST_LATENCY, MOST_SECONDS

NO_CLUSTER = "No data: only a cluster reports this"


def dashboard() -> Dashboard:
    """Returns the dashboard."""
    return framed(
        "platform",
        "Platform",
        "Whether the machines keep up with the shop.",
        [
            ("", [safe_mode(), live_nodes(), dead_nodes(), short_blocks(), workers(), waiting()]),
            ("HDFS", [storage(), files(), nodes()]),
            ("Spark", [cores(), memory(), applications()]),
            ("Stream", [slowest_batches(), slowest_wait(), batches(), volume(), new_products()]),
            ("Where its time goes", [typical_times(), throughput(), step_times(), step_table()]),
        ],
    )


def _hdfs(title: str, description: str, field: str, steps: Steps) -> stat.Panel:
    query = over_time("platform_hdfs", field, function="last")
    return figure(title, description, "none", query, steps=steps).no_value(NO_CLUSTER)


def safe_mode() -> stat.Panel:
    """Whether HDFS takes writes."""
    panel = _hdfs(
        "Safe mode",
        "On while HDFS takes no writes: for a minute after it starts. Jobs wait for it; longer than that is a fault.",
        "safe_mode",
        ((None, GREEN), (1, RED)),
    )
    return panel.mappings([ValueMap(options={"0": ValueMappingResult(text="off"), "1": ValueMappingResult(text="on")})])


def live_nodes() -> stat.Panel:
    """DataNodes that report."""
    return _hdfs("Live DataNodes", "DataNodes that report to the NameNode.", "live_nodes", above(1, 2))


def dead_nodes() -> stat.Panel:
    """DataNodes that stopped reporting."""
    return _hdfs(
        "Dead DataNodes",
        "DataNodes that stopped reporting 40 s ago or longer; those that were drained do not count. Good: 0.",
        "dead_nodes",
        ((None, GREEN), (1, RED)),
    )


def short_blocks() -> stat.Panel:
    """Blocks with too few copies."""
    return _hdfs(
        "Blocks short of copies",
        "Blocks with fewer copies than wanted. Rises when a DataNode is lost, and falls as copies are made.",
        "short_blocks",
        below(1, 1_000),
    )


def workers() -> stat.Panel:
    """Workers that take executors."""
    return figure(
        "Spark workers",
        "Workers that take executors. Fewer than were started: see `shopstream cluster status`.",
        "none",
        over_time("platform_spark", "workers", function="last"),
        steps=above(1, 2),
    ).no_value(NO_CLUSTER)


def waiting() -> stat.Panel:
    """Applications that wait."""
    return figure(
        "Jobs waiting",
        "Spark applications that wait for cores or memory. Good: 0; one that waits for ever asks for too much.",
        "none",
        over_time("platform_spark", "waiting", function="last"),
        steps=below(1, 2),
    ).no_value(NO_CLUSTER)


def storage() -> timeseries.Panel:
    """Bytes used and there."""
    return line(
        "HDFS storage",
        "Bytes that HDFS uses, all copies counted, and what its DataNodes have.",
        "bytes",
        over_time("platform_hdfs", "used", "capacity"),
        names={"used": "Used", "capacity": "Capacity"},
        width=8,
    ).no_value(NO_CLUSTER)


def files() -> timeseries.Panel:
    """Files and blocks."""
    return line(
        "Files and blocks",
        "Files and folders, and blocks. Both rise with each batch until `shopstream compact` and the retention run.",
        "short",
        over_time("platform_hdfs", "files", "blocks"),
        names={"files": "Files", "blocks": "Blocks"},
        width=8,
    ).no_value(NO_CLUSTER)


def nodes() -> timeseries.Panel:
    """DataNodes and missing blocks over time."""
    return line(
        "Nodes and blocks at risk",
        "DataNodes that report and that do not, blocks short of copies, and blocks without any copy: of these there "
        "must be none.",
        "none",
        over_time("platform_hdfs", "live_nodes", "dead_nodes", "short_blocks", "missing_blocks", function="last"),
        names={
            "live_nodes": "Live",
            "dead_nodes": "Dead",
            "short_blocks": "Blocks short of copies",
            "missing_blocks": "Blocks lost",
        },
        width=8,
    ).no_value(NO_CLUSTER)


def cores() -> timeseries.Panel:
    """Cores there and in use."""
    return line(
        "Cores",
        "Cores of all workers, and those held by applications. The stream holds its own as long as it runs.",
        "none",
        over_time("platform_spark", "cores", "cores_used", function="last"),
        names={"cores": "All", "cores_used": "Held"},
        width=8,
    ).no_value(NO_CLUSTER)


def memory() -> timeseries.Panel:
    """Memory there and in use."""
    return line(
        "Executor memory",
        "Memory that workers give to executors, and what applications hold of it.",
        "bytes",
        over_time("platform_spark", "memory", "memory_used", function="last"),
        names={"memory": "All", "memory_used": "Held"},
        width=8,
    ).no_value(NO_CLUSTER)


def applications() -> timeseries.Panel:
    """Applications running and waiting."""
    return line(
        "Jobs",
        "Spark applications at work, and those that wait for cores or memory.",
        "none",
        over_time("platform_spark", "running", "waiting", function="last"),
        names={"running": "Running", "waiting": "Waiting"},
        width=8,
    ).no_value(NO_CLUSTER)


def slowest_batches() -> stat.Panel:
    """The 95th percentile of the batch time."""
    return figure(
        "Batch time, 95 %",
        "95 of 100 batches within the time range took no longer. Limit: 5 s.",
        "s",
        points("pipeline_health", "seconds").then('quantile(q: 0.95, method: "exact_mean")').keep("_value"),
        steps=below(0.8 * MOST_SECONDS, MOST_SECONDS),
        decimals=1,
    )


def slowest_wait() -> stat.Panel:
    """The 95th percentile of the latency."""
    return figure(
        "Drop to commit, 95 %",
        "95 of 100 files within the time range waited no longer. Limit: 10 s.",
        "s",
        points("pipeline_health", "latency").then('quantile(q: 0.95, method: "exact_mean")').keep("_value"),
        steps=below(0.8 * MOST_LATENCY, MOST_LATENCY),
        decimals=1,
    )


def batches() -> stat.Panel:
    """Batches within the range."""
    return figure(
        "Batches",
        "Batches whose files were dropped within the time range: six a minute at the default interval.",
        "short",
        points("pipeline_health", "batch").then("count()").keep("_value"),
    )


def volume() -> stat.Panel:
    """Bytes read within the range."""
    return figure(
        "Data read",
        "Size of the files read within the time range.",
        "decbytes",
        over_time("pipeline_health", "bytes", function="sum"),
        calculation="sum",
        width=12,
    )


def new_products() -> stat.Panel:
    """Products seen for the first time within the range."""
    return figure(
        "New products",
        "Products seen for the first time within the time range: the models know them by content only.",
        "short",
        over_time("pipeline_health", "new_products", function="sum"),
        calculation="sum",
        width=12,
    )


def typical_times() -> timeseries.Panel:
    """Mean batch time and wait over time."""
    panel = line(
        "Typical times",
        "Mean batch time and mean wait from drop to commit, by minute. A slow rise over hours means that something "
        "grows with the data.",
        "s",
        over_time("pipeline_health", "seconds", "latency"),
        names={"seconds": "Batch time", "latency": "Drop to commit"},
        interval="1m",
    )
    return with_limit(panel, MOST_LATENCY)


def throughput() -> timeseries.Panel:
    """Bytes read per minute."""
    query = points("pipeline_health", "bytes").in_whole_windows().window("sum").per_minute().keep("_time", "_value")
    return line(
        "Data read per minute",
        "Size of the files read per minute; whole minutes only.",
        "decbytes",
        query,
        name="Read",
        interval="1m",
    )


def step_times() -> bargauge.Panel:
    """Mean time of each step."""
    query = points("pipeline_steps", "seconds").then("mean()").grouped().keep("step", "_value").sorted("_value")
    return ranking("Mean time of steps", "Seconds that each step takes, mean of the time range.", "s", query, "step")


def step_table() -> table.Panel:
    """Each step's newest time."""
    query = latest("pipeline_steps", "seconds", keys=("step",)).sorted("seconds")
    return rows(
        "Steps of the newest batch",
        "Seconds of each step, longest first.",
        "s",
        query,
        {"step": "Step", "seconds": "Seconds", "_time": "Batch dropped at"},
        {"_time": "dateTimeAsIso"},
        width=16,
    )
