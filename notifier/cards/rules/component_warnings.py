"""Warnings about single components: what phones or older clients show differently, and what is unconfirmed."""

import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from notifier.cards.rules.card_warnings import CardFacts, Json, Warnings
from notifier.cards.rules.markdown_warnings import markdown_warnings
from notifier.cards.rules.walk import FoundProblem, Path

CARD_WIDTHS = MappingProxyType({"default": 600, "compact": 400})
"""Width of a card in pixels by config.width_mode; `fill` is as wide as the chat."""
NEWER_CLIENTS: Mapping[tuple[str, str, str], str] = MappingProxyType(
    {
        ("table", "row_height", "auto"): "7.33",
        ("collapsible_panel", "header.width", "auto_when_fold"): "7.32",
    }
)
"""Feishu's client from which on a value works, by component, attribute and value."""
_NO_EFFECT = ("normal_v2", "notation_small_v2")
_PIXELS = re.compile(r"([0-9]{1,5})px")


def component_warnings(card: Json, facts: CardFacts) -> Warnings:
    """Yield the warnings about all components of a card."""
    yield from _chart_places(facts)
    for path, node in facts.nodes:
        tag = node.get("tag")
        if isinstance(tag, str):
            for check in (_text_size, _width, _newer_client, *_BY_TAG.get(tag, ())):
                for below, rule, message in check(card, node):
                    yield FoundProblem(path=(*path, *below), rule=rule, message=message)
        yield from markdown_warnings(path, node)


Hints = Iterator[tuple[Path, str, str]]
"""Path below the component, rule, message."""


def _text_size(_card: Json, node: Json) -> Hints:
    if node.get("text_size") in _NO_EFFECT:
        yield (
            ("text_size",),
            "text-size-no-effect",
            f"The size {node['text_size']} is accepted without effect.",
        )


def _width(card: Json, node: Json) -> Hints:
    config = card.get("config")
    mode = config.get("width_mode", "default") if isinstance(config, dict) else "default"
    limit = CARD_WIDTHS.get(mode) if isinstance(mode, str) else None
    found = _PIXELS.fullmatch(str(node.get("width", "")))
    if found and limit is not None and int(found[1]) > limit:
        yield ("width",), "too-wide", f"This is {found[1]} px wide, the card {limit} px. The rest is cut off."


def _newer_client(_card: Json, node: Json) -> Hints:
    for (tag, attribute, value), version in NEWER_CLIENTS.items():
        if node.get("tag") != tag:
            continue
        inner: object = node
        for step in attribute.split("."):
            inner = inner.get(step) if isinstance(inner, dict) else None
        if inner == value:
            message = f"{attribute} {value} needs Feishu {version} or newer; card JSON 2.0 needs only 7.20."
            yield tuple(attribute.split(".")), "client-version", message


def _button(_card: Json, node: Json) -> Hints:
    behaviors, is_submit = node.get("behaviors"), node.get("form_action_type")
    if "value" in node:
        message = "A value beside the behaviors was seen to work, but is not documented in card JSON 2.0."
        yield ("value",), "button-value", message
    elif not behaviors and not is_submit and node.get("disabled") is not True:
        yield (), "button-without-action", "A press of this button does nothing."
    if behaviors and is_submit:
        message = "A submit button with behaviors was reported to work, and to fail with 200530."
        yield ("behaviors",), "submit-behaviors", message


def _hover_tips(_card: Json, node: Json) -> Hints:
    if "hover_tips" in node:
        yield ("hover_tips",), "hover-tips", "Phones do not show hover_tips."


def _column_set(_card: Json, node: Json) -> Hints:
    columns, mode = node.get("columns"), node.get("flex_mode", "none")
    for index, column in enumerate(columns if isinstance(columns, list) else ()):
        width = column.get("width") if isinstance(column, dict) else None
        if mode != "none" and isinstance(width, str) and _PIXELS.fullmatch(width):
            message = f"A width in pixels works only with flex_mode none, not {mode}."
            yield ("columns", index, "width"), "column-width", message


def _chart(_card: Json, node: Json) -> Hints:
    if "aspect_ratio" in node and "height" not in node:
        message = f"Desktop and phone get the same ratio {node['aspect_ratio']}; by default 16:9 and 1:1."
        yield ("aspect_ratio",), "chart-aspect-ratio", message
    path = _find_desktop_only(node.get("chart_spec"))
    if path is not None:
        message = "Phones do not draw textures, conical gradients and grid word clouds."
        yield ("chart_spec", *path), "chart-phone", message


def _chart_places(facts: CardFacts) -> Warnings:
    """Charts inside forms and interactive containers."""
    tags = {path: tag for path, node in facts.nodes if isinstance(tag := node.get("tag"), str)}
    for path, tag in tags.items():
        if tag != "chart":
            continue
        around = {tags.get(path[:end]) for end in range(len(path))}
        for container in (each for each in ("form", "interactive_container") if each in around):
            message = f"It is not confirmed that a chart may stand in a {container}."
            yield FoundProblem(path=path, rule="chart-place", message=message)


def _find_desktop_only(value: object) -> Path | None:
    """The path of the first part of a chart that phones do not draw, or None."""
    waiting: list[tuple[Path, object]] = [((), value)]
    while waiting:
        path, node = waiting.pop()
        if isinstance(node, dict):
            for key, member in node.items():
                is_texture = key == "texture" and bool(member)
                if is_texture or (key, member) in (("gradient", "conical"), ("wordCloudShape", "grid")):
                    return (*path, key)
                if (key, member) == ("layoutMode", "grid"):
                    return (*path, key)
            waiting += [
                ((*path, key), member) for key, member in node.items() if key not in {"data", "values"}
            ]
        elif isinstance(node, list):
            waiting += [((*path, index), member) for index, member in enumerate(node)]
    return None


def _person_list(_card: Json, node: Json) -> Hints:
    if node.get("drop_invalid_user_id") is not True:
        message = "One invalid id makes Feishu refuse the whole card."
        yield ("drop_invalid_user_id",), "person-list-ids", message


_BY_TAG: Mapping[str, tuple[Callable[[Json, Json], Hints], ...]] = MappingProxyType(
    {
        "button": (_button, _hover_tips),
        "interactive_container": (_hover_tips,),
        "column_set": (_column_set,),
        "chart": (_chart,),
        "person_list": (_person_list,),
    }
)
