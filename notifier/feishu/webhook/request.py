"""Webhook request: verifies that a request comes from Feishu, and decrypts its body."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from notifier.clock import Millis
from notifier.errors import ConfigError
from notifier.feishu.webhook.crypto import (
    NONCE_HEADER,
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    DecryptionError,
    decrypt,
    equal_in_constant_time,
    is_signed,
)
from notifier.feishu.wire import millis_or_zero, read_object

URL_CHECK = "url_verification"
LARGEST_URL_CHECK = 4096
"""Size limit in bytes of an unsigned request. Feishu's check of an address has a few hundred."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookAccess:
    """Secrets that verify a request; "" if a secret is not used. Raises ConfigError if neither is set."""

    app_id: str
    """The app that the webhook belongs to."""
    path: str
    """Path of the webhook address, such as /feishu/events."""
    encrypt_key: str = field(repr=False, default="")
    """Verifies the signature and decrypts the body."""
    verification_token: str = field(repr=False, default="")
    """Compared with the token in the body."""
    replay_window_seconds: int = 300
    """Maximum difference between the signed timestamp and the clock, in seconds."""

    def __post_init__(self) -> None:
        if not self.encrypt_key and not self.verification_token:
            raise ConfigError(
                "webhook: needs webhook.encrypt_key or webhook.verification_token, or anybody could post events",
                zh="webhook：需要 webhook.encrypt_key 或 webhook.verification_token，否则任何人都能提交事件",
            )


class RejectionReason(StrEnum):
    """Why a request is rejected, for the operator's log. The response does not contain it."""

    UNSIGNED = "there is no signature, but an Encrypt Key is configured"
    WRONG_KEY = (
        "it is unsigned and does not decrypt: is webhook.encrypt_key the one in the developer console?"
    )
    WRONG_SIGNATURE = "the signature is wrong: is webhook.encrypt_key the one in the developer console?"
    UNEXPECTED_ENCRYPTION = "it is encrypted, but webhook.encrypt_key is not set"
    BAD_TIMESTAMP = "the timestamp is missing or too far from this machine's clock"
    WRONG_TOKEN = "the verification token is missing or wrong"  # noqa: S105 - a sentence


class RequestRejected(Exception):
    """The request does not come from Feishu, or the secrets do not match."""

    def __init__(self, reason: RejectionReason) -> None:
        self.reason = reason
        super().__init__(reason.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedRequest:
    """A request from Feishu.

    payload: the decrypted body, as over the long connection. A valid signature does not guarantee valid JSON.
    body: the payload as JSON object; {} if it is none. challenge: the text to return if Feishu checks the address,
    otherwise None.
    """

    payload: bytes
    body: Mapping[str, Any]
    challenge: str | None


def verify_request(
    access: WebhookAccess, headers: Mapping[str, str], raw: bytes, *, now: Millis
) -> VerifiedRequest:
    """Verify and decrypt a request.

    raw: the body as received. now: in milliseconds. Raises RequestRejected, and DecryptionError for a signed request
    that cannot be decrypted.
    """
    signed = bool(access.encrypt_key) and _check_signature(access, headers, raw, now)
    if access.encrypt_key and not signed and len(raw) > LARGEST_URL_CHECK:
        raise RequestRejected(
            RejectionReason.UNSIGNED
        )  # not parsed, as a large unsigned body would cost 0.15 s of CPU time
    payload, body = raw, read_object(raw)
    was_encrypted = "encrypt" in body
    if was_encrypted:
        payload = _decrypt(access, body["encrypt"], signed=signed)
        body = read_object(payload)
    challenge = _challenge(body)
    if access.encrypt_key and not signed and not (was_encrypted and challenge is not None):
        raise RequestRejected(RejectionReason.UNSIGNED)
    token = _token(body)
    if access.verification_token and not equal_in_constant_time(access.verification_token, token):
        raise RequestRejected(RejectionReason.WRONG_TOKEN)
    return VerifiedRequest(payload=payload, body=body, challenge=challenge)


def _check_signature(access: WebhookAccess, headers: Mapping[str, str], raw: bytes, now: Millis) -> bool:
    """Return False if there is no signature, as Feishu may not sign its address check. Raises RequestRejected."""
    signature = headers.get(SIGNATURE_HEADER)
    if signature is None:
        return False
    timestamp, nonce = headers.get(TIMESTAMP_HEADER, ""), headers.get(NONCE_HEADER, "")
    if not is_signed(access.encrypt_key, timestamp=timestamp, nonce=nonce, signature=signature, raw=raw):
        raise RequestRejected(RejectionReason.WRONG_SIGNATURE)
    if abs(millis_or_zero(timestamp) - now) > 1000 * access.replay_window_seconds:
        raise RequestRejected(RejectionReason.BAD_TIMESTAMP)
    return True


def _decrypt(access: WebhookAccess, text: object, *, signed: bool) -> bytes:
    if not access.encrypt_key:
        raise RequestRejected(RejectionReason.UNEXPECTED_ENCRYPTION)
    try:
        return decrypt(access.encrypt_key, text)
    except DecryptionError:
        if signed:
            raise
        raise RequestRejected(
            RejectionReason.WRONG_KEY
        ) from None  # the failed step would help an attacker to guess the key


def _challenge(body: Mapping[str, object]) -> str | None:
    challenge = body.get("challenge")
    return challenge if body.get("type") == URL_CHECK and isinstance(challenge, str) else None


def _token(body: Mapping[str, object]) -> str:
    """Return the token of a 2.0 header; 1.0 events and address checks have it at the top level."""
    header = body.get("header")
    token = header.get("token") if isinstance(header, dict) else body.get("token")
    return token if isinstance(token, str) else ""
