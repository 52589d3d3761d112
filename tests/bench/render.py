"""Bench: CPU milliseconds to render, check and serialise one card of each kind, as a delivery does.

Beside each kind stands its pair: Jinja alone renders an equally long plain template with the same texts. Run with
`PYTHONPATH=tests python tests/bench/render.py [CARDS]`; CARDS is the number of cards in each of 30 runs, 25 by
default. The best run counts. No time is asserted.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import jinja2

from notifier.cards.render import Card, Renderer
from notifier.clock import SystemClock
from notifier.config.settings import Config
from notifier.domain.account import Ownership, Referrer
from notifier.domain.card_state import CardState, ClaimedDelivery
from notifier.domain.delivery import CardVariant, Delivery, DeliveryState
from notifier.domain.money import POINTS
from notifier.domain.notice import Notice, NoticeReason
from notifier.operations.sample_cards import _PAID, _WITHDRAWN, make_sample
from notifier.runtime.factories import make_renderer
from support.builders import ACCOUNT, CNY, MODIFIED_AT, change, notice
from support.comparisons import Comparison, report

RUNS = 30
REF = "0123456789abcdef0123456789abcdef"
DELIVERY = Delivery(
    id=1,
    key="key",
    account_ref=1,
    target="referrer",
    receive_id_type="open_id",
    receive_id="ou_1",
    state=DeliveryState.SENDING,
    variant=CardVariant.FULL,
    content=None,
    attempts=1,
    created_at=MODIFIED_AT,
    first_tried_at=None,
    unknown_since=None,
    reroute_reason=None,
)
BALANCE = notice(change(), change(POINTS, "20", "120"))
WITHDRAWAL = Notice(
    key="n-2",
    account=ACCOUNT,
    reason=NoticeReason.WITHDRAWN,
    occurred_at=MODIFIED_AT,
    order_id=_WITHDRAWN.order_id,
)
OFFERED = CardState(button_ref=REF, holdings={CNY: change().after, POINTS: change().delta}, withdrawal=None)
PAID = replace(OFFERED, button_ref="", withdrawal=_WITHDRAWN, payout=_PAID)


def claimed(shown: Notice, state: CardState, target: str) -> ClaimedDelivery:
    """Return a delivery of the notice to the target."""
    referrer = Referrer(open_id="ou_1", name_zh="林小满", name_en="Lin Xiaoman")
    return ClaimedDelivery(
        delivery=replace(DELIVERY, target=target),
        attempt_id=1,
        account=ACCOUNT,
        ownership=Ownership(referrer=referrer, looked_up_at=MODIFIED_AT),
        notices=(shown,),
        card_state=state,
    )


def kinds() -> dict[str, Callable[[], str]]:
    """Return for each kind of card a function that renders one and returns its JSON."""
    config = Config()
    renderer = make_renderer(config, SystemClock())
    deliveries = {
        "balance with button, referrer": claimed(BALANCE, OFFERED, "referrer"),
        "balance with button, group": claimed(BALANCE, OFFERED, "hr"),
        "withdrawal, referrer": claimed(WITHDRAWAL, PAID, "referrer"),
        "withdrawal, group": claimed(WITHDRAWAL, PAID, "hr"),
    }
    digests = {
        "digest, group": make_sample("daily", config),
        "digest, referrer": make_sample("my-week", config),
    }
    return {
        **{name: partial(delivered, renderer, each) for name, each in deliveries.items()},
        **{name: partial(rendered, renderer, each) for name, each in digests.items()},
    }


def delivered(renderer: Renderer, delivery: ClaimedDelivery) -> str:
    """Return the content of a delivery, as the sender gets it."""
    return renderer.content(delivery).body


def rendered(renderer: Renderer, card: Card) -> str:
    """Return a card whose texts are already made. The check has made the JSON, as for a delivery."""
    return renderer._checked(CardVariant.FULL, card)[1]


def plain_pair(body: str) -> Callable[[], str]:
    """Return a function with which Jinja renders the same JSON: each text of the card is a variable."""
    texts: list[str] = []

    def variables(node: object) -> object:
        if isinstance(node, dict):
            return {key: variables(value) for key, value in node.items()}
        if isinstance(node, list):
            return [variables(value) for value in node]
        if not isinstance(node, str):
            return node
        texts.append(node)
        return f"{{{{ texts[{len(texts) - 1}] }}}}"

    source = json.dumps(variables(json.loads(body)), ensure_ascii=False, indent=1)
    template = jinja2.Environment(autoescape=False).from_string(source)  # noqa: S701 - nobody reads it
    return lambda: template.render(texts=texts)


def cpu_ms(work: Callable[[], object], count: int) -> float:
    """Return the CPU milliseconds of one call in the best of several runs."""
    best = float("inf")
    for _ in range(RUNS):
        started = time.process_time()
        for _ in range(count):
            work()
        best = min(best, time.process_time() - started)
    return 1000 * best / count


def main() -> None:
    """Print the table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 25
    found = []
    for name, render in kinds().items():
        body = render()
        found.append(
            Comparison(
                what=f"CPU of one rendered card, {name}",
                against="Jinja alone, as many bytes",
                figure=cpu_ms(render, count),
                pair=cpu_ms(plain_pair(body), count),
                unit="ms",
                note=f"{len(body.encode()):,} bytes",
            )
        )
    report(found)


if __name__ == "__main__":
    main()
