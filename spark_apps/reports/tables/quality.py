"""Tables of what became of the raw rows."""

from __future__ import annotations

from collections.abc import Sequence

from spark_apps.reports.data import BalanceRow
from spark_apps.reports.formats import whole
from spark_apps.reports.tables.table import table


def balance_table(balance: Sequence[BalanceRow]) -> str:
    """Writes the rows of each date and whether raw = clean + quarantined.

    Args:
        balance: rows per date.

    Returns:
        HTML; rows without a date stand last.
    """
    reasons = sorted({reason for row in balance for reason in row["quarantined"]})
    heads = (
        "Date (UTC)",
        "Raw (rows)",
        "Clean (rows)",
        *(f"{reason} (rows)" for reason in reasons),
        "Raw = sum",
    )
    rows = [
        (
            row["date"] or "no date",
            whole(row["raw"]),
            whole(row["clean"]),
            *(whole(row["quarantined"].get(reason, 0)) for reason in reasons),
            "yes" if balances(row) else "no",
        )
        for row in sorted(balance, key=lambda row: (row["date"] is None, row["date"] or ""))
    ]
    return table("Rows by date: raw, clean and quarantined by reason", heads, rows)


def balances(row: BalanceRow) -> bool:
    """Checks one date's rows.

    Args:
        row: rows of one date.

    Returns:
        Whether raw rows = clean rows + quarantined rows.
    """
    return row["raw"] == row["clean"] + sum(row["quarantined"].values())
