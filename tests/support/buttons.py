"""Withdraw buttons as a press finds them."""

import sqlalchemy as sa

from notifier.clock import Millis
from notifier.domain.route import AddressBook
from notifier.domain.withdrawal import Button
from notifier.store.cards import buttons


def find_button(
    connection: sa.Connection, ref: str, *, address_book: AddressBook, now: Millis
) -> Button | None:
    """The button with this ref. None if it does not exist."""
    found = buttons.load_pressed_button(connection, ref, address_book=address_book, now=now)
    return found.button if found else None
