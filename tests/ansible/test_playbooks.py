"""The playbooks and roles by themselves: they parse, every role says what it takes, and no formula is written twice."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from spark_apps.cluster.config import ClusterConfig
from spark_apps.cluster.hosts.placement import read_hosts
from spark_apps.cluster.hosts.remote import read_inventory
from spark_apps.cluster.sizing import make_plan

pytest.importorskip("ansible.errors", reason="make setup-hosts installs Ansible")

REPOSITORY = Path(__file__).resolve().parents[2]
HERE = REPOSITORY / "ansible"
EXAMPLE = HERE / "inventory.example.yaml"
ROLES = sorted(path.name for path in (HERE / "roles").iterdir())
PLAYBOOKS = sorted(path.name for path in HERE.glob("*.yaml") if not path.name.startswith("inventory"))


def tool(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / name), *arguments]
    return subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture(scope="module")
def filters() -> ModuleType:
    spec = importlib.util.spec_from_file_location("shopstream_filters", HERE / "filter_plugins" / "shopstream.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_a_playbook_parses(playbook: str) -> None:
    done = tool("ansible-playbook", "-i", str(EXAMPLE), "--syntax-check", playbook)
    assert done.returncode == 0, done.stderr


def test_there_are_the_promised_playbooks() -> None:
    assert {"site.yaml", "upgrade.yaml", "scale.yaml", "destroy.yaml"} <= set(PLAYBOOKS)


@pytest.mark.parametrize("role", ROLES)
def test_a_role_says_what_it_takes(role: str) -> None:
    said = yaml.safe_load((HERE / "roles" / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))
    main = said["argument_specs"]["main"]
    assert main["short_description"].endswith(".")
    assert all(option["type"] and option["description"] for option in main["options"].values())


@pytest.mark.parametrize("role", ROLES)
def test_every_default_is_a_declared_argument(role: str) -> None:
    defaults = HERE / "roles" / role / "defaults" / "main.yml"
    if role == "common" or not defaults.exists():
        return
    said = yaml.safe_load((HERE / "roles" / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))
    assert set(yaml.safe_load(defaults.read_text(encoding="utf-8"))) <= set(said["argument_specs"]["main"]["options"])


def test_the_example_is_an_inventory_with_a_host_for_every_group() -> None:
    inventory = read_inventory(EXAMPLE)
    facts = {"ansible_memtotal_mb": 32000, "ansible_processor_vcpus": 8}
    hosts = read_hosts({name: {**facts, **values} for name, values in inventory.variables.items()})
    assert {group for host in hosts for group in host.groups} == {
        *("namenode", "datanodes", "spark_master", "spark_workers", "monitoring", "client")
    }
    assert inventory.name == "shopstream"


def test_the_roles_write_what_compose_gets_on_one_host_for_the_same_budget(filters: ModuleType) -> None:
    groups = ["namenode", "datanodes", "spark_master", "spark_workers", "monitoring", "client"]
    only = {"ansible_host": "10.0.0.1", "shopstream_memory": "12g", "shopstream_cores": 4, "group_names": groups}
    written = filters.plan({"only": only}, ["only"], "shopstream", {"SHOPSTREAM_TAG": ""})["only"]
    found = ClusterConfig.parse(written["settings"]).variables()
    alone = ClusterConfig().with_plan(make_plan(12 * 1024, 1, 1, 4)).variables()
    assert {name: found[name] for name in alone} == alone
    assert "SHOPSTREAM_TAG" not in found


def test_no_size_is_written_in_a_role() -> None:
    words = ("_LIMIT", "_HEAP", "EXECUTOR_MEMORY", "memory_mb *", "WORKER_MEMORY")
    files = [path for path in HERE.rglob("*") if path.suffix in (".yml", ".yaml", ".j2")]
    assert files
    assert not [path.name for path in files for word in words if word in path.read_text(encoding="utf-8")]


def test_an_inventory_that_does_not_do_fails_in_ansibles_own_way(filters: ModuleType) -> None:
    from ansible.errors import AnsibleFilterError

    with pytest.raises(AnsibleFilterError, match="The group namenode of the inventory has no host"):
        filters.plan({}, [], "shopstream", {})


def inspected(*images: tuple[str, str], **config: Any) -> str:
    """What `docker image inspect` prints of images, each by its name and when it was made."""
    layers, start = {"Layers": ["sha256:1"]}, {"User": "hdfs", **config}
    return json.dumps([{"RepoTags": [tag], "Created": made, "RootFS": layers, "Config": start} for tag, made in images])


def test_only_images_that_differ_are_handed_over(filters: ModuleType) -> None:
    ours = inspected(("a:1", "now"), ("b:1", "now"), ("c:1", "now"))
    theirs = inspected(("a:1", "now"), ("b:1", "before"), ("e:1", "now"))
    wanted: dict[str, Any] = filters.compare(["a:1", "b:1", "c:1", "d:1", "e:1"], ours, theirs)
    assert wanted == {"send": ["b:1", "c:1"], "pull": ["d:1"]}
    # a host without an engine says nothing, one without an image an empty list
    assert filters.compare(["a:1"], ours, "") == filters.compare(["a:1"], ours, "[]") == {"send": ["a:1"], "pull": []}


def test_an_image_that_only_starts_differently_is_another_one(filters: ModuleType) -> None:
    ours, theirs = inspected(("a:1", "now"), Labels={"v": "2"}), inspected(("a:1", "now"), Labels={"v": "1"})
    assert filters.compare(["a:1"], ours, theirs)["send"] == ["a:1"]
    # one engine writes what it does not have as null, another leaves it out
    same = inspected(("a:1", "now"), Volumes=None), inspected(("a:1", "now"))
    assert filters.compare(["a:1"], *same)["send"] == []


def test_only_what_leads_to_the_host_is_told_of_it(filters: ModuleType) -> None:
    plan = {"settings": "A=1\n", "files": ["compose/cluster.yaml"], "disks_file": "{}", "secrets": ["spark_auth"]}
    values = {"inventory_hostname": "head", "ansible_host": "10.0.0.1", "group_names": ["client"], "vault": "secret"}
    asked = json.loads(filters.client_request({**values, "ansible_become": "false"}, plan, "shopstream"))
    assert asked.pop("variables") == {key: values[key] for key in values if key != "vault"} | {"ansible_become": False}
    assert asked == {"host": "head", "name": "shopstream", **{key: plan[key] for key in plan if key != "secrets"}}


def test_a_host_gets_the_repositorys_compose_files_its_settings_and_its_disks(filters: ModuleType) -> None:
    plan = {"settings": "A=1\n", "files": ["compose/cluster.yaml", "compose/disks.yaml"], "disks_file": "{}"}
    found = {one["path"]: one["content"] for one in filters.files(plan, str(REPOSITORY), "/opt/x")}
    assert found == {
        "/opt/x/compose/cluster.yaml": (REPOSITORY / "compose" / "cluster.yaml").read_text(encoding="utf-8"),
        "/opt/x/compose/disks.yaml": "{}",
        "/opt/x/cluster.env": "A=1\n",
    }


def test_a_secret_of_the_inventory_goes_before_one_that_was_made(filters: ModuleType, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text(f"made {name}", encoding="utf-8")
    found = filters.secret_files(["one", "two"], {"two": "given"}, str(tmp_path), "/opt/x")
    assert [(one["path"], one["content"], one["mode"]) for one in found] == [
        ("/opt/x/one", "made one", "0600"),
        ("/opt/x/two", "given", "0600"),
    ]


def test_grafana_gets_its_folders_with_all_that_is_below(filters: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "one.json").write_text("{}", encoding="utf-8")
    (tmp_path / "other").mkdir()
    found = filters.tree(["a"], str(tmp_path), "/opt/x")
    assert found == {
        "folders": [{"path": "/opt/x/a"}, {"path": "/opt/x/a/b"}],
        "files": [{"path": "/opt/x/a/b/one.json", "content": "{}"}],
    }


def test_taken_ports_are_looked_for_in_ranges_too(filters: ModuleType) -> None:
    head = "  sl  local_address rem_address   st\n"
    rows = "".join(
        f"   {place}: 0100007F:{port:04X} 00000000:0000 0A 0:0 0:0 0 0 0 77\n" for place, port in enumerate((22, 7305))
    )
    assert filters.taken([head + rows], ["8080", "7300-7399"]) == [7305]


def apt_tasks(tasks: Any) -> list[dict[str, Any]]:
    """What tasks ask of apt, also within blocks."""
    found = [task["ansible.builtin.apt"] for task in tasks if "ansible.builtin.apt" in task]
    return found + [one for task in tasks for one in apt_tasks(task.get("block", []))]


def test_packages_are_looked_for_in_lists_of_today() -> None:
    """Images come without package lists, and when these were deleted an hour ago they pass for fresh."""
    files = (path for path in HERE.glob("roles/*/tasks/*.yml"))
    asked = [one for path in files for one in apt_tasks(yaml.safe_load(path.read_text(encoding="utf-8")) or [])]
    assert any(one.get("update_cache") for one in asked)
    assert not [one for one in asked if "cache_valid_time" in one]
