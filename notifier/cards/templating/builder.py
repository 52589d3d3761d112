"""Cards from Feishu's card builder: an exported card with `${variables}`, or a reference to a published one.

`NAME.card.json` takes the place of `NAME.json.j2`. `NAME.card.yaml` may give variables their values.
"""

import dataclasses
import json
import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from markupsafe import Markup
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from notifier.cards.templating.card_variables import read_variable, variables_of
from notifier.cards.templating.environment import CardEnvironment, with_placeholders
from notifier.cards.templating.faults import name_nearest
from notifier.domain.card import Bilingual
from notifier.errors import TemplateBroken

CARD_FILE, VALUES_FILE = ".card.json", ".card.yaml"
_VARIABLE = re.compile(r"\$\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}")
_ID = re.compile(r"(?:ou|on|oc|om)_[A-Za-z0-9_-]+|\d+")
_NEUTRAL = str.maketrans("<>[]*_~`&|#\n\r", "＜＞［］＊＿～｀＆｜＃  ")
_ADDRESS = re.compile(r"(?<=[A-Za-z0-9])\.(?=[A-Za-z])|:(?=//)")
"""Signs of Markdown, and what a reference sends for them: nobody here knows where the builder's card shows a value."""
_TEXTS = {"markdown": ("content",), "div": ("text", "content")}


def builder_file(folder: Path, template: str) -> Path:
    """Return the file that takes the place of a template, whether it exists or not."""
    return folder / (template.removesuffix(".json.j2") + CARD_FILE)


def values_file(file: Path) -> Path:
    """Return the file with the values of the variables, whether it exists or not."""
    return file.with_name(file.name.removesuffix(CARD_FILE) + VALUES_FILE)


def is_reference(card: Mapping[str, Any]) -> bool:
    """Whether a rendered card refers to one that is published at Feishu. Its components are not known here."""
    return card.get("type") == "template" and isinstance(card.get("data"), dict)


def is_pinned(card: Mapping[str, Any]) -> bool:
    """Whether a reference names the version. Without it, every publication changes cards at once."""
    return bool(card["data"].get("template_version_name"))


class BuilderCard:
    """A file from the card builder, and the values of its variables."""

    def __init__(self, file: Path, environment: CardEnvironment) -> None:
        """Read the file. Raises TemplateBroken. environment: evaluates the expressions of the values."""
        self._file = file
        self._document = _read_json(file)
        self._values = {
            **_read_values(values_file(file)),
            **self._values_beside_reference(),
        }
        self._expressions = {
            name: self._compiled(environment, name, expression) for name, expression in self._values.items()
        }

    @property
    def file_name(self) -> str:
        """The name of the file, for messages."""
        return self._file.name

    def _values_beside_reference(self) -> dict[str, str]:
        values = self._document.get("variables") if "template_id" in self._document else None
        return {str(name): str(value) for name, value in values.items()} if isinstance(values, dict) else {}

    def _compiled(self, environment: CardEnvironment, name: str, expression: str) -> Callable[..., Any]:
        try:
            return environment.compile_expression(expression, undefined_to_none=False)
        except Exception as error:
            raise TemplateBroken(
                f"{self._file.name}: the value of {name}, {expression!r}: {error}"
            ) from error

    def render(self, card: object) -> dict[str, Any]:
        """Return the card JSON, in which each text from data is a placeholder. Raises TemplateBroken."""
        try:
            return self._render(card)
        except TemplateBroken:
            raise
        except Exception as error:  # the file may have any shape
            reason = f"is not a card: {type(error).__name__}: {error}"
            raise TemplateBroken(f"{self._file.name}: {reason}") from error

    def _render(self, card: object) -> dict[str, Any]:
        if "template_id" in self._document:
            return self._reference(card)
        document = self._document.get("dsl", self._document)  # an exported file has the card under dsl
        if isinstance(document, str):
            document = json.loads(document)
        filled = self._filled(document, card)
        if not isinstance(filled, dict):
            raise TemplateBroken(f"{self._file.name}: is not a card")
        self._check_buttons(filled)
        return filled

    def _reference(self, card: object) -> dict[str, Any]:
        data = {"template_id": self._document["template_id"]}
        if not isinstance(data["template_id"], str) or not data["template_id"]:
            raise TemplateBroken(f"{self._file.name}: template_id must be a text")
        if version := self._document.get("template_version_name"):
            data["template_version_name"] = version
        data["template_variable"] = {name: _neutral(self._value(name, card)) for name in self._expressions}
        return {"type": "template", "data": data}

    def _value(self, name: str, card: object) -> Any:  # noqa: ANN401 - whatever a card holds
        if name in self._expressions:
            try:
                value = self._expressions[name](card=card)
                str(value)  # an unknown field raises its error here
            except Exception as error:
                place = f"{self._file.name}: the value of {name}, {self._values[name]}"
                raise TemplateBroken(f"{place}: {error}") from error
            if isinstance(value, Bilingual | Markup):
                kind = (
                    "in both languages; add .zh or .en" if isinstance(value, Bilingual) else "finished JSON"
                )
                raise TemplateBroken(f"{self._file.name}: the value of {name} is {kind}")
            return "" if value is None else self._data_of(name, value)
        card_type: Any = type(card)
        known = variables_of(card_type)
        if name not in known:
            listed = name_nearest(name, [*self._expressions, *known], noun="variables")
            raise TemplateBroken(f"{self._file.name}: there is no variable {name}{listed}")
        return read_variable(card, known[name])

    def _data_of(self, name: str, value: object) -> object:
        """Return the value as JSON data. Raises TemplateBroken for anything else, such as a macro."""
        if isinstance(value, Iterator):
            value = list(value)
        data = _as_data(value)
        if not _is_data(data):
            reason = f"is {type(value).__name__}, which a card cannot show"
            raise TemplateBroken(f"{self._file.name}: the value of {name}, {self._values[name]}, {reason}")
        return data

    def _filled(self, node: Any, card: object) -> Any:  # noqa: ANN401 - JSON
        match node:
            case dict():
                return {name: self._filled(value, card) for name, value in node.items()}
            case list():
                filled = (self._filled(each, card) for each in node)
                return [each for each in filled if not _is_empty(each)]
            case str():
                return self._filled_text(node, card)
            case _:
                return node

    def _filled_text(self, written: str, card: object) -> Any:  # noqa: ANN401 - JSON
        whole = _VARIABLE.fullmatch(written)
        if whole is not None:
            value = self._value(whole[1], card)
            return value if value == "" else with_placeholders(_as_data(value))
        return _VARIABLE.sub(lambda found: self._filled_part(found[1], card), written)

    def _filled_part(self, name: str, card: object) -> str:
        value = str(self._value(name, card))
        return str(with_placeholders(value)) if value else ""

    def _check_buttons(self, node: Any) -> None:  # noqa: ANN401 - JSON
        """A press is understood by its reference alone, and everybody can read and repeat the value."""
        if isinstance(node, list):
            for each in node:
                self._check_buttons(each)
        elif isinstance(node, dict):
            for behavior in node.get("behaviors") or ():
                if isinstance(behavior, dict) and behavior.get("type") == "callback":
                    value = behavior.get("value")
                    if not isinstance(value, dict) or set(value) != {"ref"}:
                        reason = 'the value of a button must be {"ref": "${withdrawal_ref}"} and nothing else'
                        raise TemplateBroken(f"{self._file.name}: {reason}")
            for each in node.values():
                self._check_buttons(each)


