"""The health check of the kit's own containers, run here on pages of a test."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.cluster_cli.fake_docker import serving

SCRIPT = Path(__file__).resolve().parents[2] / "docker" / "entrypoint" / "health"


@pytest.fixture
def health(tmp_path: Path) -> ModuleType:
    """The script as a module that waits and stays for half a second at most."""
    loader = SourceFileLoader("health", str(SCRIPT))
    spec = importlib.util.spec_from_loader("health", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    values = {"WAIT_POLL": 0.01, "WAIT_SECONDS": 0.5, "STAY_POLL": 0.01, "STAY_SECONDS": 0.5}
    for name, value in {**values, "WAS_USABLE": str(tmp_path / "was-usable")}.items():
        setattr(module, name, value)
    return module


def checked(health: ModuleType, check: Callable[[], None]) -> tuple[int, float]:
    """Exit code and seconds of one check."""
    health.CHECKS["client"] = check
    begun = time.monotonic()
    code = health.main(["client"])
    return code, time.monotonic() - begun


def test_it_says_at_once_when_a_service_becomes_usable(health: ModuleType) -> None:
    looks = iter([OSError("refused"), LookupError("no page")])

    def starting() -> None:
        fault = next(looks, None)
        if fault:
            raise fault

    code, seconds = checked(health, starting)
    assert code == 0 and seconds < 0.4


def test_it_waits_its_time_for_one_that_does_not(health: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    def down() -> None:
        raise health.NotUsableError("in safe mode")

    code, seconds = checked(health, down)
    assert code == 1 and 0.5 <= seconds < 2
    assert capsys.readouterr().out == "in safe mode\n"


def test_from_the_second_time_on_it_stays(health: ModuleType) -> None:
    looks: list[float] = []
    assert checked(health, lambda: looks.append(0))[1] < 0.4
    assert len(looks) == 1
    code, seconds = checked(health, lambda: looks.append(0))
    assert code == 0 and 0.5 <= seconds < 2 and len(looks) > 5


def test_a_service_that_ends_is_told_at_once_and_so_is_its_return(health: ModuleType) -> None:
    assert checked(health, lambda: None)[0] == 0
    looks = iter(range(5))

    def ends() -> None:
        if next(looks, None) is None:
            raise OSError

    code, seconds = checked(health, ends)
    assert code == 1
    code, seconds = checked(health, lambda: None)
    assert code == 0 and seconds < 0.4


def test_a_page_is_read(health: ModuleType) -> None:
    pages: dict[str, Any] = {"/json/": {"status": "ALIVE", "names": ["é"] * 50_000}}
    with serving(pages) as port:
        assert health.get(f"http://127.0.0.1:{port}/json/") == pages["/json/"]
        with pytest.raises(health.NotUsableError, match="404"):
            health.get(f"http://127.0.0.1:{port}/other")
    with pytest.raises(OSError):
        health.get("http://127.0.0.1:9/")


def test_the_namenode_is_usable_out_of_safe_mode(health: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    beans = {"Safemode": "Safe mode is ON"}
    monkeypatch.setattr(health, "get", lambda url: {"beans": [beans]})
    with pytest.raises(health.NotUsableError, match="ON"):
        health.namenode()
    beans["Safemode"] = ""
    health.namenode()
