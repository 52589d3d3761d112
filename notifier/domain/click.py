"""Click: somebody pressed a button of ours, as Feishu tells it. What it means is decided from our own rows."""

from dataclasses import dataclass

CARD_CLICKED = "card.action.trigger"


@dataclass(frozen=True, slots=True, kw_only=True)
class Click:
    """key: the callback's idempotency key. ref: the opaque id in the button's value. option: the opaque id that was
    chosen in a select beside it. open_id and operator_tenant:
    who pressed it. tenant_key and app_id: of the callback. message_id, chat_id: where the card hangs.

    Anything is "" where the payload does not say; whoever decides must take that for a no.
    """

    key: str
    ref: str
    open_id: str
    operator_tenant: str
    tenant_key: str
    app_id: str
    message_id: str
    chat_id: str
    option: str = ""
