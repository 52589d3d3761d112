"""PostgreSQL's plans of recorded statements."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from notifier.store.engine.database import Database
from support.statements import Recording

_PARAMETER = re.compile(r"%\((\w+)\)s")


@dataclass(frozen=True, slots=True)
class PlanNode:
    """One step of a plan that reads a table or an index."""

    kind: str
    """Such as Seq Scan, Index Scan."""
    table: str
    index: str | None
    reads_all: bool
    """It reads all rows of the table or all entries of the index."""


def read_plans(
    database: Database, recording: Recording, *, is_generic: bool = False
) -> dict[str, list[PlanNode]]:
    """The steps of each statement that read something, by its text.

    is_generic: the plan for any values, as of a prepared statement. Otherwise the plan for the recorded values.
    """
    plans: dict[str, list[PlanNode]] = {}
    with database.engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        for text, values in recording.statements:
            if text in plans:
                continue
            if is_generic:
                found = driver.execute(f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {_number_parameters(text)}")
            else:
                found = driver.execute(f"EXPLAIN (FORMAT JSON) {text}", values)
            plans[text] = list(_walk(found.fetchone()[0][0]["Plan"]))
    return plans


def _number_parameters(text: str) -> str:
    names: dict[str, int] = {}
    numbered = _PARAMETER.sub(lambda found: f"${names.setdefault(found[1], len(names) + 1)}", text)
    return numbered.replace("%%", "%")


def _walk(step: dict[str, Any]) -> Iterator[PlanNode]:
    index, kind = step.get("Index Name"), step["Node Type"]
    if "Relation Name" in step or index:
        is_limited = kind in ("Index Scan", "Index Only Scan", "Bitmap Index Scan") and "Index Cond" in step
        is_fetched = kind not in ("Seq Scan", "Index Scan", "Index Only Scan")
        yield PlanNode(
            kind=kind,
            table=step.get("Relation Name", ""),
            index=index,
            reads_all=not is_limited and not is_fetched,
        )
    for inner in step.get("Plans", ()):
        yield from _walk(inner)
