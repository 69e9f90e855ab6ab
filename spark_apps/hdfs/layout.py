"""The tree on HDFS as data: read from YAML, refused with one sentence where it says nothing that can be done."""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from spark_apps.errors import UserError
from spark_apps.platform import sizes

DEFAULT_LAYOUT = Path(__file__).resolve().parents[2] / "hdfs_layout" / "layout.yaml"
# what HDFS takes for a user's or group's name without further settings
_NAME = r"^[a-z_][a-z0-9_.-]*$"


class BadLayoutError(UserError):
    """A layout file that cannot be used."""


Size = Annotated[sizes.Size, Field(gt=0)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _OnceLoader(yaml.SafeLoader):
    """YAML that refuses a key given twice, where PyYAML would keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = Counter(self.construct_object(key, deep=True) for key, _ in node.value)
        twice = [key for key, count in keys.items() if count > 1]
        if twice:
            raise yaml.YAMLError(f"the key {twice[0]} stands there twice")
        return super().construct_mapping(node, deep)


class Retention(_Strict):
    """When what lies in a directory expires."""

    days: int = Field(gt=0)
    of: Literal["entries", "files"]


class Directory(_Strict):
    """One directory as it should be; a quota that is None is no quota."""

    path: str
    owner: str = Field(pattern=_NAME)
    group: str = Field(pattern=_NAME)
    mode: str
    description: str = Field(min_length=1)
    names: int | None = Field(None, gt=0)
    space: Size | None = None
    replication: int | None = Field(None, ge=1, le=512)
    retention: Retention | None = None

    @field_validator("path")
    @classmethod
    def _absolute(cls, value: str) -> str:
        if not value.startswith("/") or value != posixpath.normpath(value) or value.startswith("//"):
            raise ValueError(f"{value!r} is no absolute path without '..', '//' and a last '/'")
        return value

    @field_validator("mode")
    @classmethod
    def _octal(cls, value: str) -> str:
        if re.fullmatch(r"0?[0-7]{3}|[01][0-7]{3}", value) is None:
            raise ValueError(f"{value!r} is no mode: write four octal digits in quotes, as '0750' or '1777'")
        return value

    @property
    def permission(self) -> str:
        """The mode as WebHDFS writes it, without zeros before it."""
        return f"{int(self.mode, 8):o}"

    @property
    def depth(self) -> int:
        """How many directories lead to it."""
        return len([part for part in self.path.split("/") if part])


class Layout(_Strict):
    """The tree: directories, parents before children, and the one below which the tables stand."""

    tables: str
    directories: list[Directory] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_tree(self) -> Layout:
        counts = Counter(directory.path for directory in self.directories)
        twice = sorted(path for path, count in counts.items() if count > 1)
        if twice:
            raise ValueError(f"{twice[0]} is listed twice")
        for path in sorted(counts):
            parent = posixpath.dirname(path)
            if parent not in counts and parent != "/":
                raise ValueError(f"{path} is listed without its parent {parent}")
        if self.tables not in counts:
            raise ValueError(f"tables: {self.tables} is not among the directories")
        return self

    def in_order(self) -> list[Directory]:
        """Returns the directories, parents before children."""
        return sorted(self.directories, key=lambda one: (one.depth, one.path))

    def home_of(self, path: str) -> Directory | None:
        """Returns the listed directory that a path lies in, the nearest of several."""
        above = [one for one in self.directories if is_below(path, one.path)]
        return max(above, key=lambda one: one.depth, default=None)


def is_below(path: str, directory: str) -> bool:
    """Says whether a path is a directory or lies below it."""
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def read_layout(path: Path) -> Layout:
    """Reads a layout file.

    Raises:
        BadLayoutError: naming the file, the entry and what is wrong with it.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _OnceLoader)  # a SafeLoader
    except OSError as error:
        raise BadLayoutError(f"The layout {path} cannot be read ({error.strerror}): name one with --layout.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise BadLayoutError(f"The layout {path} is not YAML ({reason}).") from None
    try:
        return Layout.model_validate(content)
    except ValidationError as error:
        raise BadLayoutError(f"The layout {path} cannot be used: {_reason(error, content)}.") from None


def _reason(error: ValidationError, content: object) -> str:
    first = error.errors()[0]
    where = list(first["loc"])
    parts = [str(part) for part in where]
    if len(where) > 1 and where[0] == "directories" and isinstance(where[1], int) and isinstance(content, dict):
        entry = content["directories"][where[1]]
        named = entry.get("path") if isinstance(entry, dict) else None
        parts = [str(named or f"directory number {where[1] + 1}"), *parts[2:]]
    said = first["msg"].removeprefix("Value error, ").rstrip(".")
    said = "there is no such key" if first["type"] == "extra_forbidden" else said
    return ": ".join([", ".join(parts), said] if parts else [said])
