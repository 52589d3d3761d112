"""Running faults of the types in catalogue.py, started from the page or by a test.

The middleware, the long connection and the pusher look up here whether a fault applies.
"""

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from notifier.sandbox.error_codes import JsonObject
from notifier.sandbox.faults.call_faults import CallFault, parse_call_fault
from notifier.sandbox.faults.catalogue import FAULT_TYPES, FaultOptions, FaultType, is_int_between
from notifier.sandbox.tenant import Tenant

MAX_SECONDS, MAX_TIMES = 86_400, 1_000_000
MAX_LISTED = 20
"""Names that an error message lists; a load test has thousands of people."""


class BadFaultError(ValueError):
    """An invalid request to start a fault. The text is shown to the caller."""


class UnknownFaultError(BadFaultError):
    """No fault with this id is running."""


@dataclass(slots=True, kw_only=True, eq=False)
class RunningFault:
    """One started fault."""

    fault_id: str  # id to end the fault
    fault_type: str  # a key of FAULT_TYPES
    options: FaultOptions  # checked, with defaults
    seconds: float | None  # duration in real time, None for no limit
    times: int | None  # hits after which it ends, None for no limit
    call_fault: CallFault | None  # the rule for calls, for types that have one
    ends_at: float | None  # on the scale of time.monotonic
    running: bool = False  # False after its end
    hits: int = 0  # calls, connections, pings or events it affected so far
    timer: asyncio.TimerHandle | None = None  # ends it after `seconds`

    def to_json(self) -> JsonObject:
        """The fault as JSON. left_seconds, left_times: None when there is no such limit."""
        left = None if self.ends_at is None else round(max(0.0, self.ends_at - time.monotonic()), 1)
        return {
            "fault_id": self.fault_id,
            "fault_type": self.fault_type,
            "options": dict(self.options),
            "seconds": self.seconds,
            "times": self.times,
            "hits": self.hits,
            "running": self.running,
            "left_seconds": left,
            "left_times": None if self.times is None else self.times - self.hits,
        }


class RunningFaults:
    """All running faults, oldest first.

    on_start, on_end: more actions by fault type. uses_webhook: whether events are sent to a webhook.
    """

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self._numbers = itertools.count(1)
        self._running: list[RunningFault] = []
        self.on_start: Mapping[str, Callable[[RunningFault], None]] = {}
        self.on_end: Mapping[str, Callable[[RunningFault], None]] = {}
        self.uses_webhook: Callable[[], bool] = bool

    def start(self, request: JsonObject) -> RunningFault:
        """Starts a fault such as {"fault_type": "429", "times": 3, "header": false}. Raises BadFaultError.

        `seconds` is real time: a moved clock does not end a fault.
        """
        fault = parse_fault(request, fault_id=f"fault-{next(self._numbers)}", tenant=self._tenant)
        if FAULT_TYPES[fault.fault_type].needs_long_connection and self.uses_webhook():
            raise BadFaultError(
                f"{fault.fault_type} needs the long connection, but events are sent to a webhook"
            )
        if (
            fault.seconds is not None
            or fault.times is not None
            or not FAULT_TYPES[fault.fault_type].is_immediate
        ):
            fault.running = True
            self._running.append(fault)
        if fault.seconds is not None:
            fault.timer = asyncio.get_running_loop().call_later(fault.seconds, self._end, fault)
        self.on_start.get(fault.fault_type, _do_nothing)(fault)
        self._tenant.bump_revision()
        return fault

    def end(self, fault_id: str) -> None:
        """Ends one fault. Raises UnknownFaultError."""
        for fault in self._running:
            if fault.fault_id == fault_id:
                self._end(fault)
                return
        raise UnknownFaultError(f"there is no fault {fault_id!r}; it may be over")

    def end_all(self) -> None:
        """Ends all faults."""
        for fault in list(self._running):
            self._end(fault)

    def running(self, *fault_types: str) -> list[RunningFault]:
        """The running faults of these types, or all; oldest first."""
        return [fault for fault in self._running if not fault_types or fault.fault_type in fault_types]

    def claim(self, fault_type: str) -> RunningFault | None:
        """The oldest running fault of a type, None without one. Counts the hit."""
        found = next(iter(self.running(fault_type)), None)
        if found is not None:
            self.count_hit(found)
        return found

    def claim_call_fault(self, method: str, path: str) -> CallFault | None:
        """The rule for this call, None without one. Counts the hit."""
        for fault, call_fault in self._call_faults():
            if call_fault.matches_call(method, path, None):
                self.count_hit(fault)
                return call_fault
        return None

    def count_hit(self, fault: RunningFault) -> None:
        """Counts a hit and ends the fault after the last one."""
        fault.hits += 1
        if fault.times is not None and fault.hits >= fault.times:
            self._end(fault)
        self._tenant.bump_revision()

    def _call_faults(self) -> Iterator[tuple[RunningFault, CallFault]]:
        return ((fault, fault.call_fault) for fault in list(self._running) if fault.call_fault is not None)

    def _end(self, fault: RunningFault) -> None:
        if not fault.running:
            return
        fault.running = False
        self._running.remove(fault)
        if fault.timer is not None:
            fault.timer.cancel()
        self.on_end.get(fault.fault_type, _do_nothing)(fault)
        self._tenant.bump_revision()


