from __future__ import annotations

import sys
from pathlib import Path

import pytest

from spark_apps.errors import JavaMissingError, UserError
from spark_apps.runtime import java

COMPLETE = "java.base java.sql jdk.incubator.vector"
PROGRAM = "java.exe" if sys.platform == "win32" else "java"


@pytest.fixture(autouse=True)
def _no_java(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without any Java: each test adds its own."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "no-programs"))
    monkeypatch.setattr(java, "USUAL_PLACES", ())
    monkeypatch.setattr(java, "OWN_JAVA", tmp_path / "own")


def java_home(folder: Path, version: str = "17.0.15", modules: str | None = COMPLETE) -> Path:
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / PROGRAM).write_text("#!/bin/sh\nexit 1\n")
    (folder / "bin" / PROGRAM).chmod(0o755)
    listed = "" if modules is None else f'MODULES="{modules}"\n'
    (folder / "release").write_text(f'IMPLEMENTOR="Test"\nJAVA_VERSION="{version}"\n{listed}')
    return folder


@pytest.mark.parametrize("version", ["17", "17.0.15", "21.0.2"])
def test_versions_that_spark_runs_on_are_taken(version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = java_home(tmp_path / "jdk", version)
    monkeypatch.setenv("JAVA_HOME", str(home))

    assert java.find_java() == home


@pytest.mark.parametrize(("version", "named"), [("1.8.0_392", "8"), ("11.0.20", "11"), ("25", "25"), ("170.1", "170")])
def test_other_versions_are_refused_and_named(
    version: str, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = java_home(tmp_path / "jdk", version)
    monkeypatch.setenv("JAVA_HOME", str(home))

    with pytest.raises(JavaMissingError, match=f"{home.name} is version {named}\\)"):
        java.find_java()


def test_a_java_without_the_vector_module_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(java_home(tmp_path / "trimmed", modules="java.base java.sql")))

    with pytest.raises(JavaMissingError, match=r"version 17 without the module jdk\.incubator\.vector"):
        java.find_java()


def test_java_home_comes_before_the_path_and_the_path_before_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_home, on_path = java_home(tmp_path / "at-home"), java_home(tmp_path / "on-path", "21.0.2")
    usual, own = java_home(tmp_path / "usual" / "jdk"), java_home(java.OWN_JAVA / "jdk-17.0.15-jre")
    monkeypatch.setattr(java, "USUAL_PLACES", ((str(tmp_path / "usual"), "*"),))
    monkeypatch.setenv("PATH", str(on_path / "bin"))
    monkeypatch.setenv("JAVA_HOME", str(at_home))

    found = [java.find_java()]
    monkeypatch.delenv("JAVA_HOME")
    found.append(java.find_java())
    monkeypatch.delenv("PATH")
    monkeypatch.setenv("PATH", "")
    found.append(java.find_java())
    monkeypatch.setattr(java, "USUAL_PLACES", ())
    found.append(java.find_java())

    assert found == [at_home, on_path, usual, own]


def test_an_unusable_java_home_does_not_hide_a_good_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = java_home(tmp_path / "good")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "not-there"))
    monkeypatch.setenv("PATH", str(good / "bin"))

    assert java.find_java() == good


def test_the_message_names_all_that_was_found_and_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = java_home(tmp_path / "old", "11.0.20")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "gone"))
    monkeypatch.setenv("PATH", str(old / "bin"))

    with pytest.raises(JavaMissingError) as caught:
        java.find_java()

    message = str(caught.value)
    assert f"{tmp_path / 'gone'} does not start; {old} is version 11" in message
    assert "make setup INSTALL_JAVA=1" in message
    assert java.how_to_get_java() in message


def test_the_same_java_is_named_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = java_home(tmp_path / "old", "11.0.20")
    monkeypatch.setenv("JAVA_HOME", str(old))
    monkeypatch.setenv("PATH", str(old / "bin"))

    with pytest.raises(JavaMissingError) as caught:
        java.find_java()

    assert str(caught.value).count(str(old)) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="the fake Java is a shell script")
