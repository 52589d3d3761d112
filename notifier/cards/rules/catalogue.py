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
        "own-text",
        "An own text replaces a shipped text, is text, and has the same placeholders.",
        "The service uses the shipped text instead. If the file is not valid YAML, it uses no text of the file.",
        "Correct the text; `notifier templates eject texts.zh.yaml --to DIR` copies the shipped ones.",
        "notifier/cards/templating/texts.py",
    ),
    (
        "unused-file",
        "A file in cards.template_dir has the name of a shipped file, or another template names it.",
        "The service never reads the file.",
        "Give the file the name of the shipped file that it replaces, or remove it.",
        "notifier/operations/templates/own_files.py",
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
_WARNING_ROWS = (
    (
        "schema-1",
        "Cards use card JSON 2.0.",
        "Card JSON 1.0 has fewer components, and a card cannot change its version by an update (200830).",
        "Set schema to 2.0, move elements into body, and correct what the linter then names.",
        _CHANGES,
    ),
    (
        "duplicate-key",
        "An object has each key once.",
        "JSON parsers keep one of the values and drop the other.",
        "Remove one of the two.",
        "RFC 8259, section 4",
    ),
    (
        "size-near-limit",
        "A card stays below 25,000 bytes.",
        "Feishu counts style tags of its own as well, so a card between 25 and 30 KB may be refused.",
        "Remove elements, or move long lists into a file.",
        "Feishu: “send message”, read 2026-05",
    ),
    (
        "table-count",
        "A card has at most 3 tables, and a Markdown text at most 4.",
        "Cards with 4 and 5 tables were accepted and refused (11310), although 5 are documented.",
        "Join tables, or send two cards.",
        _FIELD,
    ),
    (
        "row-limit",
        "A table has at most 50 rows.",
        "No limit is documented; more rows are not known to work.",
        "Show the first rows and move the others into a file.",
        "not documented; our choice",
    ),
    (
        "hex-colour",
        "Colours are names, rgba(…) or declared in config.style.color.",
        "Hex colours were accepted by some clients and refused by others.",
        "Declare the colour in config.style.color, with a value for light and dark mode.",
        _FIELD,
    ),
    (
        "text-size-no-effect",
        "Text sizes have an effect.",
        "Feishu accepts normal_v2 and notation_small_v2 and shows the normal size.",
        "Use normal or notation.",
        _FIELD,
    ),
    (
        "summary-missing",
        "A card has a summary for the chat list.",
        "It is not documented what the chat list and notifications show without it.",
        "Add config.summary with content and i18n_content.",
        _STRUCTURE,
    ),
    (
        "language-missing",
        "Every text has the languages that other texts of the card have.",
        "Readers see a card in mixed languages.",
        "Add the language to i18n_content. Write the title of a table column in both languages.",
        _LANGUAGES,
    ),
    (
        "locale-inactive",
        "config.locales lists every language of the card.",
        "Languages that are not listed are never shown.",
        "Add the language to config.locales, or remove config.locales.",
        _STRUCTURE,
    ),
    (
        "forward-button",
        "A card with a callback button cannot be forwarded.",
        "By default anybody can forward the card with its amounts; the buttons of the copy do not work.",
        "Set config.enable_forward to false.",
        _STRUCTURE,
    ),
    (
        "forward-interaction",
        "Forwarded copies of a card have no working buttons.",
        "Anybody in any chat can press the button of a copy.",
        "Remove enable_forward_interaction, or check in the handler who pressed.",
        "Feishu: card-callback-communication, read 2026-05",
    ),
    (
        "update-multi",
        "A card that will be updated spells out config.update_multi.",
        "An update of the message needs update_multi true in the old and the new card.",
        "Set config.update_multi to true.",
        "Feishu: “update message card”, read 2026-05",
    ),
    (
        "header-lines",
        "A title has at most 4 lines, a subtitle one.",
        "Feishu does not show the other lines.",
        "Shorten the text, or move it into the body.",
        "Feishu: content-components/title, read 2026-05",
    ),
    (
        "chart-count",
        "A card has at most 5 charts.",
        "Feishu recommends it; more charts load slowly.",
        "Join charts, or send two cards.",
        _CHART,
    ),
    (
        "chart-aspect-ratio",
        "A chart has the ratio of its client.",
        "With 16:9 on a phone, the legend leaves no room for the bars.",
        "Remove aspect_ratio, or set a height.",
        _FIELD,
    ),
    (
        "chart-phone",
        "Charts use only what phones can draw.",
        "Phones do not draw textures, conical gradients and grid word clouds.",
        "Use plain colours, linear gradients or another type of chart.",
        _CHART,
    ),
    (
        "chart-place",
        "Charts stand at the root, in a column or in a collapsible panel.",
        "The pages about forms differ on whether a chart is allowed inside.",
        "Move the chart out of the form or container.",
        _CHART,
    ),
    (
        "client-version",
        "Values work on every client that shows card JSON 2.0.",
        "Older clients show the default instead.",
        "Keep the value if the default is good enough for older clients.",
        _COMPONENTS,
    ),
    (
        "hover-tips",
        "Nothing important stands in hover_tips.",
        "Only the desktop client shows them.",
        "Write the text into the card.",
        _BUTTON,
    ),
    (
        "button-value",
        "A button sends its value with behaviors.",
        "Card JSON 2.0 documents only behaviors; a bare value was seen to work.",
        "Use behaviors with {type: callback, value: {…}}.",
        _FIELD,
    ),
    (
        "button-without-action",
        "A button does something.",
        "Feishu accepts the card, and a press has no effect.",
        "Add behaviors, or set disabled to true.",
        _FIELD,
    ),
    (
        "submit-behaviors",
        "A submit button has no behaviors.",
        "The reports differ: it works, or a press fails with 200530.",
        "Put the data into the name of the form or a field, or try it on your tenant first.",
        _FIELD,
    ),
    (
        "column-width",
        "Columns with a width in pixels stand in a column_set with flex_mode none.",
        "The width has no effect in other modes.",
        "Set flex_mode to none, or use weighted columns.",
        "Feishu: containers/column-set, read 2026-05",
    ),
    (
        "too-wide",
        "Widths in pixels stay within the width of the card: 600 px, compact 400 px.",
        "Card JSON 2.0 cuts off what is wider; phones are narrower still.",
        "Use a smaller width, fill or auto.",
        _CHANGES,
    ),
    (
        "person-list-ids",
        "A person_list drops invalid ids.",
        "One invalid id, such as that of a person who has left, makes Feishu refuse the card.",
        "Set drop_invalid_user_id to true.",
        "Feishu: content-components/user-list, read 2026-05",
    ),
    (
        "tel-link",
        "Links work on every client.",
        "tel:// works on phones only.",
        "Write the name of the person or the place beside it.",
        _TEXT,
    ),
    (
        "markdown-indent",
        "Lines of Markdown begin with fewer than four blanks, except in lists.",
        "Feishu shows such a line as a code block.",
        "Remove the blanks; in templates use {%- and -%}.",
        _TEXT,
    ),
    (
        "markdown-html",
        "Markdown has no HTML tags but Feishu's own.",
        "Feishu does not support them.",
        "Use Markdown, or Feishu's tags such as font, at and text_tag.",
        _TEXT,
    ),
    (
        "template-version",
        "A message with a template id names the version of the template.",
        "Without it, every change that is published in the card builder is live at once.",
        "Set template_version_name to the version that you have tested.",
        "Feishu: “send message”, card templates, read 2026-05",
    ),
)
RULES: Mapping[str, Rule] = MappingProxyType(
    {
        rule.id: rule
        for rule in (*_rules(Severity.ERROR, _ERROR_ROWS), *_rules(Severity.WARNING, _WARNING_ROWS))
    }
)
"""Every rule, by id."""
