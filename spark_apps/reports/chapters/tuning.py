"""What a tuning tried, and what it found (SPEC R1)."""

from __future__ import annotations

from spark_apps.reports.charts import tuning as charts
from spark_apps.reports.data import Recommendations, Trial
from spark_apps.reports.formats import counted, figure
from spark_apps.reports.layout import Chart, heading, paragraph
from spark_apps.reports.tables.table import table

_HEADS = ("Trial", "NDCG@10", "Rank (factors)", "Iterations", "Alpha", "Regularization", "Weights of the blend")


def tuning_parts(found: Recommendations) -> list[Chart | str]:
    """Lays out the trials of `shopstream train --tune`: a sentence, a chart and a table.

    Args:
        found: the model and its lists.

    Returns:
        Nothing where the parameters were not tuned.
    """
    tuned = found.get("tuning")
    if tuned is None:
        return []
    best, given = tuned["best"]["ndcg"], tuned["given_ndcg"]
    text = (
        f"{counted(len(tuned['trials']), 'set of parameters', 'sets of parameters')} were tried on the last product of "
        f"{counted(tuned['users'], 'user')}: trial {tuned['best']['trial']} was taken, with an NDCG@10 of "
        f"{figure(best)}; the parameters given had {figure(given)}."
    )
    rows = [_row(one) for one in sorted(tuned["trials"], key=lambda one: -one["ndcg"])]
    shown = table("Trials, the best first", _HEADS, rows)
    return [heading("What was tried"), paragraph([text]), Chart("chart-trials", charts.trials(tuned), shown)]


def _row(trial: Trial) -> tuple[str, ...]:
    blend = ", ".join(f"{name} {figure(weight)}" for name, weight in trial["blend"].items())
    sizes = (str(trial["rank"]), str(trial["iterations"]), figure(trial["alpha"]), figure(trial["regularization"]))
    return (str(trial["trial"]), figure(trial["ndcg"]), *sizes, blend)