def _read_json(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise TemplateBroken(f"{file.name}, line {error.lineno}: is not JSON: {error.msg}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise TemplateBroken(f"{file.name}: cannot be read: {error}") from error
    if not isinstance(document, dict):
        raise TemplateBroken(f"{file.name}: is {type(document).__name__}, not a JSON object")
    return document


def _read_values(file: Path) -> dict[str, str]:
    """Return the expression of each variable; none if the file does not exist."""
    try:
        found = YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise TemplateBroken(f"{file.name}: cannot be read: {error}") from error
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise TemplateBroken(f"{file.name}: is not a list of `variable: expression`")
    return {str(name): value for name, value in found.items()}


def _as_data(value: object) -> object:
    """Values of a card as JSON: lists of lines become lists of objects."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, list | tuple):
        return [_as_data(each) for each in value]
    return value


def _is_data(value: object) -> bool:
    if isinstance(value, dict):
        return all(isinstance(name, str) and _is_data(each) for name, each in value.items())
    if isinstance(value, list | tuple):
        return all(map(_is_data, value))
    return value is None or (
        isinstance(value, str | bool | int | float | Decimal) and type(value) is not Markup
    )


def _neutral(value: object) -> object:
    """A value that no Markdown of the builder's card can take for markup. Ids stay."""
    match _as_data(value):
        case str() as given:
            if _ID.fullmatch(given):
                return given
            return _ADDRESS.sub(lambda found: {".": "．", ":": "："}[found[0]], given.translate(_NEUTRAL))
        case dict() as members:
            return {name: _neutral(each) for name, each in members.items()}
        case list() as items:
            return [_neutral(each) for each in items]
        case other:
            return other


def _is_empty(element: object) -> bool:
    """Whether a component shows nothing: a button without a reference, or a text without text."""
    if not isinstance(element, dict):
        return False
    if element.get("tag") == "button":
        behaviors = element.get("behaviors") or ()
        return any(
            isinstance(each, dict) and (each.get("value") or {}).get("ref") == "" for each in behaviors
        )
    shown: Any = element
    for step in _TEXTS.get(str(element.get("tag")), ()):
        shown = shown.get(step) if isinstance(shown, dict) else None
    return shown == ""
