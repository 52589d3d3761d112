"""Health check: asks the health endpoint of a running notifier, for a container or a service manager."""

import http.client
from dataclasses import dataclass

TIMEOUT_SECONDS = 3.0
"""Below the usual limits of a health check, so that the reason is printed before the check is cut off."""
MAX_BODY_BYTES = 4096

_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not listened on


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthAnswer:
    """What the endpoint answered. status: None if it did not. text: the answer, or why there was none."""

    status: int | None
    text: str

    @property
    def is_ok(self) -> bool:
        """Whether it answered 200."""
        return self.status == 200


def ask_health(host: str, port: int, path: str) -> HealthAnswer:
    """Ask the health endpoint of the notifier on this machine.

    host, port: where it listens. An address for all interfaces is asked on loopback. path: /livez or /readyz.
    """
    connection = http.client.HTTPConnection(_LOOPBACK.get(host, host), port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read(MAX_BODY_BYTES).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return HealthAnswer(status=None, text=str(error) or type(error).__name__)
    finally:
        connection.close()
    return HealthAnswer(status=response.status, text=body)
