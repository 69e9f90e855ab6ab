"""The module that writes a host's folders and small files: only what differs, and no word of what is in them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ansible.errors", reason="make setup-hosts installs Ansible")

LIBRARY = Path(__file__).resolve().parents[2] / "ansible" / "library"
USER, GROUP = str(os.getuid()), str(os.getgid())


class Host:
    """This machine, as Ansible's module finds it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def file(self, name: str, content: str, **more: Any) -> dict[str, Any]:
        return {"path": str(self.folder / name), "content": content, "owner": USER, "group": GROUP, **more}

    def write(self, *files: dict[str, Any], folders: tuple[str, ...] = (), check: bool = False) -> dict[str, Any]:
        """Runs the module by Ansible's own command and returns what it says."""
        made = [{"path": str(self.folder / name), "owner": USER, "group": GROUP} for name in folders]
        program = str(Path(sys.executable).parent / "ansible")
        given = ["-m", "host_files", "-a", json.dumps({"files": list(files), "folders": made})]
        environment = {**os.environ, "ANSIBLE_LIBRARY": str(LIBRARY), "ANSIBLE_NOCOLOR": "1"}
        command = [program, "localhost", "-o", "-e", f"ansible_python_interpreter={sys.executable}", *given]
        done = subprocess.run(
            [*command, *(["--check"] if check else [])],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        said: dict[str, Any] = json.loads(done.stdout.partition("=> ")[2])
        return {**said, "failed": done.returncode != 0}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_second_run_changes_nothing_and_a_difference_is_fixed(host: Host) -> None:
    wanted = (host.file("a/one", "1\n"), host.file("a/two", "2\n", mode="0600"))
    first = host.write(*wanted, folders=("a",))
    assert first["changed"] and not first["failed"] and len(first["changed_paths"]) == 3
    one, two = host.folder / "a" / "one", host.folder / "a" / "two"
    assert (one.read_text(), two.read_text()) == ("1\n", "2\n")
    assert [path.stat().st_mode & 0o777 for path in (one.parent, one, two)] == [0o755, 0o644, 0o600]
    assert not host.write(*wanted, folders=("a",))["changed"]
    one.write_text("changed by hand")
    two.chmod(0o644)
    assert host.write(*wanted, folders=("a",))["changed_paths"] == [str(one), str(two)]
    assert one.read_text() == "1\n" and two.stat().st_mode & 0o777 == 0o600


def test_a_check_tells_what_would_change_and_writes_nothing(host: Host) -> None:
    said = host.write(host.file("a/one", "1\n"), folders=("a",), check=True)
    assert said["changed_paths"] == [str(host.folder / "a"), str(host.folder / "a" / "one")]
    assert not (host.folder / "a").exists()


def test_what_is_not_valid_leaves_the_old_file(host: Host) -> None:
    rules = host.folder / "rules"
    host.write(host.file("rules", "good\n", validate="grep good %s"))
    said = host.write(host.file("rules", "bad\n", validate="grep good %s"))
    assert said["failed"] and "stays as it was" in said["msg"]
    assert rules.read_text() == "good\n"


def test_contents_are_not_told(host: Host) -> None:
    said = host.write(host.file("secret", "a-secret-of-some-length", mode="0600"))
    assert said["changed"] and "a-secret-of-some-length" not in json.dumps(said)
