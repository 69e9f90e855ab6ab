"""What stands under two roots, and how it differs: rows of all tables, figures of all JSON files."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from tests.comparing import same

VERSION = re.compile(r"\d{8}T\d{6}Z(-\d+)?")
# what tells when something was made, what took how long, and names of files, which are drawn
_OWN = re.compile(r"(\w+_at|version|versions|models|promoted|seconds|times|files|bytes)")
# in the names of files that `simulate` drops
_DROPPED_AT = re.compile(r"\d{8}T\d{6}\.\d+Z")
# Factors of ALS are sums of products in single precision, which libraries for matrices add up in orders of their own:
# on Windows here NumPy 2.0's, on Linux a newer one's. Iterations make some 1e-4 of what is 1e-7 in one, and 3e-3 in the
# factors of one who did little.
FACTORS = 1e-2
# A score is a product of two rows of factors.
SCORES = 5e-3
# Lists are scores in their order: the last candidate may make way for the next one, and another product come in.
OTHER_PRODUCTS = 1e-2
# Means over all lists.
FIGURES = 2e-3
# A centre is a mean of doubles, which NumPy adds up in an order of its own.
SUMS = 1e-9
# what follows from lists, by its column
LISTED = ("listed", "first_listed")
FACTOR_TABLES = ("models/als/userFactors", "models/als/itemFactors")
CENTRES = "models/segments/stages"


@dataclass(frozen=True)
class Root:
    """A folder of tables and models.

    Attributes:
        folder: which.
    """

    folder: Path

    def tables(self) -> dict[str, list[str]]:
        """Returns the Parquet files by table; of models those of the promoted version, without its name."""
        found: dict[str, list[str]] = {}
        for path in sorted(self._published("*.parquet")):
            below = path.relative_to(self.folder).parts[:-1]
            name = "/".join(part for part in below if "=" not in part and not VERSION.fullmatch(part))
            found.setdefault(name, []).append(str(path))
        return found

    def figures(self) -> dict[str, Any]:
        """Returns the JSON files by their path, without what each run has of its own."""
        found = {}
        for path in sorted(self._published("*.json")):
            below = path.relative_to(self.folder).parts
            name = "/".join("version" if VERSION.fullmatch(part) else part for part in below)
            found[name] = _without_own(json.loads(path.read_text(encoding="utf-8")))
        return found

    def texts(self) -> Iterator[Path]:
        """Yields the published files of text that are not lines as they came."""
        for ending in ("*.json", "*.html", "*.csv"):
            yield from (path for path in self._published(ending) if path.relative_to(self.folder).parts[0] != "raw")

    def _published(self, pattern: str) -> Iterator[Path]:
        for path in self.folder.rglob(pattern):
            below = path.relative_to(self.folder).parts
            is_other = below[0] == "models" and len(below) > 3 and below[2] != self._promoted(below[1])
            if below[0] != "temp" and not is_other:
                yield path

    def _promoted(self, model: str) -> str:
        alias = json.loads((self.folder / "models" / model / "promoted.json").read_text(encoding="utf-8"))
        return str(alias["version"])


def differences(expected: Root, found: Root) -> list[str]:
    """Returns what differs between two roots, a line each."""
    have, want = found.tables(), expected.tables()
    wrong = [f"{name} is in one root only" for name in sorted(have.keys() ^ want.keys())]
    for name in sorted(have.keys() & want.keys()):
        wrong += _table_differences(name, want[name], have[name])
    told, asked = found.figures(), expected.figures()
    wrong += [f"{name} is in one root only" for name in sorted(told.keys() ^ asked.keys())]
    return wrong + [
        one for name in sorted(told.keys() & asked.keys()) for one in _unlike(asked[name], told[name], name)
    ]


def _table_differences(name: str, expected: list[str], found: list[str]) -> list[str]:
    with duckdb.connect() as database:
        for view, files in (("expected", expected), ("found", found)):
            database.register(view, pa.concat_tables([pq.ParquetFile(path).read() for path in files]))
        columns = [(column, kind) for column, kind, *_ in database.execute("describe expected").fetchall()]
        if [(column, kind) for column, kind, *_ in database.execute("describe found").fetchall()] != columns:
            return [f"{name} has other columns"]
        names = [column for column, _ in columns]
        if name in FACTOR_TABLES:
            return _told(name, database, _FACTORS)
        if name.startswith(CENTRES):
            rows = [database.execute(f"from {view} order by all").fetchall() for view in ("expected", "found")]
            return [] if _near(*rows, SUMS) else [f"{name}: other centres"]
        if {"user_id", "rank", "score"} <= set(names):
            return _told(name, database, _LISTS.format(key=_key(names)))
        kept = ", ".join(f'"{column}"' for column in names if column not in LISTED)
        wrong = _told(name, database, _ROWS.format(columns=kept))
        return wrong + (_told(name, database, _LISTED.format(key=_key(names))) if "listed" in names else [])


def _key(names: list[str]) -> str:
    return ", ".join(name for name in ("batch", "user_id") if name in names)


def _told(name: str, database: duckdb.DuckDBPyConnection, query: str) -> list[str]:
    return [f"{name}: {found} {what}" for what, found in database.execute(query).fetchall() if found]


_ROWS = """
with one as (select {columns} from expected), other as (select {columns} from found)
select 'rows that only one has',
    (select count(*) from (from one except all from other)) + (select count(*) from (from other except all from one))
