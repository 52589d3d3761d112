"""Marks: every secret of the stand-in is known by its form, so that a test can find it wherever it leaked to."""

import re
import secrets

SECRET_PATTERN = re.compile(
    r"\bsandbox(?:-[a-z]+)*-(?:secret|key|token|ticket)(?:-[0-9a-f]{32})?\b|\bt-sandbox[0-9a-f]{32}\b"
)
"""Sample credentials (`sandbox-secret`, `sandbox-encrypt-key`, ...), what is drawn for one connection, and tokens.

A new secret of this form is looked for without a word elsewhere.
"""


def new_secret(name: str) -> str:
    """A fresh secret. name: `ticket`, `access-key`, ..."""
    return f"sandbox-{name}-{secrets.token_hex(16)}"
