"""The commands `notifier trigger`: they cause events in a running sandbox and print what happened to the pushes."""

import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from typing import IO, Any, TypeVar

import click

from notifier.cli.context import JSON_OPTION
from notifier.cli.setup.push_outcomes import describe_outcomes, read_outcomes_now, wait_for_outcomes
from notifier.errors import NotifierError
from notifier.operations.language import localized
from notifier.sandbox.client import SandboxClient, SandboxClientError, SandboxUnreachableError

_Command = TypeVar("_Command", bound=Callable[..., Any])
EVENT_TYPE = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)+")
ANY_EVENT = "EVENT_TYPE"
"""Name of the command for any event in the help. It runs under the name of the event type."""
MAX_BURST = 10_000


class _TriggerGroup(click.Group):
    """Each event type is a command."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        is_event_type = EVENT_TYPE.fullmatch(cmd_name) is not None
        return super().get_command(ctx, ANY_EVENT if is_event_type else cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Keeps the name that was typed, which is the event type."""
        typed = args[0]
        name, command, rest = super().resolve_command(ctx, args)
        return typed if command is not None and command.name == ANY_EVENT else name, command, rest


def _sandbox_options(command: _Command) -> _Command:
    """The options that all these commands have."""
    options = (
        click.option(
            "--url", default="", help="Address of the sandbox. Default: FEISHU_SANDBOX_URL, else port 8765."
        ),
        click.option("--no-wait", is_flag=True, help="Print the event ids; do not wait for the answers."),
        click.option(
            "--timeout",
            default=10.0,
            show_default=True,
            type=click.FloatRange(0, 3600),
            help="How long to wait for the answers, in seconds.",
        ),
        JSON_OPTION,
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group("trigger", cls=_TriggerGroup)
def trigger() -> None:
    """Cause events in a running sandbox, and print what happened to the pushes."""


@trigger.command()
@click.option("--account", "account_id", help="The referral account whose balance changes.")
@click.option("--cash", help="Change of the cash, such as 500 or -12.50.")
@click.option("--currency", default="CNY", show_default=True, help="Currency of --cash.")
@click.option("--points", type=int, default=0, help="Change of the points, such as 10 or -3.")
@click.option("--duplicate", is_flag=True, help="Push each event twice with the same id.")
@click.option(
    "--out-of-order",
    is_flag=True,
    help="Push the newest event first. Without --burst: two changes and events.",
)
@click.option(
    "--burst", type=click.IntRange(1, MAX_BURST), help="Change the balance this many times at once."
)
@click.option(
    "--replay", metavar="EVENT_ID", help="Push this event again, with the same id. Nothing changes."
)
@_sandbox_options
def reward(  # noqa: PLR0913 - one argument per option
    account_id: str | None,
    cash: str | None,
    currency: str,
    points: int,
    burst: int | None,
    replay: str | None,
    url: str,
    timeout: float,
    *,
    duplicate: bool,
    out_of_order: bool,
    no_wait: bool,
    as_json: bool,
) -> None:
    """Change the balance of a referral account, and push its event."""
    with _reporting_sandbox_errors():
        client = SandboxClient(url)
        if replay is not None:
            if account_id or cash or points or duplicate or out_of_order or burst:
                raise click.UsageError(
                    localized(
                        "--replay stands alone: it changes no balance.", "--replay 只能单独使用，不改变余额。"
                    )
                )
            client.push_again(replay)
            _finish(client, [replay], timeout, no_wait=no_wait, as_json=as_json)
            return
        if account_id is None:
            raise click.UsageError(
                localized("Add --account, or --replay.", "请加上 --account，或使用 --replay。")
            )
        amounts = {currency.upper(): _parse_cash(cash)} if cash is not None else {}
        if not amounts and not points:
            raise click.UsageError(localized("Add --cash or --points.", "请加上 --cash 或 --points。"))
        if duplicate and out_of_order:
            raise click.UsageError(
                localized(
                    "Choose one of --duplicate and --out-of-order.",
                    "--duplicate 和 --out-of-order 只能选一个。",
                )
            )
        count = burst or (2 if out_of_order else 1)
        send = "twice" if duplicate else "reversed" if out_of_order else "once"
        event_ids = client.change_balances([(account_id, points, amounts)] * count, send=send)
        _finish(client, event_ids, timeout, no_wait=no_wait, as_json=as_json)


@trigger.command()
@click.option("--from", "sender", required=True, help="Who writes: an open_id, or a part of the name.")
@click.option("--text", required=True, help="The text.")
@click.option(
    "--chat", help="A group: its chat_id, or a part of its name. Default: the private chat with the bot."
)
@click.option("--no-mention", is_flag=True, help="In a group: without @bot.")
@click.option("--reply-to", metavar="MESSAGE_ID", help="The message that it answers.")
@_sandbox_options
def message(  # noqa: PLR0913 - one argument per option
    sender: str,
    text: str,
    chat: str | None,
    reply_to: str | None,
    url: str,
    timeout: float,
    *,
    no_mention: bool,
    no_wait: bool,
    as_json: bool,
) -> None:
    """Write a message to the bot as a person, in a private chat or a group."""
    with _reporting_sandbox_errors():
        client = SandboxClient(url)
        state = client.state()
        body = {"open_id": _find(state["people"], "open_id", sender), "text": text}
        if chat is not None:
            body["chat_id"] = _find(state["groups"], "chat_id", chat)
        if reply_to is not None:
            body["reply_to"] = reply_to
        written = client.write_message({**body, "mention_bot": not no_mention})
        if not as_json:
            click.echo(localized(f"message {written['message_id']}", f"消息 {written['message_id']}"))
        _finish(
            client,
            written["event_ids"],
            timeout,
            no_wait=no_wait,
            as_json=as_json,
            message_id=written["message_id"],
        )


@trigger.command()
@click.option("--from", "sender", required=True, help="Who presses: an open_id, or a part of the name.")
@click.option("--key", "event_key", required=True, help="The event_key of the menu item.")
@_sandbox_options
def menu(sender: str, event_key: str, url: str, timeout: float, *, no_wait: bool, as_json: bool) -> None:
    """Choose an item of the bot's menu as a person."""
    with _reporting_sandbox_errors():
        client = SandboxClient(url)
        open_id = _find(client.state()["people"], "open_id", sender)
        event_ids = client.press_menu(open_id, event_key)
        _finish(client, event_ids, timeout, no_wait=no_wait, as_json=as_json)


@trigger.command(ANY_EVENT)
@click.option(
    "--data",
    "file",
    required=True,
    type=click.File(encoding="utf-8"),
    help="JSON file with the event, or with the whole envelope; - for standard input.",
)
@_sandbox_options
@click.pass_context
def any_event(
    context: click.Context, file: IO[str], url: str, timeout: float, *, no_wait: bool, as_json: bool
) -> None:
    """Push an event of any type, such as im.chat.updated_v1. The header is filled in."""
    event_type = str(context.info_name)
    if EVENT_TYPE.fullmatch(event_type) is None:
        raise click.UsageError(
            localized(
                "Write the event type in place of EVENT_TYPE, such as im.chat.updated_v1.",
                "请把 EVENT_TYPE 换成事件类型，例如 im.chat.updated_v1。",
            )
        )
    event = _read_event(file)
    with _reporting_sandbox_errors():
        client = SandboxClient(url)
        header = event.get("header")
        if not isinstance(header, dict):
            event_id = client.push_event(event_type, event)
        elif header.get("event_type", event_type) != event_type:
            raise click.UsageError(
                localized(
                    f"--data: the envelope is of the type {header['event_type']}, not {event_type}.",
                    f"--data：文件中的事件类型是 {header['event_type']}，不是 {event_type}。",
                )
            )
        elif header.get("event_id"):
            event_id = client.push_payload(json.dumps(event, ensure_ascii=False))
        else:
            event_id = client.push_event(event_type, event.get("event") or {})
        _finish(client, [event_id], timeout, no_wait=no_wait, as_json=as_json)


def _read_event(file: IO[str]) -> dict[str, Any]:
    try:
        event = json.load(file)
    except (ValueError, RecursionError) as error:
        raise click.UsageError(
            localized(f"--data: this is not JSON: {error}.", f"--data：不是有效的 JSON（“{error}”）。")
        ) from error
    if not isinstance(event, dict):
        raise click.UsageError(localized("--data: must be a JSON object.", "--data：必须是 JSON 对象。"))
    return event


def _finish(
    client: SandboxClient,
    event_ids: list[str],
    timeout: float,
    *,
    no_wait: bool,
    as_json: bool,
    **more: str,
) -> None:
    """Prints the outcomes. Exits with 1 if no event was pushed, or one that was waited for was not acknowledged.

    more: for the JSON document.
    """
    outcomes = (
        read_outcomes_now(client, event_ids) if no_wait else wait_for_outcomes(client, event_ids, timeout)
    )
    if as_json:
        document = {**more, "events": [outcome.as_json() for outcome in outcomes]}
        click.echo(json.dumps(document, ensure_ascii=False, indent=2))
    else:
        for line in describe_outcomes(outcomes):
            click.echo(line)
    if not outcomes or not (no_wait or all(outcome.is_good for outcome in outcomes)):
        sys.exit(1)


def _parse_cash(text: str) -> str:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount != round(amount, 2):
        raise click.UsageError(
            localized(
                "--cash: write an amount with two decimals at most, such as 500 or -12.50.",
                "--cash：请填最多两位小数的金额，例如 500 或 -12.50。",
            )
        )
    return f"{amount:+.2f}"


def _find(listed: list[dict[str, Any]], key: str, wanted: str) -> str:
    """The id of the person or group with this id, or whose name alone contains the text."""
    if any(each[key] == wanted for each in listed):
        return wanted
    word = wanted.casefold()
    found = [each for each in listed if word in each["name"].casefold() or word in each["en_name"].casefold()]
    if len(found) == 1:
        return str(found[0][key])
    names = ", ".join(f"{each[key]} ({each['name']})" for each in (found or listed)[:10])
    if found:
        raise NotifierError(
            f"{wanted!r} fits several: {names}. Write the {key}.",
            zh=f"{wanted!r} 有多个：{names}。请填 {key}。",
        )
    raise NotifierError(
        f"nothing in the sandbox has the name {wanted!r}; there are: {names}.",
        zh=f"沙盒中没有 {wanted!r}。现有：{names}。",
    )


@contextmanager
def _reporting_sandbox_errors() -> Iterator[None]:
    try:
        yield
    except SandboxUnreachableError as error:
        raise NotifierError(
            f"{error}. Start one with `notifier sandbox`, or set --url.",
            zh=f"连不上沙盒（“{error}”）。请先运行 `notifier sandbox`，或用 --url 指定地址。",
        ) from error
    except SandboxClientError as error:
        raise NotifierError(f"the sandbox refused: {error}.", zh=f"沙盒拒绝了请求：“{error}”。") from error
