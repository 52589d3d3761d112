"""Random webhook posts: valid and invalid signatures, encryption, content types and bodies.

A post is bytes: its headers as a line of JSON, then its body.
"""

import base64
import contextlib
import http.client
import json
import time
from random import Random
from urllib.parse import urlsplit

from notifier.errors import Quarantined
from notifier.feishu.webhook.crypto import DecryptionError
from notifier.feishu.webhook.request import RequestRejected, WebhookAccess, verify_request
from notifier.feishu.wire import read_balance_report, read_event
from notifier.sandbox.push.webhook import encrypt, signature_headers
from notifier.sandbox.settings import SandboxSettings
from support.noise import Maker, as_bytes, callbacks, event, mutated

ACCESS = WebhookAccess(
    app_id="cli_x",
    path="/feishu/events",
    encrypt_key=SandboxSettings().webhook_encrypt_key,
    verification_token=SandboxSettings().webhook_verification_token,
)
CONTENT_TYPES = ("application/json; charset=utf-8", "text/plain", "application/json; charset=utf-32", "", "x")
ANSWER_SECONDS = 30.0
ANSWERS = frozenset({200, 400, 401})
"""The allowed HTTP statuses: accepted, unreadable, not from Feishu."""


def post(rng: Random) -> bytes:
    """A random body in a random envelope with a random signature."""
    body = _envelope(rng, _content(rng))
    headers = {"Content-Type": rng.choice(CONTENT_TYPES)} | _signature(rng, body)
    return json.dumps(headers).encode() + b"\n" + body


def _content(rng: Random) -> bytes:
    make: Maker = rng.choice((event, event, callbacks(["ref"]), _challenge, lambda rng: rng.randbytes(40)))
    raw = make(rng)
    if rng.random() < 0.8:  # with the right token most posts pass the access check
        token = b'"token": ' + json.dumps(ACCESS.verification_token).encode()
        raw = raw.replace(b'"token": ""', token)
    return raw


def _challenge(rng: Random) -> bytes:
    document = {"challenge": "c", "token": "", "type": "url_verification"}
    return as_bytes(rng, mutated(rng, document) if rng.random() < 0.7 else document)


def _envelope(rng: Random, content: bytes) -> bytes:
    match rng.randrange(8):
        case 0:
            return content
        case 1:
            return as_bytes(rng, mutated(rng, {"encrypt": encrypt(ACCESS.encrypt_key, content)}))
        case 2:  # bytes that cannot be decrypted, of valid and invalid lengths
            encrypted = rng.randbytes(rng.choice((0, 1, 15, 16, 17, 32, 48, 64, 1000)))
            return json.dumps({"encrypt": base64.b64encode(encrypted).decode()}).encode()
        case 3:
            return json.dumps({"encrypt": encrypt("another key", content)}).encode()
        case _:
            return json.dumps({"encrypt": encrypt(ACCESS.encrypt_key, content)}).encode()


def _signature(rng: Random, body: bytes) -> dict[str, str]:
    good = signature_headers(ACCESS.encrypt_key, body, seconds_now=int(time.time()))
    match rng.randrange(8):
        case 0:
            return {}
        case 1:
            name = rng.choice(list(good))
            return good | {
                name: rng.choice(("", "0", "-1", "9" * 400, "x" * 64, "é", "1e9", good[name][:-1]))
            }
        case 2:
            stale = int(time.time()) + rng.choice((-1, 1)) * rng.choice((301, 3600, 10**9))
            return signature_headers(ACCESS.encrypt_key, body, seconds_now=stale)
        case 3:
            del good[rng.choice(list(good))]
            return good
        case _:
            return good


def split_post(made: bytes) -> tuple[dict[str, str], bytes]:
    """The headers and the body of a post."""
    line, _, body = made.partition(b"\n")
    return json.loads(line), body


def read_post(made: bytes) -> None:
    """Checks and reads a post as the webhook does. A refusal is not an error."""
    headers, body = split_post(made)
    with contextlib.suppress(RequestRejected, DecryptionError, Quarantined):
        opened = verify_request(ACCESS, headers, body, now=round(time.time() * 1000))
        read_balance_report(read_event(opened.payload, app_id=ACCESS.app_id))


class Poster:
    """Posts to a running notifier over one connection, which is reopened when it ends."""

    def __init__(self, url: str) -> None:
        split = urlsplit(url)
        self._path = split.path
        self._connection = http.client.HTTPConnection(split.netloc, timeout=ANSWER_SECONDS)

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()

    def push(self, made: bytes) -> int:
        """Sends a post. Returns the HTTP status of the answer."""
        headers, body = split_post(made)
        sent = {name: value.encode("utf-8") for name, value in headers.items()}
        self._connection.request("POST", self._path, body=body, headers=sent)
        answer = self._connection.getresponse()
        answer.read()
        return answer.status
