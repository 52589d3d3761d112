"""Fuzzing: random input from a seed against a notifier, and the checks that must hold after it."""

import contextlib
import http.client
import json
import random
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, cast

from notifier.cards import balance_text
from notifier.cards.render import Card, Renderer, plain_text, serialise
from notifier.cards.rules import card_problems
from notifier.clock import SystemClock
from notifier.config.settings import Config
from notifier.domain.delivery import CardVariant
from notifier.errors import Quarantined
from notifier.feishu.wire import read_balance_report, read_event
from notifier.feishu.withdrawal_wire import read_click
from notifier.operations.sample_cards import ALL_SAMPLES, make_sample
from notifier.runtime.factories import make_renderer
from notifier.sandbox.cards.rules import check_card
from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from support.noise import TEXTS, Maker, balance_document, callbacks, event, targets
from support.raw_feishu import MinimalFeishu
from support.running import RunningNotifier
from support.waiting import wait_until
from support.webhook_noise import ANSWERS, Poster, post, read_post

BATCH = 500
ANSWER_SECONDS = 60.0
GOOD_ACCOUNT = "7000000000000000001"
UNFORESEEN = (
    "Traceback",
    "listener.crashed",
    "connection.failed",
    "worker.failed",
    "call.failed",
    "event.failed",
    "event.store_failed",
    "frame.store_failed",
    "callback.encoding_failed",
    "click.card_failed",
    "card.failed",
)
"""Log texts of unexpected errors, which no input is allowed to cause."""

EXTRA_CONFIG = """\
withdrawals:
  offer_to: [referrer]
"""


class FuzzFailure(AssertionError):
    """An input that fails a check. The text names the file with the input."""


@dataclass(slots=True)
class FuzzCounts:
    """The figures of a run."""

    seed: int  # of the random generator
    inputs: Counter[str] = field(default_factory=Counter)  # by kind
    good_events: int = 0  # valid events that were acknowledged and processed
    connections_lost: int = 0  # reconnects of the notifier
    memory_before: int = 0  # resident memory in MB after the first batches
    memory_after: int = 0  # resident memory in MB at the end

    @property
    def total(self) -> int:
        """The number of inputs so far."""
        return sum(self.inputs.values())


class _Fuzz:
    """One notifier that gets random input. failure_file: gets the input that fails a check."""

    def __init__(self, notifier: RunningNotifier, *, seed: int, failure_file: Path) -> None:
        self._notifier = notifier
        self._rng = random.Random(seed)
        self._failure_file = failure_file
        self._log_seen = 0
        self.figures = FuzzCounts(seed=seed)

    def _check_log(self, inputs: list[bytes]) -> None:
        """Checks the log since the last check. Raises FuzzFailure."""
        with self._notifier.log_file.open("rb") as log:
            log.seek(self._log_seen)
            fresh = log.read().decode("utf-8", "replace")
        self._log_seen += len(fresh.encode())
        bad = [line for line in fresh.splitlines() if any(each in line for each in UNFORESEEN)]
        if bad:
            raise self._failure(inputs, f"the log says {bad[0][:300]!r}")

    def _failure(self, inputs: list[bytes], what: str) -> FuzzFailure:
        self._failure_file.write_text("\n".join(each.hex() for each in inputs), encoding="utf-8")
        seed = self.figures.seed
        return FuzzFailure(
            f"{what}; seed {seed}, {self.figures.total} inputs, the last of them are in {self._failure_file}"
        )

    def _measure_memory(self) -> None:
        """Records the memory of the process, first after the first batches."""
        status = Path(f"/proc/{self._notifier.pid}/status").read_text(encoding="utf-8")
        megabytes = int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) // 1024
        if self.figures.total <= 4 * BATCH:
            self.figures.memory_before = megabytes
        self.figures.memory_after = megabytes


