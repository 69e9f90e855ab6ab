"""InfluxDB's HTTP API as it is, beside the client that shopstream uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import requests


@dataclass(frozen=True)
class HttpApi:
    """A server as the holder of one token sees it."""

    url: str
    token: str | None = None

    def ask(self, method: str, path: str, **request: Any) -> requests.Response:
        headers = {"Authorization": f"Token {self.token}"} if self.token else {}
        return requests.request(method, f"{self.url}{path}", headers=headers, timeout=30, **request)

    def call(self, method: str, path: str, **request: Any) -> Any:
        answer = self.ask(method, path, **request)
        answer.raise_for_status()
        return answer.json() if answer.content else None
