"""HTTP calls of the client, with the standard library."""

import http.client
import json
import os
import ssl
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

Json = dict[str, Any]
DEFAULT_URL = "http://127.0.0.1:8765"
URL_VARIABLE = "FEISHU_SANDBOX_URL"
ANSWER_SECONDS = 60.0


class SandboxClientError(Exception):
    """The sandbox refused a request. The text is its sentence. status: of the HTTP answer, 0 without one."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


class SandboxUnreachableError(SandboxClientError):
    """No sandbox answers at this address."""


class ControlConnection:
    """Calls the control API of a running sandbox.

    url: without a path; by default FEISHU_SANDBOX_URL of the environment, else http://127.0.0.1:8765.
    ssl_context: for https with a certificate of its own.
    """

    def __init__(self, url: str = "", *, ssl_context: ssl.SSLContext | None = None) -> None:
        self.url = (url or os.environ.get(URL_VARIABLE, "") or DEFAULT_URL).rstrip("/")
        if urllib.parse.urlsplit(self.url).scheme not in ("http", "https"):
            raise SandboxUnreachableError(f"{self.url} is not an http address")
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),  # the sandbox is on this machine
            urllib.request.HTTPSHandler(context=ssl_context),
        )

    def _call(
        self, method: str, path: str, body: Json | None = None, query: dict[str, str] | None = None
    ) -> Any:  # noqa: ANN401 - JSON
        """One call. Raises SandboxClientError."""
        return json.loads(self._read(method, path, body, query))

    def _read(
        self, method: str, path: str, body: Json | None = None, query: dict[str, str] | None = None
    ) -> bytes:
        address = f"{self.url}/api{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
        request = urllib.request.Request(  # noqa: S310 - the scheme is checked above
            address,
            data=None if method in ("GET", "DELETE") else json.dumps(body or {}).encode(),
            headers={"Content-Type": "application/json"},
            method=method,
        )
        wait = float((query or {}).get("wait", 0))
        try:
            with self._opener.open(request, timeout=ANSWER_SECONDS + wait) as answer:
                content: bytes = answer.read()
                return content
        except urllib.error.HTTPError as error:
            raise SandboxClientError(_error_text(error), error.code) from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise SandboxUnreachableError(f"no sandbox answers at {self.url}: {reason}") from None


def quote(segment: str) -> str:
    """A path segment of any characters."""
    return urllib.parse.quote(segment, safe="")


def _error_text(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(error.read())["error"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {error.code}"
