"""Troubles: faults that have a name (trouble_kinds.py), ordered by a person or a test; here are those that run.

Whoever is to do the harm asks here whether it is time to: the guard for calls, the long connection, the pusher.
"""

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from notifier.sandbox.api.error_codes import JsonObject
from notifier.sandbox.faults.call_faults import Fault, parse_fault
from notifier.sandbox.faults.catalogue import KINDS, Kind, Options, is_whole
from notifier.sandbox.tenant import World

LONGEST_SECONDS, MOST_TIMES = 86_400, 1_000_000


class BadTroubleError(ValueError):
    """What was ordered makes no sense; the text is for the person who ordered it."""


class NoSuchTroubleError(BadTroubleError):
    """It is over, or never was."""


@dataclass(slots=True, kw_only=True, eq=False)
class Trouble:
    """One that was ordered. ends_at: on time.monotonic's scale. hits: what it met so far."""

    trouble_id: str
    kind: str
    options: Options
    seconds: float | None
    times: int | None
    fault: Fault | None
    ends_at: float | None
    running: bool = False
    hits: int = 0
    timer: asyncio.TimerHandle | None = None

    def to_json(self) -> JsonObject:
        """left_seconds, left_times: None where that does not end it."""
        left = None if self.ends_at is None else round(max(0.0, self.ends_at - time.monotonic()), 1)
        return {
            "trouble_id": self.trouble_id,
            "kind": self.kind,
            "options": dict(self.options),
            "seconds": self.seconds,
            "times": self.times,
            "hits": self.hits,
            "running": self.running,
            "left_seconds": left,
            "left_times": None if self.times is None else self.times - self.hits,
        }


class Troubles:
    """at_start and at_end: what else is to be done then, by kind. is_posting: whether events go to a webhook."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._numbers = itertools.count(1)
        self._running: list[Trouble] = []
        self.at_start: Mapping[str, Callable[[Trouble], None]] = {}
        self.at_end: Mapping[str, Callable[[Trouble], None]] = {}
        self.is_posting: Callable[[], bool] = bool

    def start(self, order: JsonObject) -> Trouble:
        """From JSON such as {"kind": "429", "times": 3, "header": false}. Raises BadTroubleError.

        seconds are of real time: a moved clock does not end a trouble.
        """
        trouble = parse_trouble(order, trouble_id=f"trouble-{next(self._numbers)}")
        if KINDS[trouble.kind].of_connection and self.is_posting():
            raise BadTroubleError(
                f"{trouble.kind} needs the long connection, but events are posted to a webhook"
            )
        if trouble.seconds is not None or trouble.times is not None or not KINDS[trouble.kind].at_once:
            trouble.running = True
            self._running.append(trouble)
        if trouble.seconds is not None:
            trouble.timer = asyncio.get_running_loop().call_later(trouble.seconds, self._end, trouble)
        self.at_start.get(trouble.kind, _nothing)(trouble)
        self._world.touch()
        return trouble

    def end(self, trouble_id: str) -> None:
        """Raises NoSuchTroubleError."""
        for trouble in self._running:
            if trouble.trouble_id == trouble_id:
                self._end(trouble)
                return
        raise NoSuchTroubleError(f"there is no trouble {trouble_id!r}; it may be over")

    def end_all(self) -> None:
        for trouble in list(self._running):
            self._end(trouble)

    def running(self, *kinds: str) -> list[Trouble]:
        """Oldest first; of these kinds, or all."""
        return [trouble for trouble in self._running if not kinds or trouble.kind in kinds]

    def take(self, kind: str) -> Trouble | None:
        """The oldest running one of a kind, with the hit counted."""
        found = next(iter(self.running(kind)), None)
        if found is not None:
            self.hit(found)
        return found

    def take_rule(self, method: str, path: str) -> Fault | None:
        """What to do to this call; counts the hit."""
        for trouble, fault in self._rules():
            if fault.hits_call(method, path, None):
                self.hit(trouble)
                return fault
        return None

    def hit(self, trouble: Trouble) -> None:
        trouble.hits += 1
        if trouble.times is not None and trouble.hits >= trouble.times:
            self._end(trouble)
        self._world.touch()

    def _rules(self) -> Iterator[tuple[Trouble, Fault]]:
        return ((trouble, trouble.fault) for trouble in list(self._running) if trouble.fault is not None)

    def _end(self, trouble: Trouble) -> None:
        if not trouble.running:
            return
        trouble.running = False
        self._running.remove(trouble)
        if trouble.timer is not None:
            trouble.timer.cancel()
        self.at_end.get(trouble.kind, _nothing)(trouble)
        self._world.touch()


def parse_trouble(order: JsonObject, *, trouble_id: str) -> Trouble:
    """Raises BadTroubleError."""
    name = order.get("kind")
    if not isinstance(name, str) or name not in KINDS:
        raise BadTroubleError(f'"kind" must be one of: {", ".join(KINDS)}')
    kind = KINDS[name]
    ends = {end: order.get(end) for end in ("seconds", "times") if end not in kind.options}
    for end, value in ends.items():
        if value is not None and end not in kind.ends_by:
            raise BadTroubleError(f'{name} takes no "{end}": {_how_it_ends(kind)}')
    options = _options(name, {key: value for key, value in order.items() if key not in {"kind", *ends}})
    seconds = _given_seconds(ends.get("seconds"))
    return Trouble(
        trouble_id=trouble_id,
        kind=name,
        options=options,
        seconds=seconds,
        times=_given_times(ends.get("times")),
        fault=parse_fault(kind.rule(options), fault_id=trouble_id) if kind.rule else None,
        ends_at=None if seconds is None else time.monotonic() + seconds,
    )


def _options(name: str, given: JsonObject) -> Options:
    """A value of null is one that was not given."""
    known = KINDS[name].options
    unknown = sorted(set(given) - set(known))
    if unknown:
        takes = f"it takes {', '.join(known)}" if known else "it takes none"
        raise BadTroubleError(f"{name} has no option {', '.join(map(repr, unknown))}; {takes}")
    chosen = {key: value for key, value in given.items() if value is not None}
    for key, value in chosen.items():
        if not known[key].is_good(value):
            raise BadTroubleError(f'"{key}" must be {known[key].wanted}, not {value!r:.60}')
    return {key: chosen.get(key, option.default) for key, option in known.items()}


def _given_seconds(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= LONGEST_SECONDS:
        raise BadTroubleError(
            f'"seconds" must be a number above 0, up to {LONGEST_SECONDS}, not {value!r:.60}'
        )
    return value


def _given_times(value: object) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or not is_whole(value, 1, MOST_TIMES):
        raise BadTroubleError(f'"times" must be a whole number from 1 to {MOST_TIMES}, not {value!r:.60}')
    return value


def _how_it_ends(kind: Kind) -> str:
    return "it lasts for seconds, or until ended" if kind.ends_by else "it happens at once"


def _nothing(_trouble: Trouble) -> None:
    pass
