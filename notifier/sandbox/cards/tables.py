"""Checks of tables and charts."""

import re
from collections.abc import Iterator

from notifier.sandbox.cards.checker import (
    BAD_CHART,
    BAD_JSON,
    BAD_ROW_KEY,
    BAD_ROWS,
    CardChecker,
    Check,
    as_object,
    as_text,
)
from notifier.sandbox.cards.components import common_attributes
from notifier.sandbox.cards.text import markdown
from notifier.sandbox.cards.values import (
    anything,
    boolean,
    colour,
    integer,
    list_of,
    one_of,
    pixels,
    shape,
    text,
)

DATA_TYPES = ("text", "lark_md", "markdown", "number", "options", "persons", "date")
CHARTS = (
    "line",
    "area",
    "bar",
    "pie",
    "common",
    "funnel",
    "scatter",
    "radar",
    "linearProgress",
    "circularProgress",
    "wordCloud",
)
_COLUMN_WIDTH = re.compile(r"auto|(?:[89]\d|[1-5]\d\d|600)px|(?:100|[1-9]?\d)%")
_align = one_of("left", "center", "right")


def _width(checker: CardChecker, value: object) -> None:
    if not _COLUMN_WIDTH.fullmatch(as_text(checker, value)):
        raise checker.invalid("should be auto, [80,600]px or a percentage", value)


_column = shape(
    {"name": text(minimum=1), "data_type": one_of(*DATA_TYPES)},
    {
        "display_name": text(),
        "width": _width,
        "vertical_align": one_of("top", "center", "bottom"),
        "horizontal_align": _align,
        "format": shape({}, {"symbol": text(1), "precision": integer(0, 10), "separator": boolean}),
        "date_format": text(),
    },
)
_table_shape = shape(
    {"tag": anything, "columns": list_of(_column, minimum=1, maximum=50), "rows": anything},
    {
        **common_attributes,
        "page_size": integer(1, 10),
        "row_height": pixels(32, 124, "low", "middle", "high", "auto"),
        "row_max_height": pixels(32, 999),
        "freeze_first_column": boolean,
        "header_style": shape(
            {},
            {
                "text_align": _align,
                "text_size": one_of("normal", "heading"),
                "background_style": one_of("none", "grey"),
                "text_color": one_of("default", "grey"),
                "bold": boolean,
                "lines": integer(1, 99),
            },
        ),
    },
)
_options = list_of(shape({"text": text()}, {"color": colour}))


def _table(checker: CardChecker, value: object) -> None:
    if checker.containers:
        raise checker.refuse(BAD_JSON, "table can only be placed at the root of the card", "table")
    checker.count_tables(1)
    _table_shape(checker, value)
    found = as_object(checker, value)
    columns = {str(column["name"]): str(column["data_type"]) for column in _objects(found["columns"])}
    if isinstance(found["columns"], list) and len(columns) != len(found["columns"]):
        raise checker.invalid("column names are not unique", list(columns))
    with checker.at_path("rows"):
        if not isinstance(found["rows"], list):
            raise checker.refuse(BAD_ROWS, "rows should be an array", found["rows"])
        for number, row in enumerate(found["rows"]):
            with checker.at_path(f"[{number}]"):
                _row(checker, row, columns)


def _objects(value: object) -> Iterator[dict[str, object]]:
    yield from (item for item in value if isinstance(item, dict)) if isinstance(value, list) else ()


def _row(checker: CardChecker, row: object, columns: dict[str, str]) -> None:
    if not isinstance(row, dict):
        raise checker.refuse(BAD_ROWS, "a row should be an object", row)
    for name, cell in row.items():
        if name not in columns:
            raise checker.refuse(BAD_ROW_KEY, "row key is not declared in columns", name)
        with checker.at_path(name):
            if not _cell_has_type(checker, columns[name], cell):
                raise checker.refuse(BAD_ROWS, f"cell does not fit data_type {columns[name]}", cell)


def _cell_has_type(checker: CardChecker, data_type: str, cell: object) -> bool:
    """Text columns convert numbers and booleans. An unknown person id in a cell is shown as an unknown user."""
    match data_type:
        case "text":
            return isinstance(cell, str | int | float)
        case "lark_md" | "markdown":
            if isinstance(cell, str):
                markdown(checker, {"tag": "markdown", "content": cell})
            return isinstance(cell, str)
        case "number" | "date":
            return isinstance(cell, int | float) and not isinstance(cell, bool)
        case "options":
            if isinstance(cell, list):
                _options(checker, cell)
            return isinstance(cell, str | list)
        case _:
            one_or_many = cell if isinstance(cell, list) else [cell]
            return all(isinstance(person, str) for person in one_or_many)


def _chart_spec(checker: CardChecker, value: object) -> None:
    """Checks the VChart JSON for the errors that Feishu is known to refuse."""
    if not isinstance(value, dict) or value.get("type") not in CHARTS:
        raise checker.refuse(
            BAD_CHART, f"chart_spec is invalid, type should be one of {', '.join(CHARTS)}", value
        )
    if not isinstance(value.get("data"), dict | list):
        raise checker.refuse(BAD_CHART, "chart_spec is invalid, data should be an object or an array", value)
    null_at = next(_nulls(value, "chart_spec"), None)
    if null_at is not None:
        raise checker.refuse(BAD_CHART, f"chart_spec is invalid, {null_at} is null", None)


def _nulls(value: object, path: str) -> Iterator[str]:
    if value is None:
        yield path
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _nulls(item, f"{path}.{name}")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _nulls(item, f"{path}[{number}]")


_chart_shape = shape(
    {"tag": anything, "chart_spec": _chart_spec},
    {
        **common_attributes,
        "aspect_ratio": one_of("1:1", "2:1", "4:3", "16:9"),
        "height": pixels(1, 999, "auto"),
        "color_theme": one_of("brand", "rainbow", "complementary", "converse", "primary"),
        "preview": boolean,
    },
)


def _chart(checker: CardChecker, value: object) -> None:
    if checker.in_form:
        raise checker.refuse(BAD_JSON, "chart cannot be placed in a form", "chart")
    _chart_shape(checker, value)


TABLE_COMPONENTS: dict[str, Check] = {"table": _table, "chart": _chart}
