"""Layout: the rooms and their sizes, and the words that must not come back. `make rooms` checks the imports."""

import ast
import re
import tomllib
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROGRAM = ROOT / "notifier"
MIGRATIONS = PROGRAM / "store" / "schema" / "migrations"

MAX_ENTRIES = 18
"""Directly under `notifier/`."""
MAX_MODULES = 16
"""In one room, sub-rooms not counted."""
MAX_LINES = 420
MAX_FUNCTION_LINES = 60
MAX_COMPLEXITY = 15

MODULES = sorted(PROGRAM.rglob("*.py"))
TABLES = {
    PROGRAM / "cards" / "rules" / "catalogue.py",
    PROGRAM / "cards" / "rules" / "components.py",
    PROGRAM / "store" / "schema" / "tables.py",
    MIGRATIONS / "versions" / "0001_initial.py",
}
"""Looked up, not read: long tables."""

FORBIDDEN = re.compile(
    r"\b("
    r"told|tells|telling|born|birth|heard|unheard|deaf|deafness|hung|lever|rung|rungs|anew|whoever|goodbye|ails|ailing"
    r"|soundness|treasury|announcer|refresher|parked|hush|epoch|wordings?|doubts?"
    r"|for ever|by itself|hangs? up|a person must look|as they came|hand(?:s|ed)? over|is no (?:folder|date|chat)"
    r")\b",
    re.IGNORECASE,
)
"""Words of the project's former private language. docs/glossary.md has the words to use."""
ALLOWED = (
    "since the epoch",  # the Unix epoch
    "Unix epoch",
    "extract(epoch FROM",  # SQL
)


def _names(module: Path) -> str:
    return str(module.relative_to(ROOT))


def _rooms() -> list[Path]:
    return [PROGRAM, *(path.parent for path in PROGRAM.rglob("__init__.py") if path.parent != PROGRAM)]


def test_a_newcomer_sees_few_rooms() -> None:
    ignored = ("__pycache__", ".", "py.typed")  # the last one is a mark for type checkers
    entries = [path.name for path in PROGRAM.iterdir() if not path.name.startswith(ignored)]

    assert MAX_ENTRIES >= len(entries), sorted(entries)


@pytest.mark.parametrize("room", _rooms(), ids=_names)
def test_no_room_is_crowded(room: Path) -> None:
    modules = [path.name for path in room.glob("*.py") if path.name != "__init__.py"]
    limit = 20 if room == PROGRAM / "domain" else MAX_MODULES  # values without I/O, flat on purpose

    assert limit >= len(modules)


@pytest.mark.parametrize("module", [module for module in MODULES if module not in TABLES], ids=_names)
def test_no_module_is_too_long(module: Path) -> None:
    assert MAX_LINES >= len(module.read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize("module", MODULES, ids=_names)
def test_every_module_says_what_it_holds(module: Path) -> None:
    assert module.read_text(encoding="utf-8").startswith('"""')


@pytest.mark.parametrize(
    "module", [module for module in MODULES if not module.is_relative_to(MIGRATIONS)], ids=_names
)
def test_no_function_is_too_long(module: Path) -> None:
    tree = ast.parse(module.read_text(encoding="utf-8"))
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    long = {
        node.name: lines
        for node in functions
        if (lines := (node.end_lineno or 0) - node.lineno + 1) > MAX_FUNCTION_LINES
    }

    assert {} == long


def test_complexity_is_limited_everywhere() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    exempt = [_names(module) for module in MODULES if "C901" in module.read_text(encoding="utf-8")]

    assert MAX_COMPLEXITY == settings["tool"]["ruff"]["lint"]["mccabe"]["max-complexity"]
    assert [] == exempt


def test_every_room_is_in_the_import_rules() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    layers = next(contract for contract in contracts if contract["type"] == "layers")
    cycles = next(contract for contract in contracts if contract["type"] == "acyclic_siblings")

    assert layers["exhaustive"]
    assert ["notifier.**"] == cycles["ancestors"]


def test_no_class_name_means_two_things() -> None:
    names = Counter(
        node.name
        for module in MODULES
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    )

    assert {} == {name: times for name, times in names.items() if times > 1}


def _texts() -> list[Path]:
    pages = PROGRAM / "sandbox" / "page"
    return [
        *MODULES,
        *sorted(pages.glob("*.js")),
        *sorted(pages.glob("*.html")),
        *sorted((ROOT / "templates").glob("*.j2")),
        *sorted((ROOT / "docs").glob("*.md")),
        ROOT / "README.md",
        ROOT / "config.example.yaml",
    ]


@pytest.mark.parametrize("path", _texts(), ids=_names)
def test_the_former_words_do_not_come_back(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for phrase in ALLOWED:
        text = text.replace(phrase, "")
    found = [
        f"{number}: {line.strip()[:100]}"
        for number, line in enumerate(text.splitlines(), 1)
        if FORBIDDEN.search(line)
    ]

    assert [] == found


MANY_FIELDS = 5
VALUE_BASES = {"Section", "BaseModel"}


def _is_value(node: ast.ClassDef) -> bool:
    decorators = {ast.unparse(each).partition("(")[0] for each in node.decorator_list}
    return "dataclass" in decorators or any(ast.unparse(base) in VALUE_BASES for base in node.bases)


def _undocumented_fields(path: Path) -> list[str]:
    """Fields of values with many fields that have neither a text below them nor a comment beside them."""
    text = path.read_text(encoding="utf-8")
    lines, found = text.splitlines(), []
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.ClassDef) or not _is_value(node):
            continue
        fields = [
            (each, after)
            for each, after in zip(node.body, [*node.body[1:], None], strict=True)
            if isinstance(each, ast.AnnAssign) and "ClassVar" not in ast.unparse(each.annotation)
        ]
        if len(fields) < MANY_FIELDS:
            continue
        for each, after in fields:
            is_text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            above, own = lines[each.lineno - 2].strip(), lines[each.lineno - 1]
            if not is_text and "#" not in own and not above.startswith("#"):
                found.append(f"{node.name}.{ast.unparse(each.target)}")
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_field_of_a_value_with_many_fields_is_described_beside_it(path: Path) -> None:
    assert [] == _undocumented_fields(path)
