"""Random invalid input from a seed: frames, events, callbacks, and texts for cards.

targets() has the input for the long connection. READERS in support/fuzzing.py has the input for functions.
"""

import copy
import json
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from notifier.sandbox.push.frames import CONTROL, DATA, Frame

Maker = Callable[[Random], bytes]
"""Makes one input as bytes."""

SERVICE = 33554678
BALANCE_CHANGED = "hire.referral_account.assets_update_v1"

TEXTS = (
    "",
    " ",
    "\0",
    "\u202e林小满\u202c",
    "<at id=all></at>",
    "<person id='ou_x'></person>",
    "[x](https://evil.invalid)",
    '"}],"tag":"button","',
    "{{ card }}{% raw %}",
    "\ue0000\ue001",
    "\\u0000\\",
    "a\nb\r\nc\u2028d",
    "**b** `c` ~~d~~ # e | f",
    "\ud800",
    "🧧" * 20,
    "A\u0301" * 20,
    "&lt;at&gt;&#60;",
    "$" * 40,
    "13800138000",
    "lin@example.com",
    "ou_sandbox_lin",
    "-1",
    "NaN",
    "1e400",
    "１２３",
    "x" * 300,
)
NUMBERS = (0, -0.0, -1, 1, 0.1, 1e-9, 1e308, 10**13, 10**18, 2**63, 2**64, 10**30, 10**399, 1.5, 99999.99995)
TYPES = (
    BALANCE_CHANGED,
    "card.action.trigger",
    "im.message.receive_v1",
    "im.chat.disbanded_v1",
    "url_verification",
    "unreadable",
    "no.such.event_v9",
)
COUNTS = (
    "0",
    "1",
    "2",
    "3",
    "-1",
    "-2",
    "",
    " 2 ",
    "1e3",
    "two",
    "２",
    "0x2",
    "999999999",
    "300000000",
    "9" * 30,
    "9" * 5000,
    "-999999999",
    "1_000",
)


def balance_document(rng: Random) -> dict[str, Any]:
    """A valid balance event of one of a few accounts, in the form of Feishu's documentation."""
    return {
        "schema": "2.0",
        "header": {
            "event_id": f"noise-{rng.getrandbits(64):x}",
            "event_type": BALANCE_CHANGED,
            "create_time": str(1_700_000_000_000 + rng.randrange(10**9)),
            "token": "",
            "app_id": "cli_5a4db0c05a4db0c0",
            "tenant_key": "sandbox-tenant",
        },
        "event": {
            "account_id": f"70000000000000000{rng.randrange(10, 60)}",
            "assets": {
                "confirmed_bonus": {
                    "point_bonus": rng.randrange(10**6),
                    "cash_bonus": [{"currency_type": "CNY", "amount": rng.randrange(10**6) / 100}],
                }
            },
            "modify_time": str(1_700_000_000_000 + rng.randrange(10**9)),
        },
    }


def click_document(rng: Random, ref: str) -> dict[str, Any]:
    """A valid click, in the form of Feishu's documentation. ref: the reference of a button."""
    return {
        "schema": "2.0",
        "header": {
            "event_id": f"click-{rng.getrandbits(64):x}",
            "event_type": "card.action.trigger",
            "create_time": str(1_700_000_000_000_000 + rng.randrange(10**9)),
            "token": "",
            "app_id": "cli_5a4db0c05a4db0c0",
            "tenant_key": "sandbox-tenant",
        },
        "event": {
            "operator": {"open_id": "ou_noise", "union_id": "on_1", "tenant_key": "sandbox-tenant"},
            "token": "c-1",
            "action": {
                "tag": "button",
                "value": {"ref": ref},
                "form_value": {"account": "acc"},
                "timezone": "Asia/Shanghai",
            },
            "host": "im_message",
            "context": {"open_message_id": "om_noise_1", "open_chat_id": "oc_noise"},
        },
    }


def value(rng: Random, depth: int = 0) -> object:  # noqa: PLR0911 - one line per kind of value
    """Any JSON, mostly of the wrong kind."""
    match rng.randrange(10 if depth < 3 else 6):
        case 0:
            return None
        case 1:
            return rng.random() < 0.5
        case 2 | 3:
            return rng.choice(NUMBERS)
        case 4:
            return rng.choice(TEXTS)
        case 5:
            return "".join(
                chr(rng.choice((rng.randrange(32, 127), rng.randrange(0x10FFFF)))) for _ in range(9)
            )
        case 6 | 7:
            return [value(rng, depth + 1) for _ in range(rng.randrange(4))]
        case 8:
            return {rng.choice(TEXTS): value(rng, depth + 1) for _ in range(rng.randrange(4))}
        case _:
            return nested(rng)


