from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from spark_apps.cluster import secrets
from spark_apps.cluster.secrets import NAMES, make_secrets


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_every_secret_is_made_for_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "secrets"
    assert make_secrets(folder) == list(NAMES)
    assert sorted(path.name for path in folder.iterdir()) == sorted(NAMES)
    assert mode(folder) == 0o700
    assert {mode(path) for path in folder.iterdir()} == {0o600}
    values = [(folder / name).read_text() for name in NAMES]
    assert len(set(values)) == len(NAMES)
    assert all(len(value) >= 40 and value == value.strip() for value in values)


def test_a_secret_that_is_there_is_kept(tmp_path: Path) -> None:
    make_secrets(tmp_path)
    (tmp_path / "spark_auth").write_text("mine")
    (tmp_path / "influxdb_admin_token").unlink()
    kept = {name: (tmp_path / name).read_text() for name in NAMES if name != "influxdb_admin_token"}
    assert make_secrets(tmp_path) == ["influxdb_admin_token"]
    assert {name: (tmp_path / name).read_text() for name in kept} == kept
    assert make_secrets(tmp_path) == []


def test_the_mode_holds_under_any_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        make_secrets(tmp_path / "secrets")
    finally:
        os.umask(before)
    assert mode(tmp_path / "secrets") == 0o700
    assert {mode(path) for path in (tmp_path / "secrets").iterdir()} == {0o600}


def test_a_run_cut_off_leaves_no_half_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(secrets.os, "fsync", cut)
    with pytest.raises(KeyboardInterrupt):
        make_secrets(tmp_path)
    assert list(tmp_path.iterdir()) == []
