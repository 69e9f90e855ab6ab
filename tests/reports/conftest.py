"""Makes reports and reads the pages made from them."""

from __future__ import annotations

import pytest

from spark_apps.reports.page import render_report
from tests.reports.factory import Factory
from tests.reports.reader import Page


@pytest.fixture(scope="session")
def make() -> Factory:
    return Factory()


@pytest.fixture(scope="session")
def read() -> type[Page]:
    return Page


@pytest.fixture(scope="session")
def html(make: Factory) -> str:
    return render_report(make.report())


@pytest.fixture(scope="session")
def page(html: str) -> Page:
    return Page(html)
