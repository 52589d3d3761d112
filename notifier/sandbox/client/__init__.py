"""A client of the control API for scripts and tests in another process. It needs the standard library only."""

from notifier.sandbox.client.client import SandboxClient, SandboxClientError, SandboxUnreachableError

__all__ = ["SandboxClient", "SandboxClientError", "SandboxUnreachableError"]
