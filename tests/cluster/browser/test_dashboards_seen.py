"""Every dashboard as a person sees it: all panels there, with data, whole, at two widths."""

from __future__ import annotations

from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver

from tests.cluster.conftest import eventually
from tests.cluster.test_dashboards import DASHBOARDS, Servers

WIDTHS = (1300, 800)
UIDS = ("behaviour", "segments", "recommendations", "realtime", "platform")
_PATIENCE = 60.0
# so high that every panel is on the screen: Grafana draws only those
_HEIGHT = 4200
# Run by the page: what each panel's frame shows, once nothing is being loaded any more; else nothing.
_LOOK = """
const frames = [...document.querySelectorAll('section.panel-container, [data-testid^="data-testid Panel header"]')]
  .filter((frame, place, all) => !all.some(other => other !== frame && other.contains(frame)));
const busy = document.querySelector('[aria-label="Panel loading bar"], .panel-loading, [class*="page-loader"]');
if (busy || frames.length === 0) return null;
const title = frame => frame.querySelector('h2, h6, [class*="panel-title"]');
return frames.map(frame => {
  const box = frame.getBoundingClientRect(), name = title(frame);
  return {
    title: name ? name.textContent : '',
    text: frame.innerText,
    left: box.left, right: box.right, bottom: box.bottom,
    drawn: frame.querySelectorAll('canvas, svg, table, [role="table"], [class*="bar-gauge"]').length,
    cut: name ? name.scrollWidth - name.clientWidth : 0,
    hidden: [...frame.querySelectorAll('[role="columnheader"]')]
      .filter(head => head.getBoundingClientRect().right > box.right + 1).map(head => head.innerText),
    shortened: ['[role="columnheader"] *', '[role="cell"]', '[role="cell"] *', '[style*="ellipsis"]']
      .flatMap(kind => [...frame.querySelectorAll(kind)])
      .filter(part => part.scrollWidth > part.clientWidth + 1 && part.clientWidth > 0).map(part => part.innerText),
    fault: Boolean(frame.querySelector('[data-testid="data-testid Panel status error"], [aria-label="Panel status"]')),
  };
});
"""


def look(browser: webdriver.Chrome, url: str, width: int, panels: int) -> list[dict[str, Any]]:
    """Opens a dashboard and returns what its panels show as soon as all are drawn twice alike."""
    browser.set_window_size(width, _HEIGHT)
    browser.get(url)
    looks: list[Any] = [None]

    def settled() -> list[dict[str, Any]] | None:
        looks.append(browser.execute_script(_LOOK))
        before, found = looks[-2:]
        return found if found and len(found) >= panels and found == before else None

    return list(eventually(settled, f"{panels} panels of {url} are drawn", _PATIENCE))


def picture(browser: webdriver.Chrome, width: int, height: float) -> bytes:
    """Returns the page down to a height, as PNG."""
    clip = {"x": 0, "y": 0, "width": width, "height": round(height) + 8, "scale": 1}
    return b64decode(browser.execute_cdp_cmd("Page.captureScreenshot", {"clip": clip})["data"])


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", UIDS)
def test_a_dashboard_is_whole(
    signed_in: webdriver.Chrome, filled: Servers, pictures: Path, name: str, width: int
) -> None:
    (dashboard,) = [one for one in filled.grafana.dashboards() if one["uid"] == f"shopstream-{name}"]
    titles = [panel["title"] for panel in dashboard["panels"] if panel["type"] != "row"]
    signed_in.get_log("browser")  # of the page before
    # a fixed range: nothing moves while it is looked at
    url = f"{filled.grafana.url}/d/{dashboard['uid']}?orgId=1&from=now-30m&to=now&refresh=&kiosk"
    found = look(signed_in, url, width, len(titles))
    (pictures / f"{name}-{width}.png").write_bytes(picture(signed_in, width, max(one["bottom"] for one in found)))
    assert sorted(one["title"] for one in found) == sorted(titles)
    assert not [one["title"] for one in found if "No data" in one["text"] or one["fault"]]
    assert not [one["title"] for one in found if not one["drawn"]]
    assert not [(one["title"], one["right"]) for one in found if one["left"] < 0 or one["right"] > width]
    assert not [(one["title"], one["cut"]) for one in found if one["cut"] > 0]
    assert not [(one["title"], one["hidden"]) for one in found if one["hidden"]]
    assert not [(one["title"], one["shortened"]) for one in found if one["shortened"]]
    assert signed_in.execute_script("return document.documentElement.scrollWidth") <= width
    assert not [entry["message"] for entry in signed_in.get_log("browser") if entry["level"] == "SEVERE"]


def test_every_dashboard_is_looked_at() -> None:
    assert len(UIDS) == DASHBOARDS
