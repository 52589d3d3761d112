"""The linter and the sandbox have independent rules. Where they differ, it is known and has a reason."""

from dataclasses import dataclass

import pytest

from notifier.cards import lint
from notifier.cards.lint_findings import Severity
from notifier.sandbox.cards.rules import CardRefusedError, check_card
from notifier.sandbox.settings import SandboxSettings
from support.card_shapes import CASES, CardCase

LINTER, SANDBOX = "linter", "sandbox"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownDifference:
    """Cards that only one of the two refuses."""

    refused_by: str
    """The one that refuses them."""
    cases: tuple[str, ...]
    """Their names in card_shapes."""
    reason: str
    """Why both are right."""


KNOWN = (
    KnownDifference(
        refused_by=SANDBOX,
        cases=("text colour #fff", "background #fff", "text colour #1F2329FF", "background #1F2329FF"),
        reason="Reports about hex colours differ. The sandbox accepts six digits; the linter warns of all.",
    ),
    KnownDifference(
        refused_by=LINTER,
        cases=("text colour rgb(1,2,3)",),
        reason="Only rgba() is documented. The sandbox accepts what might work, for the bots of other people.",
    ),
    KnownDifference(
        refused_by=LINTER,
        cases=(
            "a link to javascript:x",
            "a link to file:///etc/passwd",
            "a link to ftp://a.example",
            "a link to www.example.com",
            "a link without a scheme",
        ),
        reason="Feishu accepts the card and does not open the link, so the sandbox accepts it too.",
    ),
    KnownDifference(
        refused_by=LINTER,
        cases=("contact data 13812345678", "contact data +86 138 1234 5678", "contact data li@example.com"),
        reason="The audit of the tenant refuses the message, not the card; the sandbox has it in leak_audit.py.",
    ),
    KnownDifference(
        refused_by=LINTER,
        cases=("31000 bytes",),
        reason="The limit is one of the message; the sandbox checks it where messages are sent.",
    ),
    KnownDifference(
        refused_by=SANDBOX,
        cases=(
            "4 tables",
            "4 tables, one in Markdown",
            "5 tables",
            "5 tables, one in Markdown",
            "five tables in one text",
        ),
        reason="Cards with 4 and 5 tables were accepted and refused. The sandbox refuses them.",
    ),
    KnownDifference(
        refused_by=SANDBOX,
        cases=("a form with multi_select_static",),
        reason="The linter knows this component only in part, so that it names no error that is none.",
    ),
    KnownDifference(
        refused_by=LINTER,
        cases=("required outside a form",),
        reason="The attribute has a meaning only in a form; the sandbox accepts it as the clients do.",
    ),
    KnownDifference(
        refused_by=SANDBOX,
        cases=("a chart in a form",),
        reason="One page excludes charts from forms, another does not. The sandbox refuses them, the linter warns.",
    ),
    KnownDifference(
        refused_by=SANDBOX,
        cases=("an entity",),
        reason="The sandbox has no card entities, so that each id is unknown there.",
    ),
)


def difference(case: CardCase) -> str | None:
    """Who alone refuses a card; None if both agree."""
    is_error = any(finding.severity is Severity.ERROR for finding in lint(case.card))
    try:
        check_card(
            case.card,
            settings=SandboxSettings(),
            known_ids=frozenset({"ou_1"}),
            known_images=frozenset({"img_v3_1"}),
        )
    except CardRefusedError:
        return None if is_error else SANDBOX
    return LINTER if is_error else None


def is_card(value: object) -> bool:
    """Whether the sandbox would get this as content of a message."""
    return isinstance(value, dict) and bool({"schema", "elements", "i18n_elements", "type"} & set(value))


def test_the_linter_and_the_sandbox_differ_only_where_it_is_known() -> None:
    found = {case.name: who for case in CASES if is_card(case.card) and (who := difference(case)) is not None}

    assert {name: each.refused_by for each in KNOWN for name in each.cases} == found


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.cases[0])
def test_every_known_difference_has_a_reason(known: KnownDifference) -> None:
    assert known.reason.endswith(".")
    assert known.cases
