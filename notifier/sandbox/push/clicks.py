"""Simulates clicks on cards: sends the callback to the app and shows its answer."""

import json
from collections.abc import Callable

from notifier.sandbox.api.messages import MessageApi
from notifier.sandbox.app_console import CARD_CALLBACK
from notifier.sandbox.error_codes import JsonObject, RefusedError, parse_json
from notifier.sandbox.push.long_connection import Ack, ConnectionLostError, LongConnection, NotConnectedError
from notifier.sandbox.push.webhook import WebhookPusher
from notifier.sandbox.tenant import Message, Tenant, TenantPerson, new_id

NOT_ONLINE, NO_ANSWER, NOT_REACHED, HANDLER_FAILED, BAD_ANSWER, BAD_CARD, OTHER_VERSION = (
    200340,
    200341,
    200342,
    200671,
    200672,
    200673,
    200830,
)
TOAST_TYPES = ("info", "success", "error", "warning")


class BadClickError(ValueError):
    """A click that is not possible. The text is shown to the caller."""


class CallbackAnswerError(Exception):
    """The answer of the app cannot be shown. code: the error code that Feishu's client shows."""

    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        super().__init__(reason)


class NotConfiguredError(Exception):
    """The published version does not subscribe to the callback of cards."""


class ClickSimulator:
    """Clicks of people on cards."""

    def __init__(
        self,
        tenant: Tenant,
        connection: LongConnection,
        webhook: WebhookPusher,
        messages: MessageApi,
        issue_token: Callable[[str], str],
    ) -> None:
        """issue_token: returns the token of a delayed update for a message_id."""
        self._tenant = tenant
        self._connection = connection
        self._webhook = webhook
        self._messages = messages
        self._issue_token = issue_token

    async def click(self, *, message_id: str, open_id: str, action: JsonObject) -> JsonObject:
        """Sends one `card.action.trigger` callback. Feishu never repeats it and waits 3 s for the answer.

        Returns {"code", "msg", "event_id", "toast", "card_updated"}. code is 0 or the code that the client shows.
        Raises BadClickError.
        """
        message, person = self._tenant.messages.get(message_id), self._tenant.people.get(open_id)
        if message is None or message.msg_type != "interactive":
            raise BadClickError(f"there is no card message {message_id!r}")
        if person is None:
            raise BadClickError(f"there is no person {open_id!r}")
        if message.visible_to not in ("", open_id):
            raise BadClickError(f"{open_id!r} does not see the card {message_id!r}")
        if message.hook_token:
            raise BadClickError("cards of custom bots have no callback")
        event_id = new_id("cb")
        payload = json.dumps(self._payload(event_id, message, person, action), ensure_ascii=False).encode()
        outcome: JsonObject = {
            "event_id": event_id,
            "code": 0,
            "msg": "",
            "toast": None,
            "card_updated": False,
        }

        def apply_ack(ack: Ack) -> None:
            message.has_pending_click = False
            try:
                answer = _read_answer(ack)
                outcome["toast"] = answer.get("toast")
                outcome["card_updated"] = self._show_card(message, answer.get("card"))
            except CallbackAnswerError as error:
                outcome.update(code=error.code, msg=str(error))

        message.has_pending_click = True
        try:
            await self._send(payload, event_id, apply_ack)
        except NotConfiguredError:
            outcome |= {"code": NOT_ONLINE, "msg": "the callback is not configured"}
        except NotConnectedError:
            not_reached = {"code": NOT_REACHED, "msg": "the app's address cannot be reached"}
            outcome |= not_reached if self._webhook.url else {"code": NOT_ONLINE, "msg": "app not online"}
        except (TimeoutError, ConnectionLostError):
            outcome |= {"code": NO_ANSWER, "msg": "no answer in time"}
        finally:
            message.has_pending_click = False
        if outcome["code"]:
            self._tenant.refusals[int(str(outcome["code"]))] += 1
        self._tenant.bump_revision()
        return outcome

    async def _send(self, payload: bytes, event_id: str, apply_ack: Callable[[Ack], None]) -> None:
        if CARD_CALLBACK not in self._tenant.console.live.callbacks:
            raise NotConfiguredError
        if self._webhook.url:
            await self._webhook.send_and_wait(payload, on_ack=apply_ack)
        else:
            connection = self._connection.pick()
            await self._connection.send_and_wait(connection, payload, trace_id=event_id, on_ack=apply_ack)

    def _payload(
        self, event_id: str, message: Message, person: TenantPerson, action: JsonObject
    ) -> JsonObject:
        settings = self._tenant.settings
        operator = {"open_id": person.open_id, "union_id": person.union_id, "tenant_key": settings.tenant_key}
        if "contact:user.employee_id:readonly" in self._tenant.granted_scopes:
            operator["user_id"] = person.user_id
        header = {
            "event_id": event_id,
            "event_type": "card.action.trigger",
            "create_time": str(self._tenant.clock.now_ms() * 1000),  # microseconds, unlike events
            "token": "",
            "app_id": settings.app_id,
            "tenant_key": settings.tenant_key,
        }
        event = {
            "operator": operator,
            "token": self._issue_token(message.message_id),
            "action": action,
            "host": "im_message",
            "context": {"open_message_id": message.message_id, "open_chat_id": message.chat_id},
        }
        return {"schema": "2.0", "header": header, "event": event}

    def _show_card(self, message: Message, card: object) -> bool:
        """Replaces the card for all readers. Returns whether the answer had a card."""
        if card is None:
            return False
        if not isinstance(card, dict) or card.get("type") not in ("raw", "template"):
            raise CallbackAnswerError(BAD_ANSWER, 'card must be {"type": "raw" or "template", "data": {...}}')
        new = card.get("data")
        if not isinstance(new, dict):
            raise CallbackAnswerError(BAD_ANSWER, "card.data must be an object")
        if card["type"] == "template":
            new = {"type": "template", "data": new}
        elif new.get("schema", "1.0") != message.content.get("schema", "1.0"):
            raise CallbackAnswerError(OTHER_VERSION, "the answered card has another schema than the one sent")
        try:
            self._messages.check_content("interactive", new)
        except RefusedError as refused:
            raise CallbackAnswerError(BAD_CARD, refused.msg) from refused
        self._messages.replace_content(message, new, json.dumps(new, ensure_ascii=False))
        return True


def _read_answer(ack: Ack) -> JsonObject:
    if ack.code != 200:
        raise CallbackAnswerError(HANDLER_FAILED, f"the app acknowledged with code {ack.code}")
    if ack.data is None:
        return {}
    try:
        answer = parse_json(ack.data)
    except (ValueError, RecursionError) as error:
        raise CallbackAnswerError(BAD_ANSWER, "the answer is not JSON") from error
    if not isinstance(answer, dict):
        raise CallbackAnswerError(BAD_ANSWER, "the answer is not a JSON object")
    _check_toast(answer.get("toast"))
    return answer


def _check_toast(toast: object) -> None:
    if toast is None:
        return
    if not isinstance(toast, dict) or toast.get("type", "info") not in TOAST_TYPES:
        raise CallbackAnswerError(BAD_ANSWER, f"toast.type must be one of {', '.join(TOAST_TYPES)}")
    if not isinstance(toast.get("content", ""), str) or not isinstance(toast.get("i18n", {}), dict):
        raise CallbackAnswerError(BAD_ANSWER, "toast.content must be text and toast.i18n an object")
