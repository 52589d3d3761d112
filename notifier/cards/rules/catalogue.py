"""The table of all card rules: id, severity, reason, remedy and source. `notifier lint`, `notifier check`, the sending
of cards and docs/card-rules.md share it.

`python -m notifier.cards.rules.page` writes docs/card-rules.md.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from notifier.cards.lint_findings import Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of card JSON."""

    id: str
    """The stable name, in kebab-case."""
    severity: Severity
    """Whether Feishu refuses the card."""
    summary: str
    """What the rule demands, in one sentence."""
    why: str
    """What happens otherwise."""
    remedy: str
    """What to do."""
    source: str
    """The page of Feishu's documentation, or the observation, with the month when it was read."""


_STRUCTURE = "Feishu: card-json-v2-structure, read 2026-05"
_COMPONENTS = "Feishu: card-json-v2-components, read 2026-05"
_CHANGES = "Feishu: card-json-v2-breaking-changes-release-notes, read 2026-05"
_ERRORS = "Feishu: error codes of “send message”, read 2026-05"
_TABLE = "Feishu: content-components/table, read 2026-05"
_TEXT = "Feishu: content-components/rich-text, read 2026-05"
_CHART = "Feishu: content-components/chart, read 2026-05"
_FORM = "Feishu: containers/form-container, read 2026-05"
_BUTTON = "Feishu: interactive-components/button, read 2026-05"
_LANGUAGES = "Feishu: configure-multi-language-content, read 2026-05"
_FIELD = "field reports, collected 2026-11, not confirmed by Feishu"


def _rules(severity: Severity, rows: Iterable[tuple[str, str, str, str, str]]) -> Iterable[Rule]:
    for id_, summary, why, remedy, source in rows:
        yield Rule(id=id_, severity=severity, summary=summary, why=why, remedy=remedy, source=source)


