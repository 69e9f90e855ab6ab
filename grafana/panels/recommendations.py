"""How good the recommendations are, measured on what users did next, and what they are made of."""

from __future__ import annotations

from grafana_foundation_sdk.builders import stat, table, timeseries
from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.panels.flux import Flux, by_tag, over_time, points, share, tag_values
from grafana.panels.frame import FluxAnnotation, framed, variable
from grafana.panels.looks import above, figure, line, rows, with_limit

RECOMMENDERS = "r.recommender =~ /^${recommender:regex}$/"
BY_RECOMMENDER = "${__field.labels.recommender}"
# from a file's drop to readable lists, seconds (SPEC T7)
MOST_LATENCY = 10.0
UPDATED = 'r.recommender == "updated"'


def dashboard() -> Dashboard:
    """Returns the dashboard."""
    return framed(
        "recommendations",
        "Recommendation performance",
        "Whether the lists in force guess what users put in the cart or buy next, against popularity and the lists of "
        "October.",
        [
            ("", [hit_rate_now(), reciprocal_rank_now(), lift(), coverage_now(), diversity_now(), model_now()]),
            ("How relevant", [hit_rate(), reciprocal_rank(), trials()]),
            ("What is recommended", [sources(), coverage(), diversity(), scores()]),
            ("How fresh", [latency(), lists(), models()]),
        ],
        [
            variable(
                "recommender",
                "Recommender",
                "updated: the stream's lists; static: those of the last training; popularity: the same for everybody.",
                tag_values("recommendation_metrics", "recommender"),
            )
        ],
        [FluxAnnotation("New models", new_models(), "purple")],
    )


def trials_and_hits() -> Flux:
    """The sums of trials and hits by recommender, where there were trials."""
    return points("recommendation_metrics", "trials", "hits").window("sum").wide("recommender").where("r.trials > 0")


def new_models() -> Flux:
    """When a combination of model versions was first in force."""
    return (
        points("recommendation_lists", "model")
        .then("unique()")
        .then('map(fn: (r) => ({time: r._time, text: "models in force: " + r._value}))')
    )


def hit_rate_now() -> stat.Panel:
    """The hit rate of the range."""
    query = points("recommendation_metrics", "trials", "hits").where(UPDATED).then("sum()")
    query = query.then('pivot(rowKey: ["recommender"], columnKey: ["_field"], valueColumn: "_value")')
    return figure(
        "Hit rate@10",
        "Share of carts and purchases, of products that the user had not bought before, that stood in the user's list "
        "of ten. Over the time range; the lists that the stream updates.",
        "percentunit",
        query.where("r.trials > 0").with_value(share("hits", "trials")).grouped().keep("_value"),
        decimals=1,
    )


def reciprocal_rank_now() -> stat.Panel:
    """The mean reciprocal rank of the newest batches."""
    query = points("recommendation_metrics", "mrr").where(UPDATED).window("mean").keep("_time", "_value")
    return figure(
        "MRR@10",
        "Mean of 1 / place of what was guessed, 0 for what was not; mean of the batches within the time range.",
        "none",
        query,
        decimals=3,
        calculation="mean",
    )


def lift() -> stat.Panel:
    """Hits of the updated lists per hit of popularity."""
    both = (
        points("recommendation_metrics", "hits")
        .then("sum()")
        .grouped()
        .then('pivot(rowKey: ["_field"], columnKey: ["recommender"], valueColumn: "_value")')
    )
    return figure(
        "Against popularity",
        "Hits of the updated lists per hit of the popularity list, over the time range. Under 1 the models do harm.",
        "none",
        both.where("r.popularity > 0").with_value(share("updated", "popularity")).keep("_value"),
        steps=above(1.0, 1.2),
        decimals=2,
    )


def coverage_now() -> stat.Panel:
    """Products in the newest lists."""
    return figure(
        "Coverage",
        "Distinct products in the lists that the newest batch wrote.",
        "short",
        over_time("recommendation_lists", "coverage", function="last"),
    )


def diversity_now() -> stat.Panel:
    """Diversity of the newest lists."""
    return figure(
        "Diversity",
        "Mean share of a list's places with different categories: 1 would be ten categories in ten places.",
        "percentunit",
        over_time("recommendation_lists", "diversity", function="last"),
        decimals=1,
    )


