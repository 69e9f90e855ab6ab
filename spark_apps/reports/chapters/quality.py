"""How far the events can be trusted: the balance of rows, what is missing, what repeats (SPEC D4, E2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from spark_apps.reports.charts import quality as charts
from spark_apps.reports.data import Analysis, BalanceRow, ReportData
from spark_apps.reports.formats import counted, joined, largest_first, share, whole
from spark_apps.reports.layout import Chart, Section, not_yet, note, paragraph
from spark_apps.reports.tables.quality import balance_table, balances
from spark_apps.reports.tables.table import counts_table


def chapter(data: ReportData) -> Section:
    """Lays out the chapter.

    Args:
        data: what the report shows.
    """
    missing = paragraph(missing_sentences(data.analysis)) or note("No value is missing and no row repeats.")
    return Section("data-quality", "Data quality", (*_balance(data.balance), missing, *_missing(data.analysis)))


def balance_sentences(balance: Sequence[BalanceRow]) -> list[str]:
    """Says what became of the raw rows and whether every date balances.

    Args:
        balance: rows per date.

    Returns:
        No sentence without rows, else two.
    """
    if not balance:
        return []
    raw, reasons = sum(row["raw"] for row in balance), total_reasons(balance)
    clean, lost = sum(row["clean"] for row in balance), sum(reasons.values())
    text = f"Of {counted(raw, 'raw row')}, {whole(clean)} are clean and {whole(lost)}"
    text += f" ({share(lost, raw)}) are in quarantine" if lost else " are in quarantine"
    text += f", most often as {largest_first(reasons)[0][0]}." if len(reasons) > 1 else "."
    wrong = [row["date"] or "no date" for row in balance if not balances(row)]
    if wrong:
        return [text, f"Rows are not accounted for on {joined(wrong)}: raw is not clean + quarantined there."]
    return [text, "On every date, raw rows = clean rows + quarantined rows."]


def missing_sentences(analysis: Analysis) -> list[str]:
    """Says what is missing most often and how many rows repeat another.

    Args:
        analysis: counts over the events.

    Returns:
        No sentence where nothing is missing and nothing repeats, else one or two.
    """
    events, duplicates = analysis["events"], analysis["duplicates"]
    empty = [(name, count) for name, count in largest_first(analysis["missing_values"]) if count]
    sentences = []
    if empty:
        parts = [f"{name} ({share(count, events)} of events)" for name, count in empty[:3]]
        sentences.append(f"Most often missing: {joined(parts)}.")
    if duplicates:
        part = share(duplicates, events)
        sentences.append(f"Rows that repeat another row exactly: {whole(duplicates)} ({part}); they are kept.")
    return sentences


def total_reasons(balance: Sequence[BalanceRow]) -> dict[str, int]:
    """Adds up the quarantined rows of all dates.

    Args:
        balance: rows per date.

    Returns:
        Rows per reason, without reasons that have none.
    """
    totals: Counter[str] = Counter()
    for row in balance:
        totals.update(row["quarantined"])
    return {reason: count for reason, count in sorted(totals.items()) if count}


def _balance(balance: Sequence[BalanceRow]) -> list[Chart | str]:
    if not balance:
        return [not_yet("the rows of each date", "clean")]
    reasons = total_reasons(balance)
    parts: list[Chart | str] = [paragraph(balance_sentences(balance), warn=not all(map(balances, balance)))]
    parts.append(Chart("chart-row-balance", charts.row_balance(balance), balance_table(balance)))
    if reasons:
        table = counts_table("Why rows were quarantined", "Reason", "Rows", reasons, sum(reasons.values()))
        parts.append(Chart("chart-quarantine-reasons", charts.quarantine_reasons(reasons), table))
    return parts


def _missing(analysis: Analysis) -> list[Chart | str]:
    counts, events = analysis["missing_values"], analysis["events"]
    table = counts_table("Missing values by column", "Column", "Events without a value", counts, events)
    if not any(counts.values()):
        return [table] if counts else []
    return [Chart("chart-missing-values", charts.missing_values(counts, events), table)]
