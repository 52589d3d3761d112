"""The variables of a template: from a sample, from an event of Feishu, or from a JSON file with the variables."""

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from notifier.config.settings import Config
from notifier.domain.card import BalanceChangeCard, WithdrawalCard
from notifier.domain.event import BALANCE_CHANGED
from notifier.errors import ConfigError
from notifier.feishu import wire
from notifier.operations.language import say_error
from notifier.operations.preview.result import AUDIENCES
from notifier.operations.samples.event_card import make_card_from_event

_OPEN_ID = re.compile(r"ou_[0-9A-Za-z_]+")
HR = {"open_id": "ou_sample_hr", "name": "示例 HR", "en_name": "Sample HR"}
"""Acts on some samples, which name only the open_id."""


def read_variables(path: Path, config: Config) -> dict[str, object]:
    """Read the variables from a file: an event as Feishu sends it, or an object such as {"card": {…}}.

    The output of `notifier events show ID --json` has such an event as its payload, and is accepted.
    Raises ConfigError, which names the file, and the line if it is no JSON.
    """
    try:
        raw = path.read_bytes()
        document = wire.read_json(raw)
        if isinstance(document, dict) and isinstance(document.get("payload"), str):
            raw = document["payload"].encode()
            document = wire.read_json(raw)
    except OSError as error:
        raise ConfigError(f"--data: {path}: {error.strerror}.") from error
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"{path.name}, line {error.lineno}: not JSON: {error.msg}",
            zh=f"{path.name} 第 {error.lineno} 行：不是 JSON：{error.msg}",
        ) from error
    except ValueError as error:
        raise ConfigError(f"{path.name}: {error}") from error
    header = document.get("header") if isinstance(document, dict) else None
    if isinstance(header, dict) and "event_type" in header:
        try:
            return {"card": make_card_from_event(raw, config)}
        except ConfigError as error:
            raise ConfigError(f"{path.name}: {error}", zh=f"{path.name}：{say_error(error)}") from error
    if isinstance(document, dict) and document and isinstance(document.get("card"), dict):
        return document
    raise ConfigError(
        f"{path.name}: this is neither an event of Feishu (schema 2.0, {BALANCE_CHANGED}) nor an object of template "
        'variables, such as {"card": {…}}. The page copies the variables of a sample.',
        zh=f"{path.name}：既不是飞书事件（schema 2.0，{BALANCE_CHANGED}），也不是模板变量对象"
        '（例如 {"card": {…}}）。可在预览页面复制样例的变量。',
    )


def set_audience(variables: Mapping[str, object], audience: str) -> dict[str, object]:
    """Return the variables for another audience. "", or a digest, whose template decides: unchanged."""
    card = variables.get("card")
    if audience and isinstance(card, BalanceChangeCard | WithdrawalCard):
        return {**variables, "card": replace(card, audience=audience)}
    if audience and list_audiences(variables) and isinstance(card, dict):
        return {**variables, "card": {**card, "audience": audience}}
    return dict(variables)


def list_audiences(variables: Mapping[str, object]) -> tuple[str, ...]:
    """Return the audiences that the variables can be switched to; empty: none."""
    card = variables.get("card")
    is_for_one = isinstance(card, dict) and ("period" in card or "balance_at" in card)  # digests and answers
    if isinstance(card, BalanceChangeCard | WithdrawalCard):
        return AUDIENCES
    return AUDIENCES if isinstance(card, dict) and "audience" in card and not is_for_one else ()


def get_audience(variables: Mapping[str, object]) -> str:
    """Return the audience of the variables; "" if they name none."""
    card = variables.get("card")
    found = card.get("audience") if isinstance(card, dict) else getattr(card, "audience", "")
    return str(found or "")


def to_json(value: object) -> Any:  # noqa: ANN401 - JSON
    """Return variables as JSON values that `read_variables` reads back."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_json(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(each) for each in value]
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def list_shown_people(document: object) -> list[dict[str, str]]:
    """List the people in variables that `to_json` returned, so that the page can show their names.

    Feishu knows the name of each person. Where the variables have an open_id only, a number stands for the name.
    """
    named = {person["open_id"]: person for person in [HR, *_iter_people(document)]}
    unnamed = dict.fromkeys(
        text for text in _iter_texts(document) if _OPEN_ID.fullmatch(text) and text not in named
    )
    for number, open_id in enumerate(unnamed, 1):
        named[open_id] = {"open_id": open_id, "name": f"同事 {number}", "en_name": f"Colleague {number}"}
    return list(named.values())


def _iter_texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _iter_texts(each)


def _iter_people(value: object) -> Iterator[dict[str, str]]:
    if isinstance(value, list):
        for each in value:
            yield from _iter_people(each)
    elif isinstance(value, dict):
        names = value.get("name")
        if isinstance(value.get("open_id"), str) and isinstance(names, dict):
            yield {
                "open_id": value["open_id"],
                "name": str(names.get("zh", "")),
                "en_name": str(names.get("en", "")),
            }
        for each in value.values():
            yield from _iter_people(each)
