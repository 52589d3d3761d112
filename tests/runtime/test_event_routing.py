"""Event routing: a click goes to the click handler, every other event to the receiver."""

from concurrent.futures import Future
from typing import Any

import pytest

from notifier.domain.event import CARD_CLICKED, Event
from notifier.runtime.inbound import EventRouter


class Store:
    def __init__(self) -> None:
        self.accepted: list[str] = []
        self.future: Future[Any] = Future()

    def accept(self, event: Event) -> "Future[Any]":
        self.accepted.append(event.event_type)
        return self.future


def event(event_type: str) -> Event:
    return Event(
        key="1", event_type=event_type, tenant_key="tenant", app_id="app", created_at=0, payload=b"{}"
    )


@pytest.mark.parametrize("event_type, is_click", [(CARD_CLICKED, True), ("another.event", False)])
def test_a_click_goes_to_the_click_handler(event_type: str, *, is_click: bool) -> None:
    clicks, receiver = Store(), Store()
    future = EventRouter(clicks, receiver).accept(event(event_type))

    assert future is (clicks if is_click else receiver).future
    assert ([event_type], []) == (
        (clicks.accepted, receiver.accepted) if is_click else (receiver.accepted, clicks.accepted)
    )
