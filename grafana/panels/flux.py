"""The questions put to InfluxDB, in Flux: each begins with points() and goes on step by step."""

from __future__ import annotations

from dataclasses import dataclass, replace

# Grafana puts the panel's time range, the data source's bucket and the width of a pixel in for these
_FROM = "from(bucket: v.defaultBucket)\n  |> range(start: {start}, stop: {stop})\n"
_START, _STOP = "v.timeRangeStart", "v.timeRangeStop"
_MINUTE_NS = "60000000000.0"


@dataclass(frozen=True)
class Flux:
    """A query: the fields it reads, the range, and the steps after that. str() gives the text."""

    measurement: str
    fields: tuple[str, ...]
    steps: tuple[str, ...] = ()
    start: str = _START
    stop: str = _STOP
    imports: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The Flux text."""
        imports = "".join(f'import "{name}"\n' for name in self.imports)
        fields = " or ".join(f'r._field == "{name}"' for name in self.fields)
        chosen = f'  |> filter(fn: (r) => r._measurement == "{self.measurement}" and ({fields}))'
        return imports + _FROM.format(start=self.start, stop=self.stop) + "\n".join((chosen, *self.steps))

    def then(self, step: str) -> Flux:
        """Adds one step, without its arrow."""
        return replace(self, steps=(*self.steps, f"  |> {step}"))

    def where(self, condition: str) -> Flux:
        """Keeps rows for which a condition on `r` holds."""
        return self.then(f"filter(fn: (r) => {condition})")

    def between(self, start: str, stop: str = "now()") -> Flux:
        """Reads a range of its own and not the dashboard's."""
        return replace(self, start=start, stop=stop)

    def in_whole_windows(self) -> Flux:
        """Leaves out the window that is not over yet, whose sum would look like a fall."""
        stop = f"date.truncate(t: {_STOP}, unit: v.windowPeriod)"
        start = f"date.truncate(t: {_START}, unit: v.windowPeriod)"
        return replace(self, imports=("date",), start=start, stop=stop)

    def window(self, function: str) -> Flux:
        """Makes one row of each window, with a function of Flux such as mean, sum, max, last."""
        return self.then(f"aggregateWindow(every: v.windowPeriod, fn: {function}, createEmpty: false)")

    def per_minute(self) -> Flux:
        """Turns the sums of windows into sums per minute."""
        return self.with_value(f"float(v: r._value) * {_MINUTE_NS} / float(v: int(v: v.windowPeriod))")

    def wide(self, *keys: str) -> Flux:
        """Gives each field a column of its own; rows with the same time and keys become one."""
        row = ", ".join(f'"{name}"' for name in ("_time", *keys))
        return self.then(f'pivot(rowKey: [{row}], columnKey: ["_field"], valueColumn: "_value")')

    def with_value(self, expression: str) -> Flux:
        """Computes the value of each row from its columns."""
        return self.then(f"map(fn: (r) => ({{r with _value: {expression}}}))")

    def keep(self, *columns: str) -> Flux:
        """Keeps these columns."""
        return self.then(f"keep(columns: [{_listed(columns)}])")

    def named(self, name: str) -> Flux:
        """Gives the value a column of its own name: Grafana renames `_value` in some answers and not in others."""
        return self.then(f'rename(columns: {{_value: "{name}"}})')

    def grouped(self, *columns: str) -> Flux:
        """Makes one table for each value of the columns, or one of all."""
        return self.then(f"group(columns: [{_listed(columns)}])" if columns else "group()")

    def sorted(self, *columns: str, descending: bool = True) -> Flux:
        """Sorts rows."""
        return self.then(f"sort(columns: [{_listed(columns)}], desc: {str(descending).lower()})")


def points(measurement: str, *fields: str) -> Flux:
    """Begins a query: the fields of one measurement within the dashboard's time range."""
    return Flux(measurement, fields)


def over_time(measurement: str, *fields: str, function: str = "mean") -> Flux:
    """Returns fields of a measurement without tags, side by side, one row for each window."""
    return points(measurement, *fields).window(function).wide().keep("_time", *fields)


def by_tag(measurement: str, field: str, tag: str, function: str = "mean", condition: str = "") -> Flux:
    """Returns one line for each value of a tag."""
    chosen = points(measurement, field)
    chosen = chosen.where(condition) if condition else chosen
    return chosen.window(function).keep("_time", "_value", tag)


def latest(measurement: str, *fields: str, keys: tuple[str, ...] = ()) -> Flux:
    """Returns the newest values as one table: one row, or one for each value of the keys."""
    return points(measurement, *fields).then("last()").wide(*keys).grouped().keep("_time", *keys, *fields)


def share(part: str, whole: str) -> str:
    """Returns the expression for a part of a whole, of columns."""
    return f"float(v: r.{part}) / float(v: r.{whole})"


def chosen(tag: str, variable: str) -> str:
    """Returns the condition that a tag or column is among those chosen with a variable of the dashboard."""
    return f"r.{tag} =~ /^${{{variable}:regex}}$/"


def tag_values(measurement: str, tag: str) -> str:
    """Returns the query of a variable: the values that a tag has."""
    return (
        'import "influxdata/influxdb/schema"\n'
        f'schema.tagValues(bucket: v.defaultBucket, tag: "{tag}", '
        f'predicate: (r) => r._measurement == "{measurement}", start: v.timeRangeStart, stop: v.timeRangeStop)'
    )


def _listed(columns: tuple[str, ...]) -> str:
    return ", ".join(f'"{name}"' for name in columns)
