"""The table of fault types: the effect, the options and the end of each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from notifier.sandbox.error_codes import JsonObject

DISCOVERY, HANDSHAKE = "POST /callback/ws/endpoint", "GET /ws/v2"
TOKEN = "POST /open-apis/auth/v3/tenant_access_token/internal"  # noqa: S105  # an address
ANY_CALL = "* /open-apis/*"
HTML = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
CONFIG_KEYS = ("ReconnectCount", "ReconnectInterval", "ReconnectNonce", "PingInterval")
DAMAGE_TYPES = ("bytes", "header", "chunk")
MAX_CLOCK_JUMP_SECONDS = 10 * 366 * 86_400

FaultOptions = Mapping[str, Any]  # each value passed the check of its FaultOption


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultOption:
    """One option of a fault type."""

    default: object  # used when a request does not name the option
    expected: str  # the end of the error message "... must be ..."
    is_valid: Callable[[object], bool]  # whether it allows a value
    names: str = ""
    """What it names in the tenant: scope, group or person. Other names than those are refused; "" for no check."""
    kind: str = "text"
    """How a form asks for it: text, number, boolean, choice (one of `choices`) or list (any of `choices`)."""
    choices: tuple[str, ...] = ()  # the values of a choice or list


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultType:
    """One type of fault."""

    effect: str  # what happens, as a sentence
    options: Mapping[str, FaultOption] = field(default_factory=dict)  # by name
    ends_by: tuple[str, ...] = ("seconds", "times")  # allowed ends beside an explicit end
    is_immediate: bool = False
    """Without `seconds` or `times` it ends at once. Other types then last until they are ended."""
    rule: Callable[[FaultOptions], JsonObject] | None = None  # makes the rule for calls, see call_faults.py
    needs_long_connection: bool = False  # refused while events are sent to a webhook

    def to_json(self) -> JsonObject:
        """The type as JSON, for the list of fault types."""
        options = {
            name: {
                "default": one.default,
                "expected": one.expected,
                "kind": one.names or one.kind,
                "choices": list(one.choices),
            }
            for name, one in self.options.items()
        }
        return {
            "effect": self.effect,
            "options": options,
            "ends_by": list(self.ends_by),
            "is_immediate": self.is_immediate,
        }


def is_int_between(value: object, minimum: int, maximum: int) -> bool:
    """Whether the value is a whole number from minimum to maximum; a boolean is not."""
    return isinstance(value, int) and not isinstance(value, bool) and minimum <= value <= maximum


def _int_option(default: int | None, minimum: int = 0, maximum: int = 2**31 - 1) -> FaultOption:
    return FaultOption(
        default=default,
        expected=f"a whole number from {minimum} to {maximum}",
        kind="number",
        is_valid=lambda value: is_int_between(value, minimum, maximum),
    )


def _seconds_option(default: float, minimum: float, maximum: float) -> FaultOption:
    return FaultOption(
        default=default,
        expected=f"a number from {minimum:g} to {maximum:g}",
        kind="number",
        is_valid=lambda value: (
            isinstance(value, int | float) and not isinstance(value, bool) and minimum <= value <= maximum
        ),
    )


def _bool_option(*, default: bool) -> FaultOption:
    return FaultOption(
        default=default,
        expected="true or false",
        kind="boolean",
        is_valid=lambda value: isinstance(value, bool),
    )


def _choice_option(default: str | None, *values: str) -> FaultOption:
    return FaultOption(
        default=default,
        expected=f"one of: {', '.join(values)}",
        kind="choice",
        choices=values,
        is_valid=lambda value: value in values,
    )


def _is_match(value: object) -> bool:
    method, _, path = value.partition(" ") if isinstance(value, str) else ("", "", "")
    return bool(method) and path.startswith(("/", "*"))


_MATCH = FaultOption(
    default=ANY_CALL,
    expected='a method and a path, such as "POST /open-apis/im/v1/messages"',
    is_valid=_is_match,
)
_KEYS = FaultOption(
    default=[],
    expected=f"a list of any of: {', '.join(CONFIG_KEYS)}",
    kind="list",
    choices=CONFIG_KEYS,
    is_valid=lambda value: isinstance(value, list) and all(key in CONFIG_KEYS for key in value),
)
_CLOSE_CODE = FaultOption(
    default=1001,
    expected="a close code that can be sent: 1000 to 1003, 1007 to 1014 or 3000 to 4999",
    kind="number",
    is_valid=lambda value: (
        is_int_between(value, 1000, 1003)
        or is_int_between(value, 1007, 1014)
        or is_int_between(value, 3000, 4999)
    ),
)


def _code_fault(options: FaultOptions, **more: object) -> JsonObject:
    return {"match": options.get("match", ANY_CALL), "action": "code", **more}


def _rate_limited(options: FaultOptions) -> JsonObject:
    waits = {"x-ogw-ratelimit-limit": "50", "x-ogw-ratelimit-reset": str(options["reset_seconds"])}
    headers = waits if options["header"] else {}
    return _code_fault(
        options, http_status=429, code=99991400, msg="request trigger frequency limit", headers=headers
    )


def _internal_error(options: FaultOptions) -> JsonObject:
    if options["body"] == "html":
        return {"match": options["match"], "action": "http", "status": 500, "body": HTML}
    return _code_fault(options, http_status=500, code=2200, msg="internal error")


def _handshake_refused(options: FaultOptions) -> JsonObject:
    status, auth_code = options["status"], options["auth_code"]
    headers = {
        "handshake-status": str(status),
        "handshake-msg": "refused on demand",
        "handshake-autherrcode": str(auth_code),
    }
    sent = headers if options["headers"] else {}
    return {"match": HANDSHAKE, "action": "http", "status": 403, "headers": sent, "body": "refused"}


def _answer_lost(action: str) -> Callable[[FaultOptions], JsonObject]:
    return lambda options: {"match": options["match"], "action": action}


def _name_option(default: str, names: str) -> FaultOption:
    """names: as in FaultOption. The empty default stands for all of them."""
    expected = {"scope": "a scope", "group": "the chat_id of a group", "person": "the open_id of a person"}
    return FaultOption(
        default=default,
        expected=expected[names],
        is_valid=lambda value: isinstance(value, str),
        names=names,
    )


def _setup_error(effect: str, **options: FaultOption) -> FaultType:
    """A mistake in the set-up of the app. It lasts until it is ended."""
    return FaultType(effect=effect, options=options, ends_by=("seconds",))


_GROUP = _name_option("oc_sandbox_hr", "group")
SETUP_FAULTS: Mapping[str, FaultType] = {
    "setup:wrong_secret": _setup_error(
        "The app secret is no longer valid: the token call answers 10015, discovery 1000040345."
    ),
    "setup:scope_missing": _setup_error(
        "The app lacks one scope: its calls answer 99991672.",
        scope=_name_option("im:message:send_as_bot", "scope"),
    ),
    "setup:unpublished": _setup_error(
        "Scopes and subscriptions are set, but no version is published: none of them is in force."
    ),
    "setup:event_not_subscribed": _setup_error(
        "The app does not subscribe to the balance event: none is pushed."
    ),
    "setup:callback_not_subscribed": _setup_error(
        "The app does not subscribe to the callback of cards: a press shows 200340."
    ),
    "setup:bot_off": _setup_error(
        "The app has no ability Bot: messages answer 230006, uploads 234007, chats 232025."
    ),
    "setup:bot_not_in_group": _setup_error(
        "The bot is in no such group: messages answer 230002.", chat_id=_GROUP
    ),
    "setup:outside_availability": _setup_error(
        "A person is outside the availability range: messages answer 230013. Without `open_id`: everybody is.",
        open_id=_name_option("", "person"),
    ),
    "setup:contact_range_empty": _setup_error(
        "The contact range is empty: reads of people answer 41050, searches find nobody."
    ),
    "setup:other_program": _setup_error("Another program is connected to the app."),
    "setup:ip_not_allowed": FaultType(
        effect="The address of this machine is not in the IP allow-list: every call answers 99991401.",
        ends_by=("seconds",),
        rule=lambda options: _code_fault(
            options, http_status=400, code=99991401, msg="the ip is not allowed"
        ),
    ),
    "setup:app_disabled": _setup_error(
        "The administrator disabled the app: the token call answers 10014, discovery 403, other calls 99991662."
    ),
    "setup:wrong_chat_id": _setup_error("There is no such group: calls answer 99992356.", chat_id=_GROUP),
    "setup:foreign_operator": _setup_error(
        "An open_id belongs to another app: calls answer 99992361.",
        open_id=_name_option("ou_sandbox_zhou", "person"),
    ),
    "setup:wrong_clock": _setup_error(
        "Feishu's clock differs from that of this machine by `seconds`.",
        seconds=_seconds_option(600, -MAX_CLOCK_JUMP_SECONDS, MAX_CLOCK_JUMP_SECONDS),
    ),
    "setup:nobody_registered": _setup_error("The app has registered nobody: the accounts do not exist."),
}
"""The common mistakes in the set-up of an app, which `notifier doctor` names."""

FAULT_TYPES: Mapping[str, FaultType] = {
    # the network
    "drop": FaultType(
        needs_long_connection=True,
        effect="All long connections are reset (TCP); while the fault lasts, new ones too.",
        is_immediate=True,
        rule=lambda _: {"match": HANDSHAKE, "action": "reset"},
    ),
    "black_hole": FaultType(
        effect="The network fails: connections stay open, but the platform neither answers nor pushes. Calls that wait "
        "are reset when the fault ends.",
        ends_by=("seconds",),
    ),
    "half_open": FaultType(
        needs_long_connection=True,
        effect="Existing long connections stay open but get no frames and no pongs. New ones work.",
        ends_by=("seconds",),
    ),
    "goes_silent_after_connect": FaultType(
        needs_long_connection=True, effect="New long connections are accepted but get no frames and no pongs."
    ),
    "no_pongs": FaultType(
        needs_long_connection=True,
        effect="Pings are not answered; events are still pushed.",
        options={"websocket_pongs": _bool_option(default=True)},
    ),
    "close_code": FaultType(
        needs_long_connection=True,
        effect="All long connections are closed with a close frame; while the fault lasts, new ones too.",
        options={"code": _CLOSE_CODE},
        is_immediate=True,
    ),
    # discovery and handshake
    "discovery_hangs": FaultType(
        needs_long_connection=True,
        effect="Endpoint discovery never answers.",
        rule=lambda _: {"match": DISCOVERY, "action": "hang"},
    ),
    "discovery_refused": FaultType(
        needs_long_connection=True,
        effect="Endpoint discovery answers HTTP 200 with an error code.",
        options={"code": _int_option(1, minimum=1)},
        rule=lambda options: {
            "match": DISCOVERY,
            "action": "code",
            "http_status": 200,
            "code": options["code"],
            "msg": f"refused with {options['code']}",
        },
    ),
    "discovery_html": FaultType(
        needs_long_connection=True,
        effect="Endpoint discovery answers with the HTML page of a gateway.",
        options={"status": _int_option(200, minimum=200, maximum=599)},
        rule=lambda options: {
            "match": DISCOVERY,
            "action": "http",
            "status": options["status"],
            "body": HTML,
        },
    ),
    "handshake_refused": FaultType(
        needs_long_connection=True,
        effect="The WebSocket handshake is refused, with or without the headers that give the reason.",
        options={
            "status": _int_option(514, minimum=100, maximum=999),
            "auth_code": _int_option(1000040350),
            "headers": _bool_option(default=True),
        },
        rule=_handshake_refused,
    ),
    "finite_reconnect_count": FaultType(
        needs_long_connection=True,
        effect="Discovery and pongs allow a client a limited number of reconnects.",
        options={"count": _int_option(1)},
    ),
    "client_config": FaultType(
        needs_long_connection=True,
        effect="Discovery and pongs omit keys of ClientConfig, or set another ping interval.",
        options={"without": _KEYS, "ping_interval_seconds": _int_option(None, minimum=-(2**31))},
    ),
    # calls
    "slow": FaultType(
        effect="Calls are answered late.",
        options={"delay_seconds": _seconds_option(5, 0, 3600), "match": _MATCH},
        rule=lambda options: {
            "match": options["match"],
            "action": "delay",
            "seconds": options["delay_seconds"],
        },
    ),
    "429": FaultType(
        effect="Calls are rate limited, with or without the header that gives the seconds to wait.",
        options={
            "header": _bool_option(default=True),
            "reset_seconds": _int_option(1, minimum=1, maximum=3600),
            "match": _MATCH,
        },
        rule=_rate_limited,
    ),
    "500": FaultType(
        effect="Calls fail with HTTP 500, as JSON with an error code or as HTML.",
        options={"body": _choice_option("json", "json", "html"), "match": _MATCH},
        rule=_internal_error,
    ),
    "timeout_after_success": FaultType(
        effect="Calls are executed but not answered.",
        options={"match": _MATCH},
        rule=_answer_lost("hang_after"),
    ),
    "reset_after_success": FaultType(
        effect="Calls are executed, then the connection is reset.",
        options={"match": _MATCH},
        rule=_answer_lost("reset_after"),
    ),
    "truncate": FaultType(
        effect="Calls are executed, but only half of the answer is sent.",
        options={"match": _MATCH},
        rule=_answer_lost("truncate"),
    ),
    # tokens
    "expire_tokens": FaultType(effect="All issued tokens expire.", is_immediate=True, ends_by=()),
    "refuse_tokens": FaultType(
        effect="The token call answers with an error code. Issued tokens expire too, unless `expire` is false.",
        options={"code": _int_option(10014, minimum=1), "expire": _bool_option(default=True)},
        rule=lambda options: {
            "match": TOKEN,
            "action": "code",
            "http_status": 200,
            "code": options["code"],
            "msg": "app unavailable",
        },
    ),
    "refuse_app": FaultType(
        effect="All calls are refused: 99991662 the app is disabled, 99991401 the IP address is not allowed, "
        "99991403 the monthly quota is used up.",
        options={"code": _int_option(99991662, minimum=1), "match": _MATCH},
        rule=lambda options: _code_fault(
            options, http_status=400, code=options["code"], msg="the app is refused"
        ),
    ),
    # events
    "duplicate": FaultType(effect="Each event is pushed twice, and once more with a new event_id."),
    "reorder": FaultType(effect="Events are held, and pushed in reverse order when the fault ends."),
    "corrupt": FaultType(
        effect="The first push of an event is damaged (bytes flipped, a header missing or a chunk missing; in rotation "
        "without `damage`); the next push is intact.",
        options={"damage": _choice_option(None, *DAMAGE_TYPES)},
    ),
    # set-up errors
    **SETUP_FAULTS,
    # time
    "clock": FaultType(
        effect="The clock of the sandbox jumps by `seconds`, forward or back.",
        options={"seconds": _seconds_option(3600, -MAX_CLOCK_JUMP_SECONDS, MAX_CLOCK_JUMP_SECONDS)},
        is_immediate=True,
        ends_by=(),
    ),
}
