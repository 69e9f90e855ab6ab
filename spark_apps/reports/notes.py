"""How the figures were made."""

from __future__ import annotations

from spark_apps.analysis.document import Analysis
from spark_apps.reports.data import ReportData
from spark_apps.reports.formats import UNKNOWN_FIGURE, moment, whole
from spark_apps.reports.layout import Section, bullets, facts

_ALWAYS = (
    "All times are UTC. Prices are in the currency of the log, which does not name it. A dash: not known.",
    "All counts are exact. Quantiles of sessions and of visits interpolate linearly and are exact.",
    "A price of 0 or below, an empty category code and an empty brand count as missing.",
)
_BEHAVIOUR = (
    "Funnel: a user, session or pair of user and product has viewed, has a cart, has a purchase when it has such an "
    "event, in whatever order; each stage asks for those before. A session here is one user's part of a session id.",
    "Abandonment: units with a cart, viewed or not, and no purchase. In a session any purchase counts, of a user too; "
    "of a pair, the purchase of that product.",
    "Paths: event types of a session in order of time, those of one second as view, cart, remove_from_cart, purchase; "
    "runs of one type cut to two, the first eight steps kept (what goes on ends in ...).",
)
_SEGMENTS = (
    "RFM: quintiles of recency, active dates and spend, equal values never split. Segments: k-means on standardised "
    "features; silhouette and cost by number of segments are of a sample. Names come from rules on a segment's means; "
    "of segments that the same rule names, all but the one that spends most per user get a number.",
)
_RECOMMENDATIONS = (
    "Recommendations: the price of a product is the mean of its events. Scores are compared among the sources whose "
    "mean lies no further from the range of the most frequent source's scores than that range is wide.",
)


def chapter(data: ReportData) -> Section:
    """Lays out the chapter.

    Args:
        data: what the report shows.
    """
    lines = list(_ALWAYS)
    if data.analysis.funnel:
        lines += [*_BEHAVIOUR, *_affinity_lines(data.analysis)]
    lines += _SEGMENTS if data.segments is not None else ()
    lines += _RECOMMENDATIONS if data.recommendations is not None else ()
    about = {
        "Events from": data.source,
        "First date": data.first_date or UNKNOWN_FIGURE,
        "Last date": data.last_date or UNKNOWN_FIGURE,
        "Report made": moment(data.made_at),
        "Code version": data.code_version,
    }
    return Section("notes", "Method notes", (bullets(lines), facts(about)))


def _affinity_lines(analysis: Analysis) -> list[str]:
    if not any(found.rules for found in analysis.affinities.values()):
        return []
    largest = max(found.largest_basket for found in analysis.affinities.values())
    return [
        "What goes together: a basket holds the different products, or known categories, viewed in one session or "
        f"purchased by one user; those with more than {whole(largest)} are left out. Support is the share of baskets "
        "with both, confidence the share of baskets with the first that hold the second, lift confidence over the "
        "share of all baskets that hold the second. Among the products and categories with most events of the kind."
    ]