class WebhookFuzz(_Fuzz):
    """Fuzzes a notifier through its webhook."""

    def __init__(self, box: FeishuBox, notifier: RunningNotifier, *, seed: int, failure_file: Path) -> None:
        super().__init__(notifier, seed=seed, failure_file=failure_file)
        self._sandbox = box

    def run(self, count: int) -> FuzzCounts:
        """Sends at least `count` inputs. Raises FuzzFailure."""
        with contextlib.closing(Poster(self._notifier.webhook_url)) as poster:
            while self.figures.total < count:
                posts = [post(self._rng) for _ in range(BATCH)]
                for made in posts:
                    try:
                        answer: object = poster.push(made)
                    except (http.client.HTTPException, OSError) as error:
                        answer = f"{type(error).__name__}: {error}"
                    if answer not in ANSWERS:
                        raise self._failure([made], f"it was answered with {answer}")
                    self.figures.inputs[f"webhook {answer}"] += 1
                self._good_event(posts)
                self._check_log(posts)
                self._measure_memory()
        return self.figures

    def _good_event(self, posts: list[bytes]) -> None:
        self.figures.good_events += 1
        [event_id] = self._sandbox.change_balance(GOOD_ACCOUNT, points=1)
        try:
            wait_until(
                lambda: 200 in self._sandbox.push_codes(event_id),
                "it is acknowledged",
                seconds=ANSWER_SECONDS,
            )
        except AssertionError as error:
            raise self._failure(posts, f"{event_id}: {error}") from error


class WireFuzz(_Fuzz):
    """Fuzzes a notifier over its long connection."""

    def __init__(
        self, feishu: MinimalFeishu, notifier: RunningNotifier, *, seed: int, failure_file: Path
    ) -> None:
        super().__init__(notifier, seed=seed, failure_file=failure_file)
        self._feishu = feishu

    def run(self, count: int) -> FuzzCounts:
        """Sends at least `count` inputs. Raises FuzzFailure."""
        self._good_event([])
        refs = self._refs()
        makers = targets(refs)
        while self.figures.total < count:
            named = self._rng.choices(list(makers), k=BATCH)
            frames = [makers[name](self._rng) for name in named]
            self._feishu.push(frames)
            self.figures.inputs.update(named)
            self._good_event(frames)
            self._check_log(frames)
            self._measure_memory()
        return self.figures

    def _good_event(self, frames: list[bytes]) -> None:
        """Checks that a valid event is acknowledged and processed, on a new connection if the old one ended."""
        number = self.figures.good_events = self.figures.good_events + 1
        name = f"good-{number}"
        payload = json.dumps(good_document(name, number)).encode()
        pushed_on = -1

        def acknowledged() -> bool:
            """Pushes once per connection, because Feishu repeats pushes without an answer."""
            nonlocal pushed_on
            if self._notifier.ended:
                raise FuzzFailure("the process ended")
            if self._feishu.connections() and pushed_on != self._feishu.total_connections:
                pushed_on = self._feishu.total_connections
                self._feishu.push_tracked(payload, name)
            return self._feishu.acks.get(name) == 200

        try:
            wait_until(acknowledged, f"{name} is acknowledged", seconds=ANSWER_SECONDS)
            wait_until(
                lambda: self._inbox_state(name) == "done", f"{name} is processed", seconds=ANSWER_SECONDS
            )
        except AssertionError as error:
            raise self._failure(frames, str(error)) from error

    def _inbox_state(self, key: str) -> str | None:
        row = self._query("SELECT state FROM inbox WHERE event_key = ?", key)
        return str(row[0][0]) if row else None

    def _refs(self) -> list[str]:
        """The references of the buttons on the first card."""
        return wait_until(
            lambda: [str(ref) for (ref,) in self._query("SELECT ref FROM buttons")], "a card has a button"
        )

    def _query(self, query: str, *values: str) -> list[Any]:
        with contextlib.closing(
            sqlite3.connect(f"file:{self._notifier.folder}/notifier.db?mode=ro", uri=True)
        ) as db:
            return db.execute(query, values).fetchall()


def good_document(event_id: str, number: int) -> dict[str, Any]:
    """A valid balance event with this event_id; a higher number is a later change."""
    document = balance_document(random.Random(number))
    document["header"]["event_id"] = event_id
    document["event"]["account_id"] = "7000000000000000009"
    document["event"]["modify_time"] = str(1_710_000_000_000 + 1000 * number)
    return document


def fuzz_wire(folder: Path, *, seed: int, count: int, failure_file: Path) -> FuzzCounts:
    """Fuzzes a new notifier in `folder` with `count` inputs over its long connection. Raises FuzzFailure."""
    with MinimalFeishu() as feishu:
        notifier = RunningNotifier(cast("FeishuBox", feishu), folder, more=EXTRA_CONFIG)
        notifier.start()
        try:
            return WireFuzz(feishu, notifier, seed=seed, failure_file=failure_file).run(count)
        finally:
            notifier.kill()


def fuzz_webhook(folder: Path, *, seed: int, count: int, failure_file: Path) -> FuzzCounts:
    """Fuzzes a new notifier in `folder` with `count` posts. Raises FuzzFailure."""
    with FeishuBox() as box:
        notifier = RunningNotifier(box, folder, more=EXTRA_CONFIG, webhook=True)
        notifier.start()
        try:
            return WebhookFuzz(box, notifier, seed=seed, failure_file=failure_file).run(count)
        finally:
            notifier.kill()