_ERROR_ROWS = (
    (
        "template-error",
        "A template renders, and renders JSON.",
        "The service sends the next lower variant of the card instead, in the end plain text.",
        "Correct the template at the named line; `notifier preview` shows what it renders.",
        "Jinja, and RFC 8259 for JSON",
    ),
    (
        "size-limit",
        "A card has at most 30,000 bytes as compact JSON in UTF-8.",
        "Feishu refuses a message with a larger card (230025, 200860).",
        "Remove elements, or move long lists into a file.",
        _STRUCTURE,
    ),
    (
        "element-limit",
        "A card has at most 200 elements: components, columns, header tags and plain_text objects.",
        "Feishu refuses the card (11310 “element exceeds the limit”).",
        "Remove elements, join lines with \\n, or use a table for rows.",
        _STRUCTURE,
    ),
    (
        "nesting-limit",
        "Containers nest at most 5 deep.",
        "Feishu refuses the card.",
        "Use fewer column sets and panels inside each other.",
        _STRUCTURE,
    ),
    (
        "table-limit",
        "A card has at most 5 tables, those in Markdown counted.",
        "Feishu refuses the card (11310 “card table number over limit”).",
        "Join tables, or move rows into a file.",
        _TABLE,
    ),
    (
        "column-limit",
        "A table has at most 50 columns.",
        "Feishu does not show the other columns.",
        "Remove columns.",
        _TABLE,
    ),
    (
        "header-tag-limit",
        "A header has at most 3 tags.",
        "Feishu refuses the card or does not show the other tags.",
        "Keep the three most important tags.",
        "Feishu: content-components/title, read 2026-05",
    ),
    (
        "text-limit",
        "Short texts keep their length: buttons and placeholders 100 characters, a number symbol one.",
        "Feishu refuses the card or cuts the text off.",
        "Shorten the text.",
        _COMPONENTS,
    ),
    (
        "unknown-attribute",
        "An object has only attributes that card JSON 2.0 knows.",
        "Card JSON 2.0 refuses unknown attributes; 1.0 ignored them.",
        "Correct the name, or remove the attribute.",
        _CHANGES,
    ),
    (
        "unknown-component",
        "The tag of a component is one that card JSON 2.0 knows.",
        "Feishu refuses the card (200861).",
        "Correct the tag.",
        _CHANGES,
    ),
    (
        "schema-1-attribute",
        "A 2.0 card has no attributes that exist only in card JSON 1.0.",
        "Feishu refuses the card.",
        "Use the attribute that replaces it; the message names it.",
        _CHANGES,
    ),
    (
        "schema-1-component",
        "A 2.0 card has no components that exist only in card JSON 1.0.",
        "Feishu refuses the card (200861 “cards of schema V2 no longer support this capability”).",
        "Use the component that replaces it; the message names it.",
        _CHANGES,
    ),
    (
        "missing-attribute",
        "Required attributes are present.",
        "Feishu refuses the card.",
        "Add the attribute.",
        _COMPONENTS,
    ),
    (
        "empty-body",
        "A card has at least one component.",
        "Feishu refuses a card with empty elements (200621).",
        "Add a component to body.elements.",
        _FIELD,
    ),
    (
        "null",
        "No value is null.",
        "Feishu refuses null, for example in a chart (200550).",
        "Leave the attribute out.",
        _ERRORS,
    ),
    (
        "wrong-type",
        "Values have the documented JSON type.",
        "Feishu refuses the card (200621). A callback value that is a string makes the click fail (200671).",
        "Write the value in the named type.",
        _COMPONENTS,
    ),
    (
        "wrong-value",
        "Values are among the documented ones.",
        "Feishu refuses the card (200621, 10002).",
        "Use one of the named values.",
        _COMPONENTS,
    ),
    (
        "not-allowed-here",
        "Forms and tables stand at the root of a card; attributes of forms stand in forms.",
        "Feishu refuses the card.",
        "Move the component, or remove the attribute.",
        _STRUCTURE,
    ),
    (
        "bad-element-id",
        "An element_id is a letter and up to 19 letters, digits or underscores.",
        "Feishu refuses the card.",
        "Shorten the id and use only these characters.",
        _STRUCTURE,
    ),
    (
        "duplicate-element-id",
        "Each element_id is unique in its card.",
        "Feishu refuses the card (300301).",
        "Give each element its own id; add the index inside a loop.",
        _STRUCTURE,
    ),
    (
        "duplicate-name",
        "Names of forms, and of the fields in forms, are unique.",
        "Feishu refuses the card, or one answer replaces the other.",
        "Give each field its own name.",
        _FORM,
    ),
    (
        "form-submit",
        "A form has a submit button.",
        "Feishu refuses the card (300123).",
        "Add a button with form_action_type submit.",
        _FORM,
    ),
    (
        "duplicate-option",
        "The options of a select have different values.",
        "Feishu cannot say which one was chosen.",
        "Give each option its own value.",
        "Feishu: interactive-components/single-select-dropdown-menu, read 2026-05",
    ),
    (
        "duplicate-column",
        "The columns of a table have different names.",
        "A row has one value per name, so one of the columns cannot be filled.",
        "Give each column its own name.",
        _TABLE,
    ),
    (
        "undeclared-column",
        "Rows have only keys that a column declares.",
        "Feishu refuses the card (200915).",
        "Declare the column, or correct the key.",
        _TABLE,
    ),
    (
        "bad-url",
        "Links start with http:// or https:// and name a host.",
        "Feishu refuses the card or does not open the link.",
        "Write the full address.",
        _TEXT,
    ),
    (
        "mention-all",
        "A card does not mention everybody.",
        "The send fails where the bot may not mention everybody.",
        "Mention the people who must act.",
        _TEXT,
    ),
    (
        "contact-data",
        "Texts contain no phone numbers and e-mail addresses.",
        "The data-leak audit of a tenant may refuse the message (230028).",
        "Show a person component, or name the place where the contact data is found.",
        _ERRORS,
    ),
)
RULES: Mapping[str, Rule] = MappingProxyType(
    {rule.id: rule for rule in (*_rules(Severity.ERROR, _ERROR_ROWS),)}
)
"""Every rule, by id."""
