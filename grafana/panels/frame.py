"""What all dashboards have in common: uid, refresh, range, links to each other, variables, annotations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog import builder
from grafana_foundation_sdk.models import dashboard as models

from grafana.panels.flux import Flux
from grafana.panels.looks import DATA_SOURCE, Query

TAG = "shopstream"
FOLDER = "shopstream"
REFRESH = "5s"
RANGE = "now-30m"
# as Grafana 9 and newer read it: later numbers stand for changes that these panels do not use
SCHEMA_VERSION = 36

Panels = Sequence[builder.Builder[models.Panel]]


def framed(
    uid: str,
    title: str,
    description: str,
    parts: Iterable[tuple[str, Panels]],
    variables: Sequence[dashboard.QueryVariable] = (),
    annotations: Sequence[builder.Builder[models.AnnotationQuery]] = (),
) -> models.Dashboard:
    """Returns a dashboard.

    Args:
        uid: stands in links and bookmarks: never changed.
        title: as listed.
        description: whom it is for.
        parts: headings, each with its panels from left to right; the first goes without a heading.
        variables: what can be chosen above the panels.
        annotations: marks across all panels.
    """
    made = dashboard.Dashboard(title).uid(f"{TAG}-{uid}").description(description).tags([TAG])
    made = made.refresh(REFRESH).time(RANGE, "now").timezone("utc").tooltip(models.DashboardCursorSync.CROSSHAIR)
    made = made.links([_links()]).variables(list(variables)).annotations(list(annotations))
    for number, (heading, panels) in enumerate(parts):
        if number:
            made = made.with_row(dashboard.Row(heading))
        for panel in panels:
            made = made.with_panel(panel)
    built = made.build()
    built.schema_version = SCHEMA_VERSION
    for number, one in enumerate(built.panels or [], start=1):
        one.id_val = number
    return built


def variable(name: str, label: str, description: str, query: str) -> dashboard.QueryVariable:
    """Returns a choice of several values, all by default, that a query gives."""
    made = dashboard.QueryVariable(name).label(label).description(description).datasource(DATA_SOURCE).query(query)
    made = made.refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(models.VariableSort.ALPHABETICAL_ASC)
    # the kit's own id is the one of a variable that is still being made: Grafana's pages would pass it by
    made = made.id(name).multi(True).include_all(True).all_value(".*")
    return made.current(models.VariableOption(selected=True, text=["All"], value=["$__all"]))


class FluxAnnotation(builder.Builder[models.AnnotationQuery]):
    """Marks at the times that a query gives, with its column `text`."""

    def __init__(self, name: str, query: Flux, color: str) -> None:
        self._name, self._query, self._color = name, query, color

    def build(self) -> models.AnnotationQuery:
        """Returns the annotation."""
        return models.AnnotationQuery(
            name=self._name, datasource=DATA_SOURCE, icon_color=self._color, target=_AnnotationTarget(self._query)
        )


class _AnnotationTarget(models.AnnotationTarget):
    """A Flux query where the kit knows of Grafana's own annotations only."""

    def __init__(self, query: Flux) -> None:
        super().__init__()
        self._query = query

    def to_json(self) -> dict[str, object]:
        return Query(self._query, "Anno").to_json()


def _links() -> dashboard.DashboardLink:
    """All dashboards of this kit, as buttons that keep the time range."""
    link = dashboard.DashboardLink("shopstream").type(models.DashboardLinkType.DASHBOARDS).tags([TAG])
    return link.as_dropdown(False).keep_time(True).include_vars(False).target_blank(False)
