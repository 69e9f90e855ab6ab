"""The questions put to InfluxDB, in Flux: each begins with points() and goes on step by step."""

from __future__ import annotations

from dataclasses import dataclass, replace

# Grafana puts the panel's time range, the data source's bucket and the width of a pixel in for these
_FROM = "from(bucket: v.defaultBucket)\n  |> range(start: {start}, stop: {stop})\n"
_START, _STOP = "v.timeRangeStart", "v.timeRangeStop"
_MINUTE_NS = "60000000000.0"
# The sums of whole hours stand for their batches; before the first and after the last of them batches are read. Those
# ranges begin a nanosecond early, for none may be empty; no batch is added, the times of points are whole microseconds.
_BY_HOURS = """\
start = {start}
stop = {stop}
until = {until}
within = (start, stop) => from(bucket: v.defaultBucket) |> range(start: date.sub(d: 1ns, from: start), stop: stop)
batches = (start, stop) => within(start: start, stop: stop)
  |> filter(fn: (r) => r._measurement == "{measurement}" and ({fields}))
hours = within(start: start, stop: if until > start then until else start)
  |> filter(fn: (r) => r._measurement == "{measurement}_hourly" and ({fields}))
whole = hours
  |> filter(fn: (r) => r.rank == "1" and r._field == "{field}")
  |> sort(columns: ["_time"])
  |> findColumn(fn: (key) => true, column: "_time")
some = length(arr: whole) > 0
first = if some then whole[0] else stop
next = if some then date.add(d: 1h, to: whole[length(arr: whole) - 1]) else stop
union(tables: [hours, batches(start: start, stop: first), batches(start: next, stop: stop)])
"""
# Up to a day windows are those of the panel and batches are read, over more they are an hour wide or more.
_WINDOW = """\
hourly = int(v: v.timeRangeStop) - int(v: v.timeRangeStart) > int(v: 1d)
every = if hourly and int(v: v.windowPeriod) < int(v: 1h) then 1h else v.windowPeriod
"""


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
        return imports + self._source() + "\n".join(self.steps)

    def _source(self) -> str:
        chosen = f'  |> filter(fn: (r) => r._measurement == "{self.measurement}" and ({self._condition()}))\n'
        return _FROM.format(start=self.start, stop=self.stop) + chosen

    def _condition(self) -> str:
        return " or ".join(f'r._field == "{name}"' for name in self.fields)

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

    def per_minute(self, window: str = "v.windowPeriod") -> Flux:
        """Turns the sums of windows into sums per minute."""
        return self.with_value(f"float(v: r._value) * {_MINUTE_NS} / float(v: int(v: {window}))")

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


@dataclass(frozen=True)
class FluxByHours(Flux):
    """A query of a measurement that has sums of whole hours beside it, which are read in place of their batches.

    Attributes:
        windows: the sums go into windows, `every` wide; else they are the whole range's.
    """

    imports: tuple[str, ...] = ("date",)
    windows: bool = False

    def _source(self) -> str:
        hour = "date.truncate(t: stop, unit: 1h)"
        source = _BY_HOURS.format(
            start=f"date.truncate(t: {self.start}, unit: every)" if self.windows else self.start,
            stop=f"date.truncate(t: {self.stop}, unit: every)" if self.windows else self.stop,
            until=f"if hourly then {hour} else start" if self.windows else hour,
            measurement=self.measurement,
            fields=self._condition(),
            field=self.fields[0],
        )
        return _WINDOW + source if self.windows else source


def by_hours(measurement: str, *fields: str) -> FluxByHours:
    """Begins a query of sums over the dashboard's whole range, of a measurement that has sums of hours."""
    return FluxByHours(measurement, fields)


def in_hours(measurement: str, *fields: str) -> FluxByHours:
    """Begins a query of sums in whole windows, `every` wide, of a measurement that has sums of hours."""
    return FluxByHours(measurement, fields, windows=True)


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
