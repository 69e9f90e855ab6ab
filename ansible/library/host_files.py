"""Ansible module: makes folders and writes small files, all of a host in one question instead of several for each."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: host_files
short_description: Makes folders and writes small files, all in one question
description:
  - Each file is written by rename, and only where its content, owner or mode differ.
options:
  folders:
    description: Each with path, mode, owner and group; parents come first.
    type: list
    elements: dict
    default: []
  files:
    description: Each with path, content, mode, owner, group, and a command that must pass on it, with %s for its path.
    type: list
    elements: dict
    default: []
"""
EXAMPLES = """
- name: Write the settings
  host_files:
    folders: [{path: /opt/shopstream}]
    files: [{path: /opt/shopstream/cluster.env, content: "A=1\\n"}]
"""
RETURN = """
changed_paths:
  description: What was made or changed.
  returned: always
  type: list
"""
_OWNED = {"owner": {"type": "str", "default": "root"}, "group": {"type": "str", "default": "root"}}
_FOLDER = {"path": {"type": "path", "required": True}, "mode": {"type": "str", "default": "0755"}, **_OWNED}
_FILE = {
    **_FOLDER,
    "mode": {"type": "str", "default": "0644"},
    "content": {"type": "str", "required": True, "no_log": True},
    "validate": {"type": "str"},
}


def main() -> None:
    """Runs as Ansible's modules do: arguments in, one JSON object out."""
    module = AnsibleModule(
        {
            "folders": {"type": "list", "elements": "dict", "options": _FOLDER, "default": []},
            "files": {"type": "list", "elements": "dict", "options": _FILE, "default": []},
        },
        supports_check_mode=True,
    )
    changed = [one["path"] for one in module.params["folders"] if _folder(module, one)]
    changed += [one["path"] for one in module.params["files"] if _file(module, one)]
    module.exit_json(changed=bool(changed), changed_paths=changed)


def _folder(module: AnsibleModule, wanted: dict[str, Any]) -> bool:
    missing = not Path(wanted["path"]).is_dir()
    if missing and not module.check_mode:
        Path(wanted["path"]).mkdir(parents=True, mode=0o700)
    return _owned(module, wanted, missing)


def _file(module: AnsibleModule, wanted: dict[str, Any]) -> bool:
    path, content = Path(wanted["path"]), wanted["content"].encode("utf-8")
    differs = not path.is_file() or path.read_bytes() != content
    if differs and not module.check_mode:
        # of mode 0600 until it has its own
        handle, part = tempfile.mkstemp(dir=module.tmpdir)
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        _validate(module, wanted, part)
        module.atomic_move(part, str(path))
    return _owned(module, wanted, differs)


def _validate(module: AnsibleModule, wanted: dict[str, Any], part: str) -> None:
    if wanted["validate"]:
        code, output, errors = module.run_command(wanted["validate"] % part)
        if code:
            module.fail_json(msg=f"{wanted['path']} stays as it was, for the new one is not valid: {errors or output}")


def _owned(module: AnsibleModule, wanted: dict[str, Any], changed: bool) -> bool:
    if module.check_mode and not Path(wanted["path"]).exists():
        return changed
    return bool(module.set_fs_attributes_if_different(module.load_file_common_arguments(wanted), changed))


if __name__ == "__main__":
    main()
