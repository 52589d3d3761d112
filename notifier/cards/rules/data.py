"""The two components that show rows of data: table and chart."""

from collections.abc import Mapping
from types import MappingProxyType

from notifier.cards.rules.pieces import component_shape
from notifier.cards.rules.texts import markdown_text, no_contact_data, unformatted_text
from notifier.cards.rules.values import (
    TAG_COLOURS,
    anything,
    boolean,
    filled_string,
    free_object,
    list_of,
    one_of,
    pixels,
    string,
    whole_number,
)
from notifier.cards.rules.walk import CardWalk, Check, Shape, closest_name, describe, wrong_type

MAX_TABLES = 5
SAFE_TABLES = 3  # Feishu was seen refusing the fourth
MAX_COLUMNS = 50
SAFE_ROWS = 50  # no limit is documented


def count_tables(walk: CardWalk, more: int) -> None:
    """Count tables of the card. more: how many this element has."""
    before, walk.tables = walk.tables, walk.tables + more
    if before <= MAX_TABLES < walk.tables:
        walk.add_problem(
            "table-limit", f"A card holds at most {MAX_TABLES} tables, those in Markdown counted."
        )
    elif before <= SAFE_TABLES < walk.tables:
        walk.add_warning(
            "table-count", f"Feishu was seen refusing cards with more than {SAFE_TABLES} tables."
        )


def _text_cell(walk: CardWalk, value: object) -> None:
    """Feishu turns what is no string into one."""
    if isinstance(value, dict | list):
        wrong_type(walk, "a string", value)
    else:
        no_contact_data(walk, str(value))


def _number_cell(walk: CardWalk, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        wrong_type(walk, "a number", value)


def _options_cell(walk: CardWalk, value: object) -> None:
    _plain(walk, value) if isinstance(value, str) else _cell_options(walk, value)


def _persons_cell(walk: CardWalk, value: object) -> None:
    filled_string(walk, value) if isinstance(value, str) else _person_ids(walk, value)


_plain = unformatted_text()
_cell_options = list_of(
    Shape(name="An option", attributes={"text": _plain, "color": one_of(*TAG_COLOURS)}, required=("text",))
)
_person_ids = list_of(filled_string)
CELLS: Mapping[str, Check] = MappingProxyType(
    {
        "text": _text_cell,
        "lark_md": markdown_text,
        "markdown": markdown_text,
        "number": _number_cell,
        "options": _options_cell,
        "persons": _persons_cell,
        "date": _number_cell,
    },
)


def _symbol(walk: CardWalk, value: object) -> None:
    if not isinstance(value, str):
        wrong_type(walk, "a string of one character", value)
    elif len(value) > 1:
        walk.add_problem(
            "text-limit", "A column's symbol has at most one character; longer ones belong into text cells."
        )


_number_format = Shape(
    name="A number format",
    attributes={"symbol": _symbol, "precision": whole_number(0, 10), "separator": boolean},
)
_table_column = Shape(
    name="A table column",
    attributes={
        "name": filled_string,
        "display_name": unformatted_text(),
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
        "bold": boolean,
        "lines": whole_number(1, 9999),
    },
)


def _table_rules(walk: CardWalk, table: Mapping[str, object]) -> None:
    count_tables(walk, 1)
    columns = table.get("columns")
    rows = table.get("rows")
    if not isinstance(columns, list) or not isinstance(rows, list):
        return
    cells = _cells_of(walk, columns)
    for index, row in enumerate(rows):
        if isinstance(row, dict):
            _row_rules(walk, cells, index, row)


def _cells_of(walk: CardWalk, columns: list[object]) -> dict[str, Check]:
    """The check for each column's cells; a name that comes twice is noted."""
    cells: dict[str, Check] = {}
    for index, column in enumerate(columns):
        name = column.get("name") if isinstance(column, dict) else None
        if not isinstance(column, dict) or not isinstance(name, str):
            continue
        if name in cells:
            text = f"Another column has the name {describe(name)}; it must be unique."
            walk.add_problem("duplicate-column", text, "columns", index, "name")
        kind = column.get("data_type")
        cells[name] = CELLS.get(kind, anything) if isinstance(kind, str) else anything
    return cells


def _row_rules(walk: CardWalk, cells: Mapping[str, Check], index: int, row: Mapping[str, object]) -> None:
    walk.path += ("rows", index)
    for key, value in row.items():
        cell = cells.get(key)
        if cell is not None:
            walk.check_member(key, value, cell)
        elif not walk.is_full:
            meant = closest_name(key, cells)
            hint = f"; did you mean {meant}?" if meant else "."
            walk.add_problem("undeclared-column", f"No column has the name {describe(key)}{hint}", key)
    del walk.path[-2:]


_any_rows = list_of(free_object)


def _rows(walk: CardWalk, value: object) -> None:
    _any_rows(walk, value)
    if isinstance(value, list) and len(value) > SAFE_ROWS:
        walk.add_warning("row-limit", f"The table has {len(value)} rows. Only {SAFE_ROWS} are known to work.")


table = component_shape(
    "table",
    {
        "page_size": whole_number(1, 10),
        "row_height": pixels(32, 124, "low", "middle", "high", "auto"),
        "row_max_height": pixels(32, 999),
        "freeze_first_column": boolean,
        "header_style": _header_style,
        "columns": list_of(_table_column, max_count=MAX_COLUMNS, rule="column-limit"),
        "rows": _rows,
    },
    required=("columns", "rows"),
    extra_rule=_table_rules,
)


def _chart_spec(walk: CardWalk, value: object) -> None:
    """VChart's own JSON, of which we know only the least; its strings may all be shown."""
    if not isinstance(value, dict):
        wrong_type(walk, "an object", value)
        return
    if not isinstance(value.get("type"), str):
        walk.add_problem("missing-attribute", "A chart_spec needs a type such as line, bar or pie.", "type")
    _chart_texts(walk, value)


def _chart_texts(walk: CardWalk, value: object) -> None:
    if isinstance(value, str):
        no_contact_data(walk, value)
    elif isinstance(value, dict):
        for key, member in value.items():
            walk.check_member(key, member, _chart_texts)
    elif isinstance(value, list):
        for index, member in enumerate(value):
            walk.check_member(index, member, _chart_texts)


chart = component_shape(
    "chart",
    {
        "chart_spec": _chart_spec,
        "aspect_ratio": one_of("1:1", "2:1", "4:3", "16:9"),
        "height": pixels(1, 999, "auto"),
        "color_theme": one_of("brand", "rainbow", "complementary", "converse", "primary"),
        "preview": boolean,
    },
    required=("chart_spec",),
)