def nested(rng: Random) -> object:
    """Lists in lists, up to about where readers give up."""
    made: object = 1
    for _ in range(rng.choice((5, 50, 200, rng.randrange(300, 1000)))):
        made = [made] if rng.random() < 0.9 else {"a": made}
    return made


def _paths(node: object, depth: int = 0) -> list[tuple[Any, Any]]:
    """(container, key) of everything below, but not of what is deeper than a document ever is."""
    pairs: list[tuple[Any, Any]] = []
    if isinstance(node, dict | list) and depth < 8:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        for key in keys:
            pairs.append((node, key))
            pairs += _paths(node[key], depth + 1)
    return pairs


def mutated(rng: Random, document: Mapping[str, object]) -> dict[str, Any]:
    """A copy with one to three things wrong."""
    made: dict[str, Any] = copy.deepcopy(dict(document))
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        places = _paths(made)
        if not places:
            return made
        container, key = rng.choice(places)
        match rng.randrange(6):
            case 0:
                del container[key]
            case 1 if isinstance(container, dict):
                container[rng.choice(TEXTS)] = value(rng)
            case 2 if isinstance(container[key], str):
                container[key] = rng.choice(TEXTS)
            case 3 if isinstance(container[key], int | float):
                container[key] = rng.choice(NUMBERS)
            case 4 if isinstance(container[key], list):
                container[key] = container[key] * rng.choice((0, 2, 50))
            case _:
                container[key] = value(rng)
    return made


def as_bytes(rng: Random, document: object) -> bytes:  # noqa: PLR0911 - one line per kind of damage
    """As JSON, and now and then as something that only looks like it."""
    try:
        text = json.dumps(document, ensure_ascii=rng.random() < 0.5)
    except RecursionError:
        text = "[" * 5000
    raw = text.encode("utf-8", "surrogatepass")
    match rng.randrange(24):
        case 0:
            return raw[: rng.randrange(len(raw) + 1)]
        case 1:
            return b"\xef\xbb\xbf" + raw
        case 2:
            return text.encode("utf-16", "surrogatepass")
        case 3:
            at = rng.randrange(len(raw) + 1)
            return raw[:at] + bytes([rng.randrange(256)]) + raw[at + 1 :]
        case 4:
            return raw + rng.choice((b"}", b"\0", raw, b" " * 1000))
        case 5:  # the same key twice, of different kinds
            key = rng.choice((b'"event_id"', b'"event_type"', b'"account_id"', b'"modify_time"', b'"header"'))
            return raw.replace(key, key + b": " + rng.choice((b"7", b"null", b'"x"', b"[]")) + b", " + key, 1)
        case 6:  # unusual numbers that JSON allows
            return raw.replace(b"1", rng.choice((b"1E+5", b"-1e-5", b"1" * 500, b"1.0000000000000000001")), 1)
        case 7:
            return b"[" * rng.choice((10, 900, 990, 1000, 100_000)) + raw
        case _:
            return raw


def event(rng: Random) -> bytes:
    """A balance event with random changes."""
    document = balance_document(rng)
    if rng.random() < 0.1:
        document["header"]["event_type"] = rng.choice(TYPES)
    if rng.random() < 0.02:
        return b'{"schema": "1.0", "uuid": "u", "event": {"type": %s}}' % as_bytes(rng, rng.choice(TEXTS))
    return as_bytes(rng, mutated(rng, document))


def callbacks(refs: list[str]) -> Maker:
    """Makes clicks by people with and without permission. refs: references of buttons on cards."""

    def callback(rng: Random) -> bytes:
        ref = rng.choice([*refs, "no-such-button"])
        document = click_document(rng, ref)
        if rng.random() < 0.3:
            document["event"]["operator"]["open_id"] = rng.choice(("ou_noise_owner", "ou_other", ""))
        return as_bytes(rng, mutated(rng, document) if rng.random() < 0.95 else document)

    return callback


def in_frame(make: Maker) -> Maker:
    """Puts the input into a valid frame."""

    def framed(rng: Random) -> bytes:
        return frame_of(make(rng), message_id=f"m-{rng.getrandbits(64):x}")

    return framed


def frame_of(payload: bytes, *, message_id: str, kind: str = "event", parts: int = 1, part: int = 0) -> bytes:
    """A valid data frame with this payload."""
    headers = (
        ("type", kind),
        ("message_id", message_id),
        ("trace_id", message_id),
        ("sum", str(parts)),
        ("seq", str(part)),
    )
    return Frame(service=SERVICE, method=DATA, headers=headers, payload=payload).to_bytes()


