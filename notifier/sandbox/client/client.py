"""The calls of the control API as methods, with the names of FeishuBox."""

import base64
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from notifier.sandbox.client.connection import (
    ControlConnection,
    SandboxClientError,
    SandboxUnreachableError,
    quote,
)
from notifier.sandbox.client.reading import Reading

__all__ = ["SandboxClient", "SandboxClientError", "SandboxUnreachableError"]
_T = TypeVar("_T")
Json = dict[str, Any]
POLL_SECONDS = 0.1


class SandboxClient(ControlConnection, Reading):
    """A running sandbox in another process. Methods that FeishuBox has too behave the same.

    A refused request raises SandboxClientError with the sentence of the sandbox. SandboxUnreachableError: none runs.
    """

    def _find(self, kind: str, query: dict[str, str]) -> list[Json]:
        found: list[Json] = self._call("GET", f"/{kind}", query=query)[kind]
        return found

    @property
    def app_id(self) -> str:
        """The app id that the app under test must use."""
        return str(self.state()["app"]["app_id"])

    def change_balance(
        self,
        account_id: str,
        points: int = 0,
        cash: Mapping[str, str] | None = None,
        *,
        send: str = "once",
        currency_form: str = "iso",
    ) -> list[str]:
        """Changes a balance by amounts such as {"CNY": "+500.00"} and pushes its event. Returns the event ids.

        send: once, twice, copy (again with a new event_id), reversed or hold.
        """
        change = {
            "account_id": account_id,
            "points": points,
            "cash": dict(cash or {}),
            "currency_form": currency_form,
        }
        return self._change([change], send)

    def change_balances(
        self, changes: Iterable[tuple[str, int, Mapping[str, str]]], *, send: str = "once"
    ) -> list[str]:
        """Changes several balances, given as (account_id, points, cash). Returns the event ids in pushing order."""
        listed = [
            {"account_id": account_id, "points": points, "cash": dict(cash)}
            for account_id, points, cash in changes
        ]
        return self._change(listed, send)

    def _change(self, changes: list[Json], send: str) -> list[str]:
        event_ids: list[str] = self._call("POST", "/changes", {"changes": changes, "send": send})["events"]
        return event_ids

    def push_event(self, event_type: str, event: Json) -> str:
        """Pushes an event of any type with a new header. Returns its event_id."""
        return str(self._call("POST", "/events", {"event_type": event_type, "event": event})["event_id"])

    def push_payload(self, text: str) -> str:
        """Pushes any text as the payload of an event. Returns the event_id of the record."""
        return str(self._call("POST", "/events", {"payload": text})["event_id"])

    def push_frame(self, raw: bytes) -> str:
        """Pushes raw bytes as one WebSocket message. Returns the event_id of the record."""
        frame = base64.b64encode(raw).decode()
        return str(self._call("POST", "/events", {"frame_base64": frame})["event_id"])

    def push_again(self, event_id: str) -> None:
        """Pushes a known event once more, with the same id and payload."""
        self._call("POST", f"/events/{quote(event_id)}/push")

    def hold(self) -> None:
        """Holds new events until `release`."""
        self._call("POST", "/hold")

    def release(self) -> int:
        """Ends the hold and pushes all held events. Returns their number."""
        return int(self._call("POST", "/release")["released"])

    def write(
        self,
        open_id: str,
        text: str = "",
        *,
        chat_id: str | None = None,
        mention_bot: bool = True,
        reply_to: str | None = None,
        in_thread: bool = False,
        msg_type: str = "text",
        content: Json | None = None,
    ) -> str:
        """Writes a message to the bot, or in a group. Returns its message_id. `write_message` returns events too."""
        given = {"chat_id": chat_id, "reply_to": reply_to, "content": content}
        body = {name: value for name, value in given.items() if value is not None}
        if content is None:
            body["text"] = text
        return str(
            self.write_message(
                {"open_id": open_id, "mention_bot": mention_bot, "in_thread": in_thread, "msg_type": msg_type}
                | body
            )["message_id"]
        )

    def write_message(self, body: Json) -> Json:
        """Writes a message. body: of `POST /api/messages`. Returns message_id and event_ids."""
        written: Json = self._call("POST", "/messages", body)
        return written

    def recall(self, open_id: str, message_id: str) -> list[str]:
        """Recalls an own message. Returns the ids of the pushed events."""
        return self._act(f"/messages/{quote(message_id)}/recall", open_id=open_id)

    def react(self, open_id: str, message_id: str, emoji_type: str) -> str:
        """Puts an emoji, such as SMILE, on a message. Returns the reaction_id."""
        body = {"open_id": open_id, "emoji_type": emoji_type}
        return str(self._call("POST", f"/messages/{quote(message_id)}/reactions", body)["reaction_id"])

    def remove_reaction(self, message_id: str, reaction_id: str) -> list[str]:
        """Removes a reaction of a person. Returns the ids of the pushed events."""
        path = f"/messages/{quote(message_id)}/reactions/{quote(reaction_id)}"
        event_ids: list[str] = self._call("DELETE", path)["event_ids"]
        return event_ids

    def read(self, open_id: str, message_id: str) -> list[str]:
        """Reads a message. Returns the ids of the pushed events."""
        return self._act(f"/messages/{quote(message_id)}/read", open_id=open_id)

    def enter_chat(self, open_id: str, chat_id: str | None = None) -> list[str]:
        """Opens the private chat with the bot. Returns the ids of the pushed events."""
        if chat_id is None:
            chats = {person["open_id"]: person["chat_id"] for person in self.state()["people"]}
            chat_id = str(chats.get(open_id, "none"))
        return self._act(f"/chats/{quote(chat_id)}/enter", open_id=open_id)

    def set_bot_in_group(self, open_id: str, chat_id: str, *, is_member: bool) -> list[str]:
        """A member adds the bot to a group or removes it. Returns the ids of the pushed events."""
        return self._act(f"/groups/{quote(chat_id)}/bot", open_id=open_id, is_member=is_member)

    def press_menu(self, open_id: str, event_key: str) -> list[str]:
        """Chooses an item of the bot's menu. Returns the ids of the pushed events."""
        return self._act("/menu", open_id=open_id, event_key=event_key)

    def _act(self, path: str, **body: object) -> list[str]:
        event_ids: list[str] = self._call("POST", path, body)["event_ids"]
        return event_ids

    def click(
        self, message_id: str, open_id: str, value: object, *, tag: str = "button", **action: object
    ) -> Json:
        """Clicks a component of a card and waits for the answer of the app.

        Returns {"code", "msg", "event_id", "toast", "card_updated"}. code is 0 or the code that Feishu's client shows.
        """
        body = {"message_id": message_id, "open_id": open_id, "tag": tag, "value": value, **action}
        outcome: Json = self._call("POST", "/clicks", body)
        return outcome

    def messages(self, chat_id_or_open_id: str) -> list[Json]:
        """The messages of one chat, oldest first."""
        is_person = any(one["open_id"] == chat_id_or_open_id for one in self.state()["people"])
        return list(
            self._find_all(
                "messages", "message_id", **{"open_id" if is_person else "chat_id": chat_id_or_open_id}
            )
        )

    def all_messages(self) -> list[Json]:
        """The messages of all chats, oldest first."""
        return list(self._find_all("messages", "message_id"))

    def events(self) -> list[Json]:
        """Every event with its pushes, oldest first."""
        return list(self._find_all("events", "event_id"))

    def event(self, event_id: str) -> Json:
        """One event with its pushes."""
        event: Json = self._call("GET", f"/events/{quote(event_id)}")
        return event

    def push_codes(self, event_id: str) -> list[int | None]:
        """The code of the answer to each push of an event, oldest first; None without an answer."""
        return [push["code"] for push in self.event(event_id)["pushes"]]

    def requests(self, path_beginning: str = "/") -> list[Json]:
        """The calls of the app whose path starts with `path_beginning`, oldest first."""
        return list(self._find_all("requests", "log_id", path=path_beginning))

    def refusals(self) -> dict[int, int]:
        """The number of refused calls by error code, without those that a fault refused."""
        return {int(code): count for code, count in self.state()["refusals"].items()}

    def quotas(self) -> list[Json]:
        """The rate limits of calls with their use. See `GET /api/quotas`."""
        quotas: list[Json] = self._call("GET", "/quotas")["quotas"]
        return quotas

    def account(self, account_id: str) -> Json:
        """One account with its balance."""
        for account in self.accounts():
            if account["account_id"] == account_id:
                return account
        raise SandboxClientError(f"there is no account {account_id!r}", 404)

    def accounts(self) -> list[Json]:
        """All accounts with their balances."""
        accounts: list[Json] = self.state()["accounts"]
        return accounts

    def file(self, file_key: str) -> bytes:
        """The content of an uploaded file or image."""
        return self._read("GET", f"/files/{quote(file_key)}")

    def state(self) -> Json:
        """The whole state as JSON."""
        state: Json = self._call("GET", "/state")
        return state

    def set_account(self, account_id: str, *, status: int) -> None:
        """Sets the status of an account: 1 usable, 2 deactivated."""
        self._call("PATCH", f"/accounts/{quote(account_id)}", {"status": status})

    def set_person(self, open_id: str, *, status: str, resigned_code: int = 230029) -> None:
        """Sets the status of a person: active, resigned, bot_stopped, out_of_range or blocked."""
        self._call("PATCH", f"/people/{quote(open_id)}", {"status": status, "resigned_code": resigned_code})

    def set_group(
        self, chat_id: str, *, has_bot: bool = True, muted: bool = False, dissolved: bool = False
    ) -> None:
        """Sets the state of a group."""
        body = {"has_bot": has_bot, "muted": muted, "dissolved": dissolved}
        self._call("PATCH", f"/groups/{quote(chat_id)}", body)

    def set_scopes(self, granted: Iterable[str]) -> None:
        """Replaces the permission scopes of the app."""
        self._call("POST", "/scopes", {"granted": sorted(granted)})

    def change_console(self, **changes: object) -> None:
        """Changes settings in the developer console. They are in force after `publish`."""
        self._call("POST", "/console", changes)

    def publish(self) -> None:
        """Creates a version of the app and publishes it."""
        self._call("POST", "/console/publish")

    def set_payout_report_url(self, url: str) -> None:
        """Sets where the simulated payroll sends its reports: http on loopback; "" for no reports."""
        self._call("POST", "/payouts/report-url", {"url": url})

    def report_payout(self, order_id: str, status: str, reference: str = "", reason: str = "") -> Json:
        """Sets a payout to paid or failed and reports it. Returns the payout with "http_status" and "error"."""
        body = {"status": status, "reference": reference, "reason": reason}
        reported: Json = self._call("POST", f"/payouts/{quote(order_id)}/report", body)
        return reported

    def add_call_fault(self, rule: Json) -> str:
        """Adds a rule for calls. Returns its id."""
        return str(self._call("POST", "/call-faults", rule)["fault_id"])

    def clear_call_faults(self) -> None:
        """Removes all rules for calls."""
        self._call("DELETE", "/call-faults")

    def expire_tokens(self) -> None:
        """Expires all access tokens."""
        self._call("POST", "/tokens/expire")

    def start_fault(self, fault_type: str, **options: object) -> str:
        """Starts a fault, such as ("429", times=2, header=False). Returns its id."""
        return str(self._call("POST", "/faults", {**options, "fault_type": fault_type})["fault_id"])

    def end_fault(self, fault_id: str) -> None:
        """Ends a running fault."""
        self._call("DELETE", f"/faults/{quote(fault_id)}")

    def end_all_faults(self) -> None:
        """Ends all running faults."""
        self._call("DELETE", "/faults")

    def running_faults(self) -> list[Json]:
        """The running faults, with their hits, remaining seconds and remaining hits."""
        faults: list[Json] = self._call("GET", "/faults")["running_faults"]
        return faults

    def connections(self) -> int:
        """The number of open long connections."""
        return int(self.state()["app"]["connections"])

    def connection_status(self) -> Json:
        """The status of the long connection."""
        status: Json = self.state()["long_connection"]
        return status

    def set_other_connections(self, count: int) -> None:
        """Simulates more connections of this app from elsewhere."""
        self._call("POST", "/other-connections", {"count": count})

    def disconnect_all(self) -> int:
        """Resets all long connections. Returns their number."""
        return int(self._call("POST", "/disconnect")["disconnected"])

    def silence(self, *, on: bool = True) -> None:
        """Keeps connections open but neither answers nor pushes, as a half-open network does."""
        self._call("POST", "/silence", {"on": on})

    def now_ms(self) -> int:
        """The time of the sandbox, in milliseconds since 1970."""
        return int(self._call("GET", "/clock")["now_ms"])

    def advance(self, seconds: float) -> None:
        """Moves the clock of the sandbox forward."""
        self._call("POST", "/clock", {"seconds": seconds})

    def reset(self) -> None:
        """Returns to the start world. Connections, tokens and snapshots stay; faults and logs end."""
        self._call("POST", "/reset")

    def take_snapshot(self, name: str) -> Json:
        """Keeps the state under a name. Returns name, at_ms, and the number of messages and events."""
        taken: Json = self._call("POST", "/snapshots", {"name": name})
        return taken

    def snapshots(self) -> list[Json]:
        """All snapshots, oldest first."""
        listed: list[Json] = self._call("GET", "/snapshots")["snapshots"]
        return listed

    def restore_snapshot(self, name: str) -> None:
        """Returns to a snapshot. Connections and tokens stay; faults and logs end."""
        self._call("POST", f"/snapshots/{quote(name)}/restore")

    def delete_snapshot(self, name: str) -> None:
        """Deletes a snapshot."""
        self._call("DELETE", f"/snapshots/{quote(name)}")

    def wait_for(self, predicate: Callable[[], _T], description: str, timeout: float = 10) -> _T:
        """Waits until the predicate returns a true value, and returns it. Raises TimeoutError with the description.

        It calls the predicate ten times a second. `wait_for_message` and its like need fewer calls.
        """
        deadline = time.monotonic() + timeout
        while not (found := predicate()):
            if time.monotonic() >= deadline:
                raise TimeoutError(f"not within {timeout} s: {description}")
            time.sleep(POLL_SECONDS)
        return found