def _read_balance(payload: bytes) -> None:
    with contextlib.suppress(Quarantined):  # the expected result for invalid input
        read_balance_report(read_event(payload, app_id="cli_x"))


def _read_click(payload: bytes) -> None:
    read_click(read_event(payload, app_id="cli_x"))


READERS: Mapping[str, tuple[Maker, Callable[[bytes], object]]] = {
    "event": (event, _read_balance),
    "callback": (callbacks(["ref"]), _read_click),
    "webhook": (post, read_post),
}
"""Functions that read foreign bytes, with the maker of their input. They raise only their documented errors."""


def fuzz_readers(*, seed: int, count: int, failure_file: Path) -> FuzzCounts:
    """Fuzzes the functions of READERS in this process. Raises FuzzFailure."""
    rng, figures = random.Random(seed), FuzzCounts(seed=seed)
    while figures.total < count:
        name = rng.choice(list(READERS))
        make, read = READERS[name]
        payload = make(rng)
        figures.inputs[name] += 1
        try:
            read(payload)
        except Exception as error:
            failure_file.write_bytes(payload)
            raise FuzzFailure(
                f"{name}: {type(error).__name__}: {error}; seed {seed}, the input is in {failure_file}"
            ) from error
    return figures


FIXED_FORM_FIELDS = frozenset(
    (
        "kind",
        "trend",
        "state",
        "alarm",
        "audience",
        "direction",
        "span",
        "ref",
        "one",
        "all",
        "retry",
        "open_id",
        "by",
        "frequency",
        "quiet_from",
        "quiet_to",
        "times",
        "zone",
        "value",
        "language",
        "digest_at",
    )
)
"""Fields with a known form, filled by our code or by Feishu. All other texts can have any content."""

MAX_TEXT = 40
"""The longest text after cards/balance_text.py shortened it."""


def fuzz_cards(*, seed: int, count: int, failure_file: Path) -> FuzzCounts:
    """Checks cards of all kinds with hostile texts: Feishu must accept each variant. Raises FuzzFailure."""
    rng = random.Random(seed)
    figures, card_renderer, config = FuzzCounts(seed=seed), make_renderer(Config(), SystemClock()), Config()
    samples = [make_sample(name, config) for name in ALL_SAMPLES]
    while figures.total < count:
        card = hostile(rng, rng.choice(samples))
        figures.inputs["card"] += 1
        try:
            _check_card(card_renderer, card)
        except Exception as error:
            failure_file.write_text(repr(card), encoding="utf-8")
            raise FuzzFailure(
                f"{type(error).__name__}: {error}; seed {seed}, the card is in {failure_file}"
            ) from error
    return figures


def _check_card(card_renderer: Renderer, card: Card) -> None:
    people = frozenset(_people(card))
    for variant in (CardVariant.FULL, CardVariant.NO_MEDIA, CardVariant.COMPACT):
        made = card_renderer.card(variant, card)  # raises TemplateBroken
        text = serialise(made)
        text.encode()
        assert made == json.loads(text), "what is sent is what was checked"
        assert [] == card_problems(json.loads(text))
        check_card(
            json.loads(text), settings=SandboxSettings(), known_ids=people, known_images=frozenset()
        )  # the independent check of the sandbox
    serialise({"text": plain_text(card)}).encode()


def _people(node: object, name: str = "") -> Iterator[str]:
    """The open_ids in the data of a card. Any other mention comes from a text."""
    if is_dataclass(node) and not isinstance(node, type):
        for each in fields(node):
            yield from _people(getattr(node, each.name), each.name)
    elif isinstance(node, tuple):
        for one in node:
            yield from _people(one, name)
    elif isinstance(node, str) and name in {"open_id", "by"}:
        yield node


def hostile(rng: random.Random, node: Any, name: str = "") -> Any:
    """A copy of the card in which some texts are replaced by hostile ones."""
    if is_dataclass(node) and not isinstance(node, type):
        changed = {each.name: hostile(rng, getattr(node, each.name), each.name) for each in fields(node)}
        return replace(node, **changed)
    if isinstance(node, tuple):
        return tuple(hostile(rng, each, name) for each in node)
    if isinstance(node, str) and node and name not in FIXED_FORM_FIELDS and rng.random() < 0.3:
        return balance_text.clean(rng.choice(TEXTS))
    return node
