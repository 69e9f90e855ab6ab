"""What panels of one kind have in common, so that a panel's own function says only what it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar

from grafana_foundation_sdk.builders import barchart, bargauge, common, dashboard, stat, table, timeseries
from grafana_foundation_sdk.cog import builder, variants
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    DataTransformerConfig,
    DynamicConfigValue,
    FieldColorModeId,
    Threshold,
    ThresholdsMode,
)

from grafana.panels.flux import Flux

DATA_SOURCE = DataSourceRef(type_val="influxdb", uid="influxdb")
NO_DATA = "No data: run make simulate"
# a batch every 10 s: finer windows would hold nothing
BATCH_INTERVAL = "10s"
GREEN, YELLOW, RED = "green", "yellow", "red"

# Grafana's names of ways from many values to one
NEWEST = "lastNotNull"
Steps = Sequence[tuple[float | None, str]]
# Pixels; Grafana's own 150 hide the last columns of a table that is narrower than all together.
NARROWEST_COLUMN, NAME_COLUMN, PATH_COLUMN, TIME_COLUMN = 50, 130, 270, 170
# pixels: of the names and figures beside bars, whose own choice grows with the space there is
NAME_SIZE, FIGURE_SIZE = 12, 16
# characters: a category path of three parts
LONGEST_NAME = 40
NEUTRAL: Steps = ((None, "blue"),)


class Query(builder.Builder[variants.Dataquery], variants.Dataquery):
    """A Flux query as a panel's target."""

    def __init__(self, flux: Flux | str, ref: str = "A") -> None:
        self._flux, self._ref = str(flux), ref

    def build(self) -> variants.Dataquery:
        """Returns itself: there is nothing left to do."""
        return self

    def to_json(self) -> dict[str, object]:
        """The target as Grafana reads it."""
        return {"refId": self._ref, "datasource": DATA_SOURCE, "query": self._flux}


class _Common(Protocol):
    """What the builders of all kinds of panels offer."""

    def title(self, title: str) -> Any: ...
    def description(self, description: str) -> Any: ...
    def unit(self, unit: str) -> Any: ...
    def datasource(self, datasource: DataSourceRef) -> Any: ...
    def with_target(self, target: builder.Builder[variants.Dataquery]) -> Any: ...
    def no_value(self, no_value: str) -> Any: ...
    def interval(self, interval: str) -> Any: ...
    def height(self, h: int) -> Any: ...
    def span(self, w: int) -> Any: ...
    def override_by_name(self, name: str, properties: list[DynamicConfigValue]) -> Any: ...


Kind = TypeVar("Kind", bound=_Common)


def line(
    title: str,
    description: str,
    unit: str,
    query: Flux,
    *,
    name: str = "",
    names: Mapping[str, str] | None = None,
    width: int = 12,
    interval: str = BATCH_INTERVAL,
    stacked: bool = False,
) -> timeseries.Panel:
    """Returns a panel with values over time.

    Args:
        title: says what is seen.
        description: says what it is made of, and what good looks like.
        unit: Grafana's id of it.
        query: rows with `_time`.
        name: of a line, as `${__field.labels.segment}`; by default the column's.
        names: column -> what the legend says.
        width: of 24.
        interval: the shortest window.
        stacked: areas on top of each other.
    """
    panel = _common(timeseries.Panel(), title, description, unit, query, width=width, height=8)
    panel = panel.interval(interval).span_nulls(60_000).show_points(common_models.VisibilityMode.NEVER)
    panel = panel.line_width(2).fill_opacity(50 if stacked else 8).axis_soft_min(0)
    panel = panel.legend(_legend()).tooltip(common.VizTooltipOptions().mode(common_models.TooltipDisplayMode.MULTI))
    panel = panel.color_scheme(dashboard.FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC))
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(common_models.StackingMode.NORMAL).group("A"))
    return _named(panel.display_name(name) if name else panel, names)


def with_limit(panel: timeseries.Panel, limit: float) -> timeseries.Panel:
    """Draws a line at a limit, and red above it."""
    style = common.GraphThresholdsStyleConfig().mode(common_models.GraphTresholdsStyleMode.LINE_AND_AREA)
    steps: Steps = ((None, "transparent"), (limit, RED))
    return panel.thresholds_style(style).thresholds(thresholds(steps)).axis_soft_max(limit * 1.2)


def figure(
    title: str,
    description: str,
    unit: str,
    query: Flux,
    *,
    steps: Steps = NEUTRAL,
    decimals: int | None = None,
    width: int = 8,
    calculation: str = NEWEST,
    text: bool = False,
) -> stat.Panel:
    """Returns a panel with one number, and its course behind it where it is the newest value.

    Args:
        title: says what is seen.
        description: says what it is made of, and what good looks like.
        unit: Grafana's id of it.
        query: one column beside `_time`.
        steps: from which value on which colour.
        decimals: digits after the point; by default what fits.
        width: of 24; at least 8, or a window of 800 pixels cuts the title.
        calculation: Grafana's way from many values to one.
        text: the value is text.
    """
    panel = _common(stat.Panel(), title, description, unit, query, width=width, height=4).interval(BATCH_INTERVAL)
    reduced = common.ReduceDataOptions().calcs([calculation]).values(False)
    panel = panel.reduce_options(reduced.fields("/.*/" if text else ""))
    course = (
        calculation == NEWEST and not text
    )  # the course of parts is none of their sum's, and lies behind its figure
    graph = common_models.BigValueGraphMode.AREA if course else common_models.BigValueGraphMode.NONE
    panel = panel.graph_mode(graph).color_mode(common_models.BigValueColorMode.VALUE)
    panel = panel.text_mode(common_models.BigValueTextMode.VALUE).justify_mode(common_models.BigValueJustifyMode.CENTER)
    panel = panel.thresholds(thresholds(steps))
    panel = panel.color_scheme(dashboard.FieldColor().mode(FieldColorModeId.THRESHOLDS))
    return panel.decimals(decimals) if decimals is not None else panel