def frame(rng: Random) -> bytes:
    """Bytes, protobuf, headers and parts, each gone wrong in its way."""
    return rng.choice((_bytes, _corrupted_frame, _headers, _fields, _chunk, _chunk, _control, _method))(rng)


def _bytes(rng: Random) -> bytes:
    return rng.randbytes(rng.choice((0, 1, 5, 50, 2000)))


def _corrupted_frame(rng: Random) -> bytes:
    """A valid frame with bytes that are changed, removed, repeated or inserted."""
    raw = bytearray(frame_of(as_bytes(rng, balance_document(rng)), message_id=f"b-{rng.getrandbits(40):x}"))
    for _ in range(rng.choice((1, 1, 2, 8))):
        at = rng.randrange(len(raw)) if raw else 0
        match rng.randrange(4):
            case 0:
                raw[at : at + 1] = rng.randbytes(1)
            case 1:
                del raw[at:]
            case 2:
                raw[at:at] = raw[: rng.randrange(20)]
            case _:
                raw[at:at] = rng.randbytes(3)
    return bytes(raw)


def _headers(rng: Random) -> bytes:
    """Headers that are missing, repeated, empty or of the wrong form."""
    names = ("type", "message_id", "trace_id", "sum", "seq", "biz_rt", "")
    good = {"type": "event", "message_id": "h", "trace_id": "h", "sum": "1", "seq": "0"}
    headers = [
        (name, good.get(name, "") if rng.random() < 0.5 else rng.choice((*COUNTS, "card", "ping", "event")))
        for name in rng.choices(names, k=rng.randrange(9))
    ]
    payload = rng.choice((None, b"", b"\xff\xfe", as_bytes(rng, balance_document(rng))))
    return Frame(service=SERVICE, method=DATA, headers=tuple(headers), payload=payload).to_bytes()


def _fields(rng: Random) -> bytes:
    """Fields with a wrong wire type or number, wrong lengths, and text that is not UTF-8."""
    made = bytearray(Frame(service=SERVICE, method=DATA).to_bytes())
    for _ in range(rng.randrange(1, 6)):
        made += _varint(rng.randrange(12) << 3 | rng.randrange(8))
        made += rng.choice(
            (_varint(rng.getrandbits(64)), _varint(rng.randrange(40)) + rng.randbytes(20), b"\xff\xfe")
        )
    return bytes(made)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _chunk(rng: Random) -> bytes:
    """One chunk of a larger payload; most other chunks are never sent."""
    name = rng.choice((f"p-{rng.getrandbits(64):x}", f"p-{rng.randrange(50)}"))
    headers = (
        ("type", rng.choice(("event", "card"))),
        ("message_id", name),
        ("trace_id", name),
        ("sum", rng.choice(("2", "3", "50", *COUNTS))),
        ("seq", rng.choice(("0", "1", "2", *COUNTS))),
    )
    payload = rng.randbytes(rng.choice((0, 10, 1000, 20_000)))
    return Frame(service=SERVICE, method=DATA, headers=headers, payload=payload).to_bytes()


def _control(rng: Random) -> bytes:
    """Pongs with harmful client configurations, and unknown control frames."""
    names = ("PingInterval", "ReconnectCount", "ReconnectInterval", "ReconnectNonce", "x")
    settings: dict[str, Any] = {
        name: rng.choice((*NUMBERS, 0, -1, "90", None, True, [])) for name in rng.sample(names, 3)
    }
    settings |= {"PingInterval": 120} if rng.random() < 0.5 else {}
    payload = rng.choice((None, b"", b"{", as_bytes(rng, settings), json.dumps(settings).encode()))
    kind = rng.choice(("pong", "pong", "ping", "", "pang"))
    return Frame(service=SERVICE, method=CONTROL, headers=(("type", kind),), payload=payload).to_bytes()


def _method(rng: Random) -> bytes:
    return Frame(
        seq_id=rng.getrandbits(64),
        log_id=rng.getrandbits(64),
        service=rng.randrange(-(2**31), 2**31),
        method=rng.choice((2, -1, 2**31 - 1, -(2**31))),
        headers=(("type", "event"), ("message_id", "x"), ("sum", "1"), ("seq", "0")),
        payload=as_bytes(rng, balance_document(rng)),
        log_id_new=rng.choice((None, "", "x" * 300)),
    ).to_bytes()


def targets(refs: list[str]) -> dict[str, Maker]:
    """The makers of input for the long connection, by name. refs: references of buttons."""
    return {"frame": frame, "event": in_frame(event), "callback": in_frame(callbacks(refs))}
