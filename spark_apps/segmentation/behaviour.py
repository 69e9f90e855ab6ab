"""One label per user for how they behave: from RFM name, cluster and whether they ever bought (SPEC G4)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain

from pyspark.sql import Column
from pyspark.sql import functions as F

from spark_apps.segmentation import naming, rfm

# Where a user stands among all users: the RFM names in five stages.
STAGES: dict[str, tuple[str, ...]] = {
    "established": ("Champions", "Loyal"),
    "growing": ("Potential Loyalists", "New Customers", "Promising"),
    "wavering": ("Need Attention", "About To Sleep"),
    "leaving": ("At Risk", "Cannot Lose Them"),
    "gone": ("Hibernating", "Lost"),
}
# How the user's cluster shops, by the rule that named it: the columns of the two tables below.
KINDS = ("VIP_Customers", "Loyal_Customers", "Active_Buyers", "Casual_Browsers", "Dormant_Users")

Table = dict[str, tuple[str, ...]]
BUYERS: Table = {
    "established": ("High-Value Customer", "Regular Customer", "Keen Buyer", "Occasional Buyer", "Returned Customer"),
    "growing": ("High-Value Customer", "Rising Customer", "Keen Buyer", "Occasional Buyer", "Returned Customer"),
    "wavering": ("High-Value At Risk", "Cooling Customer", "Cooling Customer", "Cooling Customer", "Dormant Customer"),
    "leaving": ("High-Value At Risk", "Customer At Risk", "Customer At Risk", "Customer At Risk", "Dormant Customer"),
    "gone": ("High-Value At Risk", "Past Customer", "Past Customer", "Past Customer", "Dormant Customer"),
}
VISITORS: Table = {  # who never bought
    "established": ("Regular Visitor", "Regular Visitor", "Regular Visitor", "Regular Visitor", "Returned Visitor"),
    "growing": ("Regular Visitor", "Regular Visitor", "Window Shopper", "Window Shopper", "Returned Visitor"),
    "wavering": ("Cooling Visitor", "Cooling Visitor", "Cooling Visitor", "Cooling Visitor", "Dormant Visitor"),
    "leaving": ("Cooling Visitor", "Cooling Visitor", "Cooling Visitor", "Cooling Visitor", "Dormant Visitor"),
    "gone": ("Past Visitor", "Past Visitor", "Past Visitor", "Past Visitor", "Dormant Visitor"),
}
LABELS = tuple(dict.fromkeys(chain.from_iterable((*BUYERS.values(), *VISITORS.values()))))


def label(rfm_segment: str, rule: str, bought: bool) -> str:
    """Returns the label of a user: the tables above in Python.

    Args:
        rfm_segment: one of the eleven RFM names.
        rule: one of KINDS, the name of the user's cluster without its number.
        bought: whether the user has purchases.
    """
    stage = next(stage for stage, names in STAGES.items() if rfm_segment in names)
    return (BUYERS if bought else VISITORS)[stage][KINDS.index(rule)]


def behaviour_column(names: Mapping[int, str]) -> Column:
    """Returns the label of users that have rfm_segment, cluster and purchases.

    Args:
        names: each cluster's name.
    """
    bought, visited = (_by_rfm_and_cluster(names, bought) for bought in (True, False))
    key = F.concat_ws("/", "rfm_segment", F.col("cluster").cast("string"))
    return F.when(F.col("purchases") > 0, bought[key]).otherwise(visited[key]).alias("behaviour")


def _by_rfm_and_cluster(names: Mapping[int, str], bought: bool) -> Column:
    labels = {
        f"{rfm_name}/{cluster}": label(rfm_name, naming.rule_of(name), bought)
        for rfm_name in rfm.NAMES
        for cluster, name in names.items()
    }
    return F.create_map(*(F.lit(part) for pair in labels.items() for part in pair))