def model_now() -> stat.Panel:
    """The model versions in force."""
    return figure(
        "Models in force",
        "Versions of the models behind the newest lists; purple marks in the charts say when they changed.",
        "string",
        points("recommendation_lists", "model").then("last()").keep("_value"),
        text=True,
    )


def hit_rate() -> timeseries.Panel:
    """The hit rate over time, by recommender."""
    query = trials_and_hits().where(RECOMMENDERS).with_value(share("hits", "trials"))
    return line(
        "Hit rate@10 per minute",
        "Hits per trial of each minute, before the lists learned from them. `updated` should lie above `static` and "
        "`popularity`; where it does not, the stream's updates or the models are to blame.",
        "percentunit",
        query.keep("_time", "_value", "recommender"),
        name=BY_RECOMMENDER,
        width=16,
        interval="1m",
    )


def reciprocal_rank() -> timeseries.Panel:
    """The mean reciprocal rank over time, by recommender."""
    return line(
        "MRR@10",
        "How far up in the lists the hits stood: mean of the batches' values.",
        "none",
        by_tag("recommendation_metrics", "mrr", "recommender", condition=RECOMMENDERS),
        name=BY_RECOMMENDER,
        width=8,
        interval="1m",
    )


def trials() -> timeseries.Panel:
    """Trials and hits per minute."""
    query = points("recommendation_metrics", "trials", "hits").in_whole_windows().where(UPDATED)
    query = query.window("sum").per_minute().wide()
    return line(
        "Trials and hits per minute",
        "What the hit rate rests on: carts and purchases of products not bought before, and those of them guessed. "
        "Few trials make a restless rate. Whole minutes only.",
        "short",
        query.grouped().keep("_time", "trials", "hits"),
        names={"trials": "Trials", "hits": "Hits"},
        width=24,
        interval="1m",
    )


def sources() -> timeseries.Panel:
    """Shares of the lists' places by source."""
    panel = line(
        "Share per source",
        "Places in the lists that ALS, content and popularity filled. A growing popularity share means that fewer "
        "users and products are known to the models.",
        "percentunit",
        by_tag("recommendation_sources", "share", "source"),
        name="${__field.labels.source}",
        stacked=True,
    )
    return panel.max(1)


def coverage() -> timeseries.Panel:
    """Products in the lists."""
    return line(
        "Coverage",
        "Distinct products in the lists that a batch wrote. A fall means that everybody gets the same.",
        "short",
        over_time("recommendation_lists", "coverage"),
        names={"coverage": "Products"},
        width=6,
    )


def diversity() -> timeseries.Panel:
    """Diversity of the lists over time."""
    return line(
        "Diversity",
        "Mean share of different categories in a list.",
        "percentunit",
        over_time("recommendation_lists", "diversity"),
        names={"diversity": "Diversity"},
        width=6,
    )


def scores() -> timeseries.Panel:
    """The distribution of scores."""
    return line(
        "Score distribution",
        "Scores in the lists that a batch wrote: mean, median, and the band that holds eight of ten. A sudden step "
        "without new models is a fault.",
        "none",
        over_time("recommendation_lists", "score_p10", "score_p50", "score_p90", "score_mean"),
        names={"score_p10": "10 %", "score_p50": "Median", "score_p90": "90 %", "score_mean": "Mean"},
        width=24,
    )


def latency() -> timeseries.Panel:
    """Seconds from a file's drop to its lists."""
    panel = line(
        "Drop to lists",
        "Seconds from a file's drop to the commit of the lists made from it. The red line is the limit, 10 s.",
        "s",
        over_time("pipeline_health", "latency", function="max"),
        names={"latency": "Latency"},
        width=6,
    )
    return with_limit(panel, MOST_LATENCY)


def lists() -> timeseries.Panel:
    """Lists written per batch."""
    return line(
        "Lists per batch",
        "Users that got a new list from a batch: all that were seen in it.",
        "short",
        over_time("recommendation_lists", "lists"),
        names={"lists": "Lists"},
        width=6,
    )


def models() -> table.Panel:
    """The model versions of the range."""
    query = points("recommendation_lists", "model").then("unique()").grouped().sorted("_time").keep("_time", "_value")
    return rows(
        "Models since",
        "Versions of the models, and the batch that first used them within the time range.",
        "string",
        query.then('rename(columns: {_time: "since"})').named("models"),
        {"since": "Since", "models": "Models"},
        {"since": "dateTimeAsIso"},
        width=12,
    )
