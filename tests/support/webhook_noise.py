"""Webhook noise: posts that nobody should ever send us, rightly and wrongly signed, sealed and addressed.

A post is bytes like all noise: its headers as a line of JSON, then its body.
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
"""Stored or answered, unreadable, not Feishu's: nothing else may come of a body that fits."""


def post(rng: Random) -> bytes:
    """A body that says anything, in any envelope, with any signature."""
    body = _envelope(rng, _content(rng))
    headers = {"Content-Type": rng.choice(CONTENT_TYPES)} | _signature(rng, body)
    return json.dumps(headers).encode() + b"\n" + body


def _content(rng: Random) -> bytes:
    make: Maker = rng.choice((event, event, callbacks(["ref"]), _challenge, lambda rng: rng.randbytes(40)))
    raw = make(rng)
    if rng.random() < 0.8:  # with the right token, most go past the door
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
        case 2:  # bytes that decrypt to nothing, of good and of impossible lengths
            sealed = rng.randbytes(rng.choice((0, 1, 15, 16, 17, 32, 48, 64, 1000)))
            return json.dumps({"encrypt": base64.b64encode(sealed).decode()}).encode()
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
    """Headers and body."""
    line, _, body = made.partition(b"\n")
    return json.loads(line), body


def read_post(made: bytes) -> None:
    """As the webhook does: a refusal, or an event that is read like any other."""
    headers, body = split_post(made)
    with contextlib.suppress(RequestRejected, DecryptionError, Quarantined):
        opened = verify_request(ACCESS, headers, body, now=round(time.time() * 1000))
        read_balance_report(read_event(opened.payload, app_id=ACCESS.app_id))


class Poster:
    """Posts to a running notifier, one after another over one connection, which is made anew where it ended."""

    def __init__(self, url: str) -> None:
        place = urlsplit(url)
        self._path = place.path
        self._connection = http.client.HTTPConnection(place.netloc, timeout=ANSWER_SECONDS)

    def close(self) -> None:
        self._connection.close()

    def push(self, made: bytes) -> int:
        """What it was answered with."""
        headers, body = split_post(made)
        sent = {name: value.encode("utf-8") for name, value in headers.items()}
        self._connection.request("POST", self._path, body=body, headers=sent)
        answer = self._connection.getresponse()
        answer.read()
        return answer.status
