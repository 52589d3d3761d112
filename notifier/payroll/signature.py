"""Signature: HMAC-SHA256 over timestamp and raw body, in both directions. docs/payouts.md has an example."""

import hashlib
import hmac
import re

TIMESTAMP_HEADER = "X-Payout-Timestamp"
SIGNATURE_HEADER = "X-Payout-Signature"
IDEMPOTENCY_KEY_HEADER = "Idempotency-Key"
TOLERANCE_SECONDS = 300
"""Maximum clock difference between the two systems. An older call counts as a replay."""


def sign(secret: str, timestamp: str, raw: bytes) -> str:
    """The signature: `v1=` and 64 hex characters. timestamp: Unix time in whole seconds, as text."""
    signed = timestamp.encode() + b"." + raw
    return "v1=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def verify_signature(
    secret: str, *, timestamp: str | None, signature: str | None, raw: bytes, now_seconds: float
) -> int | None:
    """When the call was signed, as Unix time in seconds. None if the signature is missing, wrong or too old."""
    if not secret or not timestamp or not signature or re.fullmatch("[0-9]{1,12}", timestamp) is None:
        return None
    if not timestamp.isascii():
        return None
    expected = sign(secret, timestamp, raw).encode()
    if not hmac.compare_digest(expected, signature.encode(errors="replace")):
        return None
    at = int(timestamp)
    return at if abs(at - now_seconds) <= TOLERANCE_SECONDS else None