class TestWithoutReleaseFile:
    def fake(self, folder: Path, script: str) -> Path:
        home = java_home(folder)
        (home / "release").unlink()
        (home / "bin" / "java").write_text(f"#!/bin/sh\n{script}\n")
        return home

    def test_java_is_asked_for_its_version_and_modules(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        script = 'case "$1" in -version) echo \'openjdk version "21.0.2"\' >&2;; *) echo jdk.incubator.vector@21;; esac'
        home = self.fake(tmp_path / "jdk", script)
        monkeypatch.setenv("JAVA_HOME", str(home))

        assert java.java_version(home) == 21
        assert java.find_java() == home

    def test_version_8_is_not_taken_for_version_1(self, tmp_path: Path) -> None:
        home = self.fake(tmp_path / "jdk", "echo 'java version \"1.8.0_392\"' >&2")

        assert java.java_version(home) == 8

    def test_a_launcher_on_the_path_leads_to_its_java(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        home = java_home(tmp_path / "real")
        shim = self.fake(tmp_path / "shims", f"echo '    java.home = {home}' >&2")
        monkeypatch.setenv("PATH", str(shim / "bin"))

        assert java.find_java() == home

    def test_a_stub_that_starts_nothing_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        stub = self.fake(tmp_path / "stub", "echo Unable to locate a Java Runtime. >&2; exit 1")
        monkeypatch.setenv("PATH", str(stub / "bin"))

        with pytest.raises(JavaMissingError, match="stub does not start"):
            java.find_java()

    def test_a_file_that_is_no_program_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        home = self.fake(tmp_path / "jdk", "")
        (home / "bin" / "java").write_bytes(b"\x00\x01")
        monkeypatch.setenv("JAVA_HOME", str(home))

        with pytest.raises(JavaMissingError, match="jdk does not start"):
            java.find_java()


MAKES_A_JAVA = f"""
import pathlib, sys
home = pathlib.Path(sys.argv[1]) / "jdk-17.0.15+6-jre"
(home / "bin").mkdir(parents=True)
(home / "bin" / "{PROGRAM}").touch()
(home / "release").write_text('JAVA_VERSION="17.0.15"\\nMODULES="{COMPLETE}"\\n')
"""


def test_a_downloaded_java_is_found_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(java, "_DOWNLOAD", MAKES_A_JAVA)

    installed = java.install_java(Path(sys.executable))

    assert installed == java.OWN_JAVA / "jdk-17.0.15+6-jre"
    assert java.find_java() == installed


def test_a_download_replaces_a_broken_one(monkeypatch: pytest.MonkeyPatch) -> None:
    java_home(java.OWN_JAVA / "jdk-11", "11.0.1")
    monkeypatch.setattr(java, "_DOWNLOAD", MAKES_A_JAVA)

    java.install_java(Path(sys.executable))

    assert [path.name for path in java.OWN_JAVA.iterdir()] == ["jdk-17.0.15+6-jre"]


@pytest.mark.parametrize(
    ("script", "seconds", "reason"),
    [
        ("raise OSError('Name or service not known')", 30, "OSError: Name or service not known"),
        ("raise SystemExit(1)", 30, "no reason given"),
        ("import time; time.sleep(20)", 0.3, "not done after"),
    ],
)
def test_a_download_that_fails_says_why_and_leaves_nothing(
    script: str, seconds: float, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(java, "_DOWNLOAD", script)
    monkeypatch.setattr(java, "_DOWNLOAD_SECONDS", seconds)

    with pytest.raises(UserError, match=reason) as caught:
        java.install_java(Path(sys.executable))

    assert java.how_to_get_java() in str(caught.value)
    assert list(tmp_path.iterdir()) == []
