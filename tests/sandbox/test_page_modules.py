"""The JavaScript modules of the sandbox page import each other without a cycle."""

import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "notifier" / "sandbox" / "page"
IMPORT = re.compile(r"""(?:^|[;\s])(?:import|export)\b[^;"']*?["']\./([\w.]+)["']""")


def imports_of(source: str) -> set[str]:
    """The modules of the same folder that a module imports or re-exports, also with `import()`."""
    return set(IMPORT.findall(source)) | set(re.findall(r"""\bimport\(\s*["']\./([\w.]+)["']""", source))


def sort_modules(imports: dict[str, set[str]]) -> list[str]:
    """Raises CycleError, which names the modules of the cycle."""
    return list(TopologicalSorter(imports).static_order())


def test_no_modules_of_the_page_import_each_other_in_a_cycle() -> None:
    imports = {path.name: imports_of(path.read_text(encoding="utf-8")) for path in PAGE.glob("*.js")}

    assert {"card.js", "texts.js", "faults.js", "common_components.js"} <= set(imports)
    assert {"dom.js", "texts.js", "card.js"} <= imports["preview.js"]
    assert set().union(*imports.values()) <= set(imports), "an imported module does not exist"
    assert set(imports) == set(sort_modules(imports))


def test_every_form_of_import_is_found_and_a_cycle_fails() -> None:
    first = (
        'import { a } from "./b.js";\nimport "./c.js";\nexport * from "./d.js";\nconst e = import("./e.js");'
    )
    multiline = "import {\n  one,\n  two,\n} from './f.js';"

    assert {"b.js", "c.js", "d.js", "e.js"} == imports_of(first)
    assert {"f.js"} == imports_of(multiline)
    with pytest.raises(CycleError):
        sort_modules({"a.js": {"b.js"}, "b.js": {"c.js"}, "c.js": {"a.js"}})
