"""What a service's last log lines mean, and the likely remedy."""

from __future__ import annotations

import re

KILLED_FOR_MEMORY = 137

# the first pattern that is found wins: the particular before the general
_REMEDIES: tuple[tuple[str, str], ...] = (
    (
        r"Incompatible clusterIDs|All specified directories have failed to load",
        "a volume is left from another cluster: `shopstream cluster doctor` names it and says how to remove it",
    ),
    (
        r"NameNode is not formatted|InconsistentFSStateException",
        "the NameNode's volume is incomplete: restore its data, or start anew with `shopstream cluster destroy`",
    ),
    (
        r"Cannot lock storage|already locked",
        "another container uses the same volume: `docker ps` shows it; stop it first",
    ),
    (
        r"OutOfMemoryError|Cannot allocate memory|insufficient memory|OOMKilled",
        "it needs more memory: use a larger --memory, or fewer --workers",
    ),
    (
        r"port is already allocated|[Aa]ddress already in use|bind for .* failed|[Pp]orts are not available",
        "a port is taken: `shopstream cluster doctor` says by whom; stop that program or use --port-offset 100",
    ),
    (r"No space left on device|[Dd]isk quota exceeded", "the disk is full: free some space (`docker system df`)"),
    (
        r"CERTIFICATE_VERIFY_FAILED|x509:|PKIX path building failed|certificate verify failed",
        "a proxy changes TLS here: put your company's CA certificates (*.crt) into docker/ca-certificates/",
    ),
    (
        r"toomanyrequests|rate limit",
        "the registry limits your downloads: wait, log in with `docker login`, or name a mirror's image",
    ),
    (
        r"pull access denied|manifest unknown|manifest for .* not found|repository does not exist|lookup .*: no such"
        r"|failed to resolve reference|Client\.Timeout exceeded|dial tcp|Temporary failure resolving",
        "an image or package cannot be fetched: check the network and proxy, or name available images in "
        "BASE_IMAGE, INFLUXDB_IMAGE and GRAFANA_IMAGE",
    ),
    (
        r"bad interpreter|\\r|env: .*\r|exec format error|no such file or directory: .*entrypoint",
        "a script in the image has Windows line ends, or the image is for another processor: run "
        "`shopstream cluster doctor`, then `shopstream cluster images`",
    ),
    (
        r"[Pp]ermission denied|AccessControlException|Operation not permitted|EACCES",
        "a volume or file belongs to another user: `shopstream cluster doctor` says which",
    ),
    (
        r"invalid (mount|volume)|is not shared from the host|mounts denied",
        "Docker may not read this folder: share it in Docker Desktop under Settings > Resources > File sharing",
    ),
    (r"[Ss]afe mode", "HDFS waits for its DataNodes: look at `shopstream cluster logs datanode`"),
    (
        r"\b[Uu]nauthorized\b|\b401\b|already been set ?up",
        "its volume and the secrets do not belong together: restore .cluster, or start anew with "
        "`shopstream cluster destroy`",
    ),
    (
        r"UnknownHostException|could not be resolved|Name or service not known",
        "the service it asks for is not running: `shopstream cluster status` shows which",
    ),
)
_GENERAL = "`shopstream cluster doctor` looks for the usual causes"


def remedy_for(text: str, exit_code: int = 0) -> str:
    """Returns the likely remedy for what a service logged last.

    Args:
        text: its log lines, the newest last.
        exit_code: its exit code; 137 is Docker's for a process killed for memory.
    """
    if exit_code == KILLED_FOR_MEMORY and not re.search(_REMEDIES[0][0], text):
        return next(remedy for pattern, remedy in _REMEDIES if pattern.startswith("OutOfMemoryError"))
    return next((remedy for pattern, remedy in _REMEDIES if re.search(pattern, text)), _GENERAL)