"""
_FACTORS = f"""
with pairs as (select e.features as one, f.features as other from expected e full join found f using (id))
select 'ids that only one has', count(*) filter (one is null or other is null) from pairs
union all
select 'rows of factors too far apart', count(*) filter (
    list_distance(one, other) > {FACTORS} * greatest(sqrt(list_inner_product(one, one)), 1e-3)
) from pairs
"""
_LISTS = f"""
with pairs as (select e, f from expected e full join found f using ({{key}}, product_id)),
places as (select e, f from expected e full join found f using ({{key}}, rank))
select 'places that only one has', count(*) filter (e is null or f is null) from places
union all
select 'scores too far apart', count(*) filter (abs(e.score - f.score) > {SCORES} * greatest(abs(e.score), 1e-3))
from pairs
union all
select 'products that only one has', case when others > {OTHER_PRODUCTS} * products then others end from (
    select count(*) as products, count(*) filter (e is null) as others from pairs
)
"""
_LISTED = f"""
with pairs as (select e, f from expected e full join found f using ({{key}}))
select 'lists that differ', case when differing > 10 * {OTHER_PRODUCTS} * users then differing end from (
    select count(*) as users, count(*) filter (e.listed is distinct from f.listed) as differing from pairs
)
"""
# hybrid lists hold ALS's scores, and the evaluation says how far other models are from them
_OF_LISTS = re.compile("als|hybrid|score|recommend|listed|evaluation.json/differences")


def _without_own(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_own(one) for key, one in value.items() if not _OWN.fullmatch(key)}
    if isinstance(value, str):
        return _DROPPED_AT.sub("", value)
    return [_without_own(one) for one in value] if isinstance(value, list) else value


def _unlike(expected: Any, found: Any, where: str) -> Iterator[str]:
    """Yields the values that differ: what follows from lists by more than FIGURES, all others by more than 1e-12."""
    if isinstance(expected, dict) and isinstance(found, dict) and expected.keys() == found.keys():
        for key in expected:
            yield from _unlike(expected[key], found[key], f"{where}/{key}")
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for number, (one, other) in enumerate(zip(expected, found, strict=True)):
            yield from _unlike(one, other, f"{where}/{number}")
    elif not (_near(expected, found, FIGURES) if _OF_LISTS.search(where) else same(expected, found)):
        yield f"{where} is {found!r}, not {expected!r}"


def _near(one: Any, other: Any, share: float) -> bool:
    """Says whether all numbers in two values are alike, and everything else equal."""
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=share, abs_tol=share * share)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_near(one[key], other[key], share) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(_near(*pair, share) for pair in zip(one, other, strict=True))
    return bool(one == other)
