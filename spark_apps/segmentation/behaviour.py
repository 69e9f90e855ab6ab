"""One label per user for how they behave: from RFM name, cluster and whether they ever bought (SPEC G4)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

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


def behaviours(
    rfm_names: NDArray[np.intp], clusters: NDArray[np.intp], bought: NDArray[np.bool_], kinds: Sequence[str]
) -> pa.Array:
    """Returns the labels of users.

    Args:
        rfm_names: the places of their RFM names in rfm.NAMES.
        clusters: their clusters.
        bought: whether they have purchases.
        kinds: each cluster's name.
    """
    labels = [[[label(name, naming.rule_of(kind), of) for of in (False, True)] for kind in kinds] for name in rfm.NAMES]
    places = np.vectorize(LABELS.index, otypes=[np.int32])(np.array(labels))
    found = places[rfm_names, clusters, bought.astype(np.intp)]
    return pa.DictionaryArray.from_arrays(pa.array(found), pa.array(LABELS)).cast(pa.string())