def ranking(title: str, description: str, unit: str, query: Flux, name: str, *, width: int = 8) -> bargauge.Panel:
    """Returns a panel with one bar for each row; `name` is the column that says whose bar it is."""
    panel = _common(bargauge.Panel(), title, description, unit, query, width=width, height=8)
    panel = panel.reduce_options(common.ReduceDataOptions().values(True).calcs([]).fields("").limit(15))
    panel = panel.orientation(common_models.VizOrientation.HORIZONTAL).display_name(f"${{__data.fields.{name}}}")
    panel = panel.display_mode(common_models.BarGaugeDisplayMode.GRADIENT).min(0)
    panel = panel.text(common.VizTextDisplayOptions().title_size(NAME_SIZE).value_size(FIGURE_SIZE))
    # one colour: a scale from dark to light leaves small bars and their figures unread on a dark page
    return panel.color_scheme(dashboard.FieldColor().mode(FieldColorModeId.FIXED).fixed_color("blue"))


def bars(
    title: str,
    description: str,
    unit: str,
    query: Flux,
    names: Mapping[str, str] | None = None,
    *,
    width: int = 12,
    lying: bool = False,
) -> barchart.Panel:
    """Returns a panel with bars: the text column names them, each number column is one bar; `lying` for long names."""
    panel = _common(barchart.Panel(), title, description, unit, query, width=width, height=8)
    panel = panel.legend(_legend()).tooltip(common.VizTooltipOptions().mode(common_models.TooltipDisplayMode.MULTI))
    panel = panel.show_value(common_models.VisibilityMode.NEVER).bar_width(0.8).group_width(0.8).fill_opacity(70)
    orientation = common_models.VizOrientation.HORIZONTAL if lying else common_models.VizOrientation.VERTICAL
    panel = panel.orientation(orientation).stacking(common_models.StackingMode.NONE)
    panel = panel.x_tick_label_max_length(LONGEST_NAME)
    panel = panel.color_scheme(dashboard.FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC))
    return _named(panel, names)


def rows(
    title: str,
    description: str,
    unit: str,
    query: Flux,
    columns: Mapping[str, str],
    units: Mapping[str, str] | None = None,
    *,
    path: str = "",
    width: int = 12,
    height: int = 8,
) -> table.Panel:
    """Returns a panel with a table.

    Args:
        title: says what is seen.
        description: says what it is made of.
        unit: of the numbers that `units` does not name.
        query: one table.
        columns: column -> heading, in order from the left; others are hidden.
        units: column -> Grafana's id of its unit.
        path: column of long names, such as category paths.
        width: of 24.
        height: in grid rows.
    """
    panel = _common(table.Panel(), title, description, unit, query, width=width, height=height).show_header(True)
    panel = panel.override_by_regexp("/.*/", [DynamicConfigValue(id_val="custom.minWidth", value=NARROWEST_COLUMN)])
    panel = panel.override_by_field_type("string", [DynamicConfigValue(id_val="custom.minWidth", value=NAME_COLUMN)])
    panel = panel.override_by_field_type("time", [DynamicConfigValue(id_val="custom.minWidth", value=TIME_COLUMN)])
    order = {name: place for place, name in enumerate(columns)}
    options = {"indexByName": order, "renameByName": dict(columns), "excludeByName": {}}
    panel = panel.with_transformation(DataTransformerConfig(id_val="organize", options=options))
    if path:
        wide = [DynamicConfigValue(id_val="custom.minWidth", value=PATH_COLUMN)]
        panel = panel.override_by_name(columns[path], wide)
    for name, own in (units or {}).items():
        panel = panel.override_by_name(columns[name], [DynamicConfigValue(id_val="unit", value=own)])
    return panel


def thresholds(steps: Steps) -> dashboard.ThresholdsConfig:
    """Returns colours by value; the first step has no value."""
    made = [Threshold(value=value, color=color) for value, color in steps]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(made)


def below(good: float, bad: float) -> Steps:
    """Returns the colours of what should be small: green, yellow from `good` on, red from `bad` on."""
    return ((None, GREEN), (good, YELLOW), (bad, RED))


def above(bad: float, good: float) -> Steps:
    """Returns the colours of what should be large: red, yellow from `bad` on, green from `good` on."""
    return ((None, RED), (bad, YELLOW), (good, GREEN))


def _common(panel: Kind, title: str, description: str, unit: str, query: Flux, *, width: int, height: int) -> Kind:
    panel.title(title).description(description).unit(unit).datasource(DATA_SOURCE).with_target(Query(query))
    panel.no_value(NO_DATA).span(width).height(height)
    return panel


def _legend() -> common.VizLegendOptions:
    legend = common.VizLegendOptions().display_mode(common_models.LegendDisplayMode.LIST).show_legend(True)
    return legend.placement(common_models.LegendPlacement.BOTTOM).calcs([])


def _named(panel: Kind, names: Mapping[str, str] | None) -> Kind:
    for column, shown in (names or {}).items():
        panel.override_by_name(column, [DynamicConfigValue(id_val="displayName", value=shown)])
    return panel
