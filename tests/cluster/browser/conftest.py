"""Grafana's pages in a real browser, over a cluster with made-up batches, or over servers that are named.

Skipped where there is no Chromium with its driver, or Grafana serves no pages; SHOPSTREAM_REQUIRE_BROWSER=1 makes that
a failure. SHOPSTREAM_PICTURES names a folder that keeps the pictures.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

from tests.cluster.test_dashboards import Servers, filled, servers

__all__ = ["filled", "servers"]

# tests/conftest.py takes SHOPSTREAM_ variables away before tests run
REQUIRED = bool(os.environ.get("SHOPSTREAM_REQUIRE_BROWSER"))
PICTURES = os.environ.get("SHOPSTREAM_PICTURES")
_SILENT = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run")


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(PICTURES) if PICTURES else tmp_path_factory.mktemp("pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """A browser of this test run alone."""
    program, driver = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
    if program is None or driver is None:
        _missing("no Chromium with its driver: apt-get install chromium chromium-driver")
    options = Options()
    options.binary_location = str(program)
    profile = tmp_path_factory.mktemp("profile")
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", *_SILENT, f"--user-data-dir={profile}"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(driver))
    yield browser
    browser.quit()


@pytest.fixture(scope="module")
def signed_in(chromium: webdriver.Chrome, filled: Servers) -> webdriver.Chrome:
    """The browser with the admin's session in Grafana, whose dashboards have half an hour of batches."""
    url = filled.grafana.url
    if not _has_pages(url):
        _missing("Grafana without its pages: docker/from-source/build.py grafana --pages")
    session = requests.Session()
    session.trust_env = False
    answer = session.post(f"{url}/login", json={"user": "admin", "password": filled.grafana.password}, timeout=30)
    assert answer.ok, answer.text
    chromium.get(f"{url}/login")
    for cookie in session.cookies:
        chromium.add_cookie({"name": cookie.name, "value": str(cookie.value), "path": "/"})
    return chromium


def _has_pages(url: str) -> bool:
    return "public/build/" in requests.get(f"{url}/login", timeout=30).text


def _missing(what: str) -> None:
    if REQUIRED:
        pytest.fail(what)
    pytest.skip(what)
