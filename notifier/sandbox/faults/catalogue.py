"""Trouble kinds: the table of faults that have a name: what each does, what it takes, and what may end it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from notifier.sandbox.api.error_codes import JsonObject

DISCOVERY, HANDSHAKE = "POST /callback/ws/endpoint", "GET /ws/v2"
TOKEN = "POST /open-apis/auth/v3/tenant_access_token/internal"  # noqa: S105  # an address
ANY_CALL = "* /open-apis/*"
HTML = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
CONFIG_KEYS = ("ReconnectCount", "ReconnectInterval", "ReconnectNonce", "PingInterval")
DAMAGES = ("bytes", "header", "chunk")
FARTHEST_CLOCK_SECONDS = 10 * 366 * 86_400

Options = Mapping[str, Any]  # every value has passed the check of its Option


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """wanted: what a value must be, as the end of the sentence "... must be"."""

    default: object
    wanted: str
    is_good: Callable[[object], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """does: what happens, for people. ends_by: what may end it, beside a person. at_once: with neither given it is
    over as soon as it is done; any other kind then lasts until a person ends it. rule: the fault it puts on calls.
    of_connection: it needs the long connection; where events are posted, there is nothing for it to do.
    """

    does: str
    options: Mapping[str, Option] = field(default_factory=dict)
    ends_by: tuple[str, ...] = ("seconds", "times")
    at_once: bool = False
    rule: Callable[[Options], JsonObject] | None = None
    of_connection: bool = False

    def to_json(self) -> JsonObject:
        options = {name: {"default": one.default, "wanted": one.wanted} for name, one in self.options.items()}
        return {
            "does": self.does,
            "options": options,
            "ends_by": list(self.ends_by),
            "at_once": self.at_once,
        }


def is_whole(value: object, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _whole(default: int | None, least: int = 0, most: int = 2**31 - 1) -> Option:
    return Option(
        default=default,
        wanted=f"a whole number from {least} to {most}",
        is_good=lambda value: is_whole(value, least, most),
    )


def _seconds(default: float, least: float, most: float) -> Option:
    return Option(
        default=default,
        wanted=f"a number from {least:g} to {most:g}",
        is_good=lambda value: (
            isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most
        ),
    )


def _switch(*, default: bool) -> Option:
    return Option(default=default, wanted="true or false", is_good=lambda value: isinstance(value, bool))


def _one_of(default: str | None, *values: str) -> Option:
    return Option(
        default=default, wanted=f"one of: {', '.join(values)}", is_good=lambda value: value in values
    )


def _is_match(value: object) -> bool:
    method, _, path = value.partition(" ") if isinstance(value, str) else ("", "", "")
    return bool(method) and path.startswith(("/", "*"))


_MATCH = Option(
    default=ANY_CALL,
    wanted='a method and a path, such as "POST /open-apis/im/v1/messages"',
    is_good=_is_match,
)
_KEYS = Option(
    default=[],
    wanted=f"a list of any of: {', '.join(CONFIG_KEYS)}",
    is_good=lambda value: isinstance(value, list) and all(key in CONFIG_KEYS for key in value),
)
_CLOSE_CODE = Option(
    default=1001,
    wanted="a close code that can be sent: 1000 to 1003, 1007 to 1014 or 3000 to 4999",
    is_good=lambda value: (
        is_whole(value, 1000, 1003) or is_whole(value, 1007, 1014) or is_whole(value, 3000, 4999)
    ),
)


def _code_rule(options: Options, **more: object) -> JsonObject:
    return {"match": options.get("match", ANY_CALL), "action": "code", **more}


def _too_many(options: Options) -> JsonObject:
    waits = {"x-ogw-ratelimit-limit": "50", "x-ogw-ratelimit-reset": str(options["reset_seconds"])}
    headers = waits if options["header"] else {}
    return _code_rule(
        options, http_status=429, code=99991400, msg="request trigger frequency limit", headers=headers
    )


def _internal_error(options: Options) -> JsonObject:
    if options["body"] == "html":
        return {"match": options["match"], "action": "http", "status": 500, "body": HTML}
    return _code_rule(options, http_status=500, code=2200, msg="internal error")


def _refused_handshake(options: Options) -> JsonObject:
    status, auth_code = options["status"], options["auth_code"]
    said = {
        "handshake-status": str(status),
        "handshake-msg": "refused on demand",
        "handshake-autherrcode": str(auth_code),
    }
    headers = said if options["headers"] else {}
    return {"match": HANDSHAKE, "action": "http", "status": 403, "headers": headers, "body": "refused"}


def _answer_lost(action: str) -> Callable[[Options], JsonObject]:
    return lambda options: {"match": options["match"], "action": action}


KINDS: Mapping[str, Kind] = {
    # the network
    "drop": Kind(
        of_connection=True,
        does="Every long connection is cut with a TCP reset; while it lasts, every new one too.",
        at_once=True,
        rule=lambda _: {"match": HANDSHAKE, "action": "reset"},
    ),
    "black_hole": Kind(
        does="The network is gone: connections stay open, but nothing is answered or pushed. What is asked of the "
        "platform meanwhile is cut off at the end.",
        ends_by=("seconds",),
    ),
    "half_open": Kind(
        of_connection=True,
        does="The long connections there are stay open but dead: no frames, no pongs. New ones work.",
        ends_by=("seconds",),
    ),
    "goes_silent_after_connect": Kind(
        of_connection=True, does="New long connections are accepted, and are dead from then on."
    ),
    "no_pongs": Kind(
        of_connection=True,
        does="Pings of the application are not answered; events still come.",
        options={"websocket_pongs": _switch(default=True)},
    ),
    "close_code": Kind(
        of_connection=True,
        does="Every long connection is closed with a close frame; while it lasts, every new one too.",
        options={"code": _CLOSE_CODE},
        at_once=True,
    ),
    # discovery and handshake
    "discovery_hangs": Kind(
        of_connection=True,
        does="Endpoint discovery takes the call and never answers.",
        rule=lambda _: {"match": DISCOVERY, "action": "hang"},
    ),
    "discovery_refused": Kind(
        of_connection=True,
        does="Endpoint discovery answers HTTP 200 with a code.",
        options={"code": _whole(1, least=1)},
        rule=lambda options: {
            "match": DISCOVERY,
            "action": "code",
            "http_status": 200,
            "code": options["code"],
            "msg": f"refused with {options['code']}",
        },
    ),
    "discovery_html": Kind(
        of_connection=True,
        does="Endpoint discovery answers with the HTML of a gateway.",
        options={"status": _whole(200, least=200, most=599)},
        rule=lambda options: {
            "match": DISCOVERY,
            "action": "http",
            "status": options["status"],
            "body": HTML,
        },
    ),
    "handshake_refused": Kind(
        of_connection=True,
        does="The WebSocket handshake is refused, with the headers that say why or without.",
        options={
            "status": _whole(514, least=100, most=999),
            "auth_code": _whole(1000040350),
            "headers": _switch(default=True),
        },
        rule=_refused_handshake,
    ),
    "finite_reconnect_count": Kind(
        of_connection=True,
        does="Discovery and pongs say how often a client may try to reconnect.",
        options={"count": _whole(1)},
    ),
    "client_config": Kind(
        of_connection=True,
        does="Discovery and pongs leave out keys of ClientConfig, or tell another ping interval.",
        options={"without": _KEYS, "ping_interval_seconds": _whole(None, least=-(2**31))},
    ),
    # calls
    "slow": Kind(
        does="Calls are answered late.",
        options={"delay_seconds": _seconds(5, 0, 3600), "match": _MATCH},
        rule=lambda options: {
            "match": options["match"],
            "action": "delay",
            "seconds": options["delay_seconds"],
        },
    ),
    "429": Kind(
        does="Calls are refused as too many, with the header that says how long to wait or without.",
        options={
            "header": _switch(default=True),
            "reset_seconds": _whole(1, least=1, most=3600),
            "match": _MATCH,
        },
        rule=_too_many,
    ),
    "500": Kind(
        does="Calls fail with HTTP 500, as JSON with a code or as HTML.",
        options={"body": _one_of("json", "json", "html"), "match": _MATCH},
        rule=_internal_error,
    ),
    "timeout_after_success": Kind(
        does="Calls are carried out, and then there is no answer.",
        options={"match": _MATCH},
        rule=_answer_lost("hang_after"),
    ),
    "reset_after_success": Kind(
        does="Calls are carried out, and then the connection is reset.",
        options={"match": _MATCH},
        rule=_answer_lost("reset_after"),
    ),
    "truncate": Kind(
        does="Calls are carried out, and half of the answer comes.",
        options={"match": _MATCH},
        rule=_answer_lost("truncate"),
    ),
    # tokens
    "expire_tokens": Kind(does="Every token handed out so far is expired.", at_once=True, ends_by=()),
    "refuse_tokens": Kind(
        does="The token call answers with a code; tokens handed out so far expire too, unless told otherwise.",
        options={"code": _whole(10014, least=1), "expire": _switch(default=True)},
        rule=lambda options: {
            "match": TOKEN,
            "action": "code",
            "http_status": 200,
            "code": options["code"],
            "msg": "app unavailable",
        },
    ),
    "refuse_app": Kind(
        does="Calls are refused whatever they ask for: 99991662 the app is disabled, 99991401 this machine's address "
        "is not allowed, 99991403 no calls are left this month.",
        options={"code": _whole(99991662, least=1), "match": _MATCH},
        rule=lambda options: _code_rule(
            options, http_status=400, code=options["code"], msg="the app is not taken"
        ),
    ),
    # events
    "duplicate": Kind(does="Every event is pushed twice, and once more under a new event_id."),
    "reorder": Kind(does="Events are held back, and come in reverse at the end."),
    "corrupt": Kind(
        does="The first push of an event is damaged (bytes flipped, a header or a chunk missing; each in turn "
        "unless told); the next one is whole.",
        options={"damage": _one_of(None, *DAMAGES)},
    ),
    # time
    "clock": Kind(
        does="The sandbox's clock steps by so many seconds, forward or back.",
        options={"seconds": _seconds(3600, -FARTHEST_CLOCK_SECONDS, FARTHEST_CLOCK_SECONDS)},
        at_once=True,
        ends_by=(),
    ),
}
