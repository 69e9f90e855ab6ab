"""How good the recommendations are, beside those of other models (R5)."""

from __future__ import annotations

from spark_apps.reports.charts.recommendations import model_comparison
from spark_apps.reports.data import Measure, Recommendations
from spark_apps.reports.formats import counted, figure, known, measure_name, moment
from spark_apps.reports.layout import Chart, heading, note, paragraph
from spark_apps.reports.tables.recommendations import comparison_table

# Words of the measures that weigh most, the weightiest first.
_LEADING = ("ndcg", "hit", "hr", "recall", "map")


def comparison_parts(found: Recommendations) -> list[Chart | str]:
    """Lays out how models compare: sentences, and charts of the leading measure and of the hit rate.

    Args:
        found: the model and its lists.

    Returns:
        Nothing where models were not compared.
    """
    comparison, measures = found.get("comparison", {}), compared_measures(found)
    if not comparison:
        return []
    parts: list[Chart | str] = [heading("How good they are"), paragraph(comparison_sentences(found))]
    parts.append(note(_conditions_note(found)))
    hits = [name for name in measures if {"hit", "hr"} & set(name.lower().replace("@", "_").split("_"))]
    for measure in dict.fromkeys([*measures[:1], *hits[:1]]):
        table = comparison_table(comparison, f"Models by {measure_name(measure)} and by all other measures")
        parts.append(Chart(f"chart-{_place(measure)}", model_comparison(comparison, measure), table))
    return parts


def comparison_sentences(found: Recommendations) -> list[str]:
    """Says which model does best by the leading measure, and how far it is ahead.

    Args:
        found: the model and its lists.

    Returns:
        One or two sentences, or none where models were not compared.
    """
    measure, ranked = leading_measure(found), ranked_models(found)
    if not ranked:
        return []
    (model, best), *others = ranked
    text = f"On held-out events {model} does best by {measure_name(measure)}: {_with_interval(best)}"
    if not others:
        return [f"{text}."]
    second, next_best = others[0]
    lead = found.get("differences", {}).get(second, {}).get(measure) if found.get("judged") == model else None
    return [f"{text}; {second} follows with {_with_interval(next_best)}.", *_lead_sentences(model, second, lead)]


def leading_measure(found: Recommendations) -> str:
    """Returns the measure of the comparison that is told first, empty where there is none.

    Args:
        found: the model and its lists.
    """
    return next(iter(compared_measures(found)), "")


def compared_measures(found: Recommendations) -> list[str]:
    """Returns the measures of the comparison, the weightiest first: over the whole catalogue before sampled ones.

    Args:
        found: the model and its lists.
    """
    measures = dict.fromkeys(name for figures in found.get("comparison", {}).values() for name in figures)
    return sorted(measures, key=lambda name: ("sampled" in name, _weight(name)))


def ranked_models(found: Recommendations) -> list[tuple[str, Measure]]:
    """Returns the models that have the leading measure, with their figures, best first.

    Args:
        found: the model and its lists.
    """
    measure = leading_measure(found)
    scored = [
        (model, figures[measure])
        for model, figures in found.get("comparison", {}).items()
        if measure in figures and known(figures[measure]["value"]) is not None
    ]
    return sorted(scored, key=lambda row: (-(row[1]["value"] or 0.0), row[0]))


def _weight(measure: str) -> int:
    return next((place for place, word in enumerate(_LEADING) if word in measure.lower()), len(_LEADING))


def _with_interval(measure: Measure) -> str:
    if known(measure["low"]) is None or known(measure["high"]) is None:
        return figure(measure["value"])
    return f"{figure(measure['value'])} (95 % interval {figure(measure['low'])} to {figure(measure['high'])})"


def _lead_sentences(model: str, second: str, lead: Measure | None) -> list[str]:
    if lead is None or (low := known(lead["low"])) is None or known(lead["high"]) is None:
        return []
    chance = "more than chance explains" if low > 0 else "which may be chance"
    return [f"User by user {model} is ahead of {second} by {_with_interval(lead)}, {chance}."]


def _place(measure: str) -> str:
    return "models-by-" + "".join(letter if letter.isalnum() else "-" for letter in measure.lower())


def _conditions_note(found: Recommendations) -> str:
    told = found.get("conditions", {})
    parts = []
    if "users_evaluated" in told:
        parts.append(f"on {counted(told['users_evaluated'], 'user')}")
    if "cutoff" in told:
        parts.append(f"on events from {moment(told['cutoff'])}, with models trained on those before")
    if "k" in told:
        parts.append(f"by the first {told['k']} of a list")
    if "negatives" in told:
        parts.append(f"where sampled, against {counted(told['negatives'], 'other product')}")
    return f"Measured {', '.join(parts)}." if parts else ""
