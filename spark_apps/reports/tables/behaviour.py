"""Tables of what users do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from spark_apps.reports.data import Abandonment, Frequency, Funnel, Item, Path, Rule, TopItem
from spark_apps.reports.formats import UNKNOWN_FIGURE, decimal, share, whole
from spark_apps.reports.tables.table import table

_UNITS = {"users": "users", "sessions": "sessions", "pairs": "user and product"}
# What an item is called by, and the heading of that column.
_NAMES = {"product_id": "Product", "brand": "Brand", "category_code": "Category"}


def funnel_table(funnels: Mapping[str, Funnel]) -> str:
    """Writes the funnel of each unit.

    Args:
        funnels: those that viewed, that also have a cart, that also have a purchase.

    Returns:
        HTML.
    """
    heads = (
        "Counted by",
        "Viewed",
        "and cart",
        "and purchase",
        "Purchase without cart",
        "View to cart",
        "Cart to purchase",
        "View to purchase",
    )
    rows = [
        (
            _UNITS.get(unit, unit),
            *(whole(found[key]) for key in ("viewed", "carted", "purchased", "purchased_without_cart")),
            share(found["carted"], found["viewed"]),
            share(found["purchased"], found["carted"]),
            share(found["purchased"] + found["purchased_without_cart"], found["viewed"]),
        )
        for unit, found in funnels.items()
    ]
    return table("Funnel (counts and rates)", heads, rows)


def abandonment_table(units: Mapping[str, Abandonment]) -> str:
    """Writes how many carts end without a purchase.

    Args:
        units: those with a cart and those of them without a purchase.

    Returns:
        HTML.
    """
    heads = ("Counted by", "With a cart (count)", "Without a purchase (count)", "Abandoned")
    rows = [
        (
            _UNITS.get(unit, unit),
            whole(carts["with_cart"]),
            whole(carts["without_purchase"]),
            share(carts["without_purchase"], carts["with_cart"]),
        )
        for unit, carts in units.items()
    ]
    return table("Carts without a purchase", heads, rows)


def frequency_table(frequency: Frequency, what: str) -> str:
    """Writes how many users come how often.

    Args:
        frequency: users in bands, and figures over all users.
        what: is counted of each user.

    Returns:
        HTML.
    """
    rows = [(band, whole(users), share(users, frequency["users"])) for band, users in frequency["distribution"].items()]
    rows += [
        ("mean", decimal(frequency["mean"]), ""),
        ("median", decimal(frequency["median"]), ""),
        ("90th percentile", decimal(frequency["p90"]), ""),
        ("maximum", whole(frequency["max"]), ""),
    ]
    heads = (f"{what.capitalize()} of one user", "Users (count)", "Share")
    return table(f"Users by their number of {what}; below, figures over all users", heads, rows)


def paths_table(rows: Sequence[Path], caption: str) -> str:
    """Writes paths inside sessions.

    Args:
        rows: the paths, most frequent first.
        caption: which paths these are.

    Returns:
        HTML.
    """
    cells = [(row["sequence"].replace(">", " › "), whole(row["sessions"]), share(row["share"], 1)) for row in rows]
    return table(caption, ("Path", "Sessions (count)", "Share of sessions"), cells)


def rules_table(rules: Sequence[Rule], caption: str) -> str:
    """Writes pairs that go together.

    Args:
        rules: pairs, highest lift first.
        caption: which pairs these are.

    Returns:
        HTML.
    """
    heads = ("Who has", "has also", "Baskets with both", "Support", "Confidence", "Lift")
    rows = [
        (
            _item(rule["a"]),
            _item(rule["b"]),
            whole(rule["together"]),
            share(rule["support"], 1),
            share(rule["confidence"], 1),
            decimal(rule["lift"]),
        )
        for rule in rules
    ]
    return table(caption, heads, rows, text_columns=(1,))


def items_table(items: Sequence[TopItem], caption: str) -> str:
    """Writes the items of a top list.

    Args:
        items: products, categories or brands, best first.
        caption: which list it is.

    Returns:
        HTML.
    """
    names = [name for name in _NAMES if items and name in items[0]]
    heads = (*(_NAMES[name] for name in names), "Views", "Carts", "Purchases", "Revenue (currency of the log)")
    rows = [
        (
            *(str(item[name]) for name in names),  # type: ignore[literal-required]
            *(whole(item[name]) for name in ("views", "carts", "purchases")),
            decimal(item["revenue"]),
        )
        for item in items
    ]
    return table(caption, heads, rows, text_columns=range(len(names)))


def _item(item: Item) -> str:
    parts = [str(item[name]) for name in _NAMES if name in item]  # type: ignore[literal-required]
    return ", ".join(parts) or UNKNOWN_FIGURE