def parse_fault(request: JsonObject, *, fault_id: str, tenant: Tenant) -> RunningFault:
    """Checks a request to start a fault. Scopes, groups and people must exist in the tenant. Raises BadFaultError."""
    name = request.get("fault_type")
    if not isinstance(name, str) or name not in FAULT_TYPES:
        raise BadFaultError(f'"fault_type" must be one of: {", ".join(FAULT_TYPES)}')
    fault_type = FAULT_TYPES[name]
    ends = {end: request.get(end) for end in ("seconds", "times") if end not in fault_type.options}
    for end, value in ends.items():
        if value is not None and end not in fault_type.ends_by:
            raise BadFaultError(f'{name} does not accept "{end}": {_end_rule_text(fault_type)}')
    options = _options(
        name, {key: value for key, value in request.items() if key not in {"fault_type", *ends}}, tenant
    )
    seconds = _given_seconds(ends.get("seconds"))
    return RunningFault(
        fault_id=fault_id,
        fault_type=name,
        options=options,
        seconds=seconds,
        times=_given_times(ends.get("times")),
        call_fault=parse_call_fault(fault_type.rule(options), fault_id=fault_id) if fault_type.rule else None,
        ends_at=None if seconds is None else time.monotonic() + seconds,
    )


def _options(name: str, given: JsonObject, tenant: Tenant) -> FaultOptions:
    """The options with their defaults. A null counts as absent."""
    known = FAULT_TYPES[name].options
    unknown = sorted(set(given) - set(known))
    if unknown:
        allowed = f"options: {', '.join(known)}" if known else "it has no options"
        raise BadFaultError(f"{name} has no option {', '.join(map(repr, unknown))}; {allowed}")
    chosen = {key: value for key, value in given.items() if value is not None}
    for key, value in chosen.items():
        if not known[key].is_valid(value):
            raise BadFaultError(f'"{key}" must be {known[key].expected}, not {value!r:.60}')
        if known[key].names and value != known[key].default:
            _check_name(key, value, _list_names(known[key].names, tenant))
    return {key: chosen.get(key, option.default) for key, option in known.items()}


def _list_names(names: str, tenant: Tenant) -> list[str]:
    """The names that exist in the tenant. names: as in FaultOption."""
    if names == "scope":
        return sorted(tenant.settings.granted_scopes | tenant.console.draft.scopes)
    return list(tenant.groups if names == "group" else tenant.people)


def _check_name(key: str, value: object, names: Sequence[str]) -> None:
    if value not in names:
        more = ", ..." if len(names) > MAX_LISTED else ""
        raise BadFaultError(
            f'"{key}" must be one of: {", ".join(names[:MAX_LISTED])}{more}; not {value!r:.60}'
        )


def _given_seconds(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= MAX_SECONDS:
        raise BadFaultError(f'"seconds" must be a number above 0, up to {MAX_SECONDS}, not {value!r:.60}')
    return value


def _given_times(value: object) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or not is_int_between(value, 1, MAX_TIMES):
        raise BadFaultError(f'"times" must be a whole number from 1 to {MAX_TIMES}, not {value!r:.60}')
    return value


def _end_rule_text(fault_type: FaultType) -> str:
    return "it lasts for seconds, or until ended" if fault_type.ends_by else "it happens at once"


def _do_nothing(_fault: RunningFault) -> None:
    pass
