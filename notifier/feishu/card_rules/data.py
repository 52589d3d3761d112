"""The two components that show rows of data: table and chart."""

from collections.abc import Mapping
from types import MappingProxyType

from notifier.feishu.card_rules.pieces import component_shape
from notifier.feishu.card_rules.texts import marked, no_contact_data, plain
from notifier.feishu.card_rules.values import (
    TAG_COLOURS,
    anything,
    filled_string,
    flag,
    free_object,
    list_of,
    one_of,
    pixels,
    string,
    whole,
)
from notifier.feishu.card_rules.walk import Check, Shape, Walk, close_name, shown, wrong_type

MOST_TABLES = 3  # five by the book, but Feishu was seen refusing the fourth
MOST_COLUMNS = 50
MOST_ROWS = 50


def count_tables(walk: Walk, more: int) -> None:
    before, walk.tables = walk.tables, walk.tables + more
    if before <= MOST_TABLES < walk.tables:
        walk.problem(
            "too-many-tables", f"A card holds at most {MOST_TABLES} tables, those in Markdown counted."
        )


def _text_cell(walk: Walk, value: object) -> None:
    """Feishu turns what is no string into one."""
    if isinstance(value, dict | list):
        wrong_type(walk, "a string", value)
    else:
        no_contact_data(walk, str(value))


def _number_cell(walk: Walk, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        wrong_type(walk, "a number", value)


def _options_cell(walk: Walk, value: object) -> None:
    _plain(walk, value) if isinstance(value, str) else _cell_options(walk, value)


def _persons_cell(walk: Walk, value: object) -> None:
    filled_string(walk, value) if isinstance(value, str) else _person_ids(walk, value)


_plain = plain()
_cell_options = list_of(
    Shape(name="An option", attributes={"text": _plain, "color": one_of(*TAG_COLOURS)}, required=("text",))
)
_person_ids = list_of(filled_string)
CELLS: Mapping[str, Check] = MappingProxyType(
    {
        "text": _text_cell,
        "lark_md": marked,
        "markdown": marked,
        "number": _number_cell,
        "options": _options_cell,
        "persons": _persons_cell,
        "date": _number_cell,
    },
)


def _symbol(walk: Walk, value: object) -> None:
    if not isinstance(value, str):
        wrong_type(walk, "a string of one character", value)
    elif len(value) > 1:
        walk.problem(
            "too-long", "A column's symbol has at most one character; longer ones belong into text cells."
        )


_number_format = Shape(
    name="A number format",
    attributes={"symbol": _symbol, "precision": whole(0, 10), "separator": flag},
)
_table_column = Shape(
    name="A table column",
    attributes={
        "name": filled_string,
        "display_name": plain(),
        "width": pixels(80, 600, "auto", percent=True),
        "data_type": one_of(*CELLS),
        "vertical_align": one_of("top", "center", "bottom"),
        "horizontal_align": one_of("left", "center", "right"),
        "format": _number_format,
        "date_format": string,
    },
    required=("name", "data_type"),
)
_header_style = Shape(
    name="A header_style",
    attributes={
        "text_align": one_of("left", "center", "right"),
        "text_size": one_of("normal", "heading"),
        "background_style": one_of("none", "grey"),
        "text_color": one_of("default", "grey"),
        "bold": flag,
        "lines": whole(1, 9999),
    },
)


def _table_rules(walk: Walk, table: Mapping[str, object]) -> None:
    count_tables(walk, 1)
    columns = table.get("columns")
    rows = table.get("rows")
    if not isinstance(columns, list) or not isinstance(rows, list):
        return
    cells = _cells_of(walk, columns)
    for index, row in enumerate(rows):
        if isinstance(row, dict):
            _row_rules(walk, cells, index, row)


def _cells_of(walk: Walk, columns: list[object]) -> dict[str, Check]:
    """The check for each column's cells; a name that comes twice is noted."""
    cells: dict[str, Check] = {}
    for index, column in enumerate(columns):
        name = column.get("name") if isinstance(column, dict) else None
        if not isinstance(column, dict) or not isinstance(name, str):
            continue
        if name in cells:
            text = f"Another column has the name {shown(name)}; it must be unique."
            walk.problem("duplicate-column", text, "columns", index, "name")
        kind = column.get("data_type")
        cells[name] = CELLS.get(kind, anything) if isinstance(kind, str) else anything
    return cells


def _row_rules(walk: Walk, cells: Mapping[str, Check], index: int, row: Mapping[str, object]) -> None:
    walk.path += ("rows", index)
    for key, value in row.items():
        cell = cells.get(key)
        if cell is not None:
            walk.into(key, value, cell)
        elif not walk.is_full:
            meant = close_name(key, cells)
            hint = f"; did you mean {meant}?" if meant else "."
            walk.problem("undeclared-column", f"No column has the name {shown(key)}{hint}", key)
    del walk.path[-2:]


table = component_shape(
    "table",
    {
        "page_size": whole(1, 10),
        "row_height": pixels(32, 124, "low", "middle", "high", "auto"),
        "row_max_height": pixels(32, 999),
        "freeze_first_column": flag,
        "header_style": _header_style,
        "columns": list_of(_table_column, most=MOST_COLUMNS, rule="too-many-columns"),
        "rows": list_of(free_object, most=MOST_ROWS, rule="too-many-rows"),
    },
    required=("columns", "rows"),
    also=_table_rules,
)


def _chart_spec(walk: Walk, value: object) -> None:
    """VChart's own JSON, of which we know only the least; its strings may all be shown."""
    if not isinstance(value, dict):
        wrong_type(walk, "an object", value)
        return
    if not isinstance(value.get("type"), str):
        walk.problem("missing", "A chart_spec needs a type such as line, bar or pie.", "type")
    _chart_texts(walk, value)


def _chart_texts(walk: Walk, value: object) -> None:
    if isinstance(value, str):
        no_contact_data(walk, value)
    elif isinstance(value, dict):
        for key, member in value.items():
            walk.into(key, member, _chart_texts)
    elif isinstance(value, list):
        for index, member in enumerate(value):
            walk.into(index, member, _chart_texts)


chart = component_shape(
    "chart",
    {
        "chart_spec": _chart_spec,
        "aspect_ratio": one_of("1:1", "2:1", "4:3", "16:9"),
        "height": pixels(1, 999, "auto"),
        "color_theme": one_of("brand", "rainbow", "complementary", "converse", "primary"),
        "preview": flag,
    },
    required=("chart_spec",),
)
