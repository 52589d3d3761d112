"""Posts events and callbacks to the webhook of the app, encrypted and signed as Feishu does."""

import asyncio
import base64
import hashlib
import json
import re
import secrets
from collections.abc import Callable

import aiohttp
from Crypto.Cipher import AES

from notifier.sandbox.push.frame_damage import damage_post
from notifier.sandbox.push.long_connection import Ack, ConnectionLostError, NotConnectedError
from notifier.sandbox.settings import is_loopback
from notifier.sandbox.tenant import Tenant

URL_CHECK_SECONDS = 1.0
BETWEEN_CHECKS_SECONDS = 0.2
BLOCK = 16
UNEXPECTED_ANSWER = 299
"""Code of a push that was answered with HTTP 200 and a body that no app sends, such as a page of a proxy. It does not
count as delivered.
"""


class BadWebhookError(ValueError):
    """A URL that is not allowed as a webhook. The text is shown to the caller."""


class WebhookPusher:
    """Posts to the webhook. url: its address, empty while the long connection is used."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self._key = tenant.settings.webhook_encrypt_key
        self._token = tenant.settings.webhook_verification_token
        self._seconds = tenant.settings.answer_seconds
        self.url = ""
        self.set_url(tenant.settings.webhook_url)

    def set_url(self, url: str) -> None:
        """Sets the address, "" for the long connection. Raises BadWebhookError unless it is an http URL on loopback."""
        if url:
            _check_loopback(url)
        self.url = url
        self._tenant.bump_revision()

    async def check_url(self, url: str) -> str:
        """Sends the challenge that Feishu's developer console sends when a URL is saved.

        Returns the reason of a failure, "" for success. Raises BadWebhookError unless it is an http URL on loopback.
        """
        _check_loopback(url)
        challenge = secrets.token_hex(8)
        body = {"challenge": challenge, "token": self._token, "type": "url_verification"}
        try:
            status, answer = await self._post(url, json.dumps(body).encode(), URL_CHECK_SECONDS, signed=False)
        except TimeoutError:
            return f"no answer within {URL_CHECK_SECONDS:g} s"
        except (aiohttp.ClientError, OSError) as error:
            return f"{type(error).__name__}: {error}".removesuffix(": ")
        if status != 200:
            return f"HTTP {status}"
        try:
            content = json.loads(answer)
        except ValueError:
            return "the answer is not JSON"
        if not isinstance(content, dict) or content.get("challenge") != challenge:
            return "the answer is not the challenge that was sent"
        return ""

    async def wait_until_up(self) -> None:
        """Repeats the check until it succeeds, or until the webhook is not used any more."""
        while self.url and await self.check_url(self.url):  # noqa: ASYNC110 - another process gives no event to wait for
            await asyncio.sleep(BETWEEN_CHECKS_SECONDS)

    async def send_and_wait(
        self,
        payload: bytes,
        *,
        on_ack: Callable[[Ack], None] = lambda _ack: None,
        damage: str | None = None,
    ) -> Ack:
        """Posts one payload and waits for the answer. Raises NotConnectedError, TimeoutError, ConnectionLostError.

        on_ack: called with the answer at once. damage: one of DAMAGE_TYPES.
        """
        try:
            status, answer = await self._post(
                self.url, self._with_token(payload), self._seconds, signed=True, damage=damage
            )
        except TimeoutError:
            raise
        except aiohttp.ClientConnectorError as error:
            raise NotConnectedError from error
        except (aiohttp.ClientError, OSError) as error:
            raise ConnectionLostError from error
        ack = Ack(status, answer or None)
        on_ack(ack)
        return ack

    def _with_token(self, payload: bytes) -> bytes:
        """Adds the verification token, which is empty over the long connection. Other bytes stay unchanged."""
        return re.sub(rb'"token":\s*""', b'"token": ' + json.dumps(self._token).encode(), payload, count=1)

    async def _post(
        self, url: str, payload: bytes, seconds: float, *, signed: bool, damage: str | None = None
    ) -> tuple[int, bytes]:
        # compact, as Feishu sends it: the Node SDK verifies the signature over its own compact JSON of the body
        body = {"encrypt": encrypt(self._key, payload)}
        raw = json.dumps(body, separators=(",", ":")).encode() if self._key else payload
        headers = {"Content-Type": "application/json; charset=utf-8"}
        if self._key and signed:
            headers |= signature_headers(self._key, raw, seconds_now=int(self._tenant.clock.now()))
        if damage:
            headers, raw = damage_post(headers, raw, damage)
        timeout = aiohttp.ClientTimeout(total=seconds)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(url, data=raw, headers=headers, allow_redirects=False) as response,
        ):
            return response.status, await response.read()


def is_expected(answer: bytes | None) -> bool:
    """Whether a body that came with HTTP 200 is one that an app sends: nothing, or JSON that is no text."""
    if answer is None or not answer.strip():
        return True
    try:
        return isinstance(json.loads(answer), dict | None)
    except ValueError:
        return False


def _check_loopback(url: str) -> None:
    if not is_loopback(url):
        raise BadWebhookError(
            "events go to loopback http addresses only, such as http://127.0.0.1:8080/feishu/events"
        )


def encrypt(key: str, payload: bytes) -> str:
    """The value of `encrypt` in a body: AES-256-CBC with the SHA-256 of the key, as Feishu documents."""
    padding = BLOCK - len(payload) % BLOCK
    iv = secrets.token_bytes(BLOCK)
    cipher = AES.new(hashlib.sha256(key.encode()).digest(), AES.MODE_CBC, iv=iv)
    return base64.b64encode(iv + cipher.encrypt(payload + padding * bytes([padding]))).decode()


def signature_headers(key: str, raw: bytes, *, seconds_now: int) -> dict[str, str]:
    """The headers with which Feishu signs the raw body. seconds_now: seconds since 1970."""
    timestamp, nonce = str(seconds_now), secrets.token_hex(8)
    signature = hashlib.sha256(f"{timestamp}{nonce}{key}".encode() + raw).hexdigest()
    return {
        "X-Lark-Request-Timestamp": timestamp,
        "X-Lark-Request-Nonce": nonce,
        "X-Lark-Signature": signature,
    }
