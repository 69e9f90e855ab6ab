"""Which containers a start makes anew, and the jobs that would end with them: one rule for one host and for several."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache

from spark_apps.cluster.compose.project import CLIENT, HASH_LABEL, IMAGE_LABEL, Compose, Container
from spark_apps.cluster.operations.submit import running_jobs


class DesiredState:
    """What the containers shall be made from: each service's configuration and image."""

    def __init__(self, compose: Compose, image_id: Callable[[str], str] | None = None) -> None:
        """Asks Compose for the configuration.

        Args:
            compose: the cluster, with the settings that it shall have.
            image_id: gives the id that the image of a name will have at the start; else the one it has now.
        """
        lines = compose.ask("config", "--hash", "*").splitlines()
        self._hashes = dict(line.split() for line in lines if line.strip())
        services = json.loads(compose.ask("config", "--format", "json"))["services"]
        # not the name that a container gives: it says the id of its image once the name stands for another
        self._names = {service: str(one["image"]) for service, one in services.items()}
        self._image_id = lru_cache(maxsize=None)(image_id or compose.docker.image_id)

    def matches(self, container: Container) -> bool:
        """Whether a container was made from just this configuration and image."""
        service, image = container.service, container.labels.get(IMAGE_LABEL, "")
        if service not in self._names or container.labels.get(HASH_LABEL) != self._hashes.get(service):
            return False
        return not image or image == self._image_id(self._names[service])


def interrupted_jobs(compose: Compose, desired: DesiredState) -> list[str]:
    """Returns the jobs in a client that is not made from what it shall be, and would be replaced."""
    clients = [one for one in compose.containers() if one.service == CLIENT and one.state == "running"]
    return running_jobs(compose) if any(not desired.matches(one) for one in clients) else []
