"""What rooms find, as typed values: reports import them, and files hold them as JSON."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict


class Result(BaseModel):
    """Figures that belong together. A field with a default may be missing in files that an older version wrote."""

    model_config = ConfigDict(frozen=True)

    def figures(self) -> dict[str, Any]:
        """Returns the figures that were given, for JSON and for tests."""
        return self.model_dump(exclude_unset=True)

    def to_json(self) -> str:
        """Returns the same as a text that `model_validate_json` reads."""
        return json.dumps(self.figures(), indent=1)
