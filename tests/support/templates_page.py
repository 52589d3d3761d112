"""Writes the reference of docs/templates.md: fields from the types, blocks from the templates, texts from their files.

Run `python tests/support/templates_page.py` after a change of one of them. `test_templates_page.py` fails until then.
"""

import ast
import re
from pathlib import Path

from notifier.cards.templates import OUR_TEMPLATES, CardTemplates, shipped_templates
from notifier.cards.templating.texts import ONE
from notifier.operations.sample_cards import list_samples
from support.card_pictures import SAMPLES, find_picture

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "templates.md"
MODULES = ("card.py", "digest_card.py", "answers/answer_card.py", "preferences/settings_card.py")
CARDS = ("BalanceChangeCard", "WithdrawalCard", "DigestCard", "AnswerCard", "SettingsCard")
PART = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end of generated -->)", re.DOTALL)

BLOCKS = {
    "style": "the member `style` of `config`: colours that the card uses",
    "summary": "what the chat list shows; `parts.words(…)`",
    "header_colour": "the colour of the header, one word: `green`",
    "title": "the title; `parts.words(…)`",
    "subtitle": 'the member `"subtitle": {…}` of the header',
    "tags": "the member `i18n_text_tag_list` of the header: late, correction, incomplete",
    "top": "empty; the place for a picture or a first line",
    "reroute": "why the card is in the fallback group",
    "whose": "the referrer and the account, for a group",
    "note": "remarks and advice; empty on most cards",
    "amounts": "the figures",
    "steps": "each change, if several share the card",
    "withdrawal": "the withdrawal, without its button",
    "actions": "the buttons",
    "form": "the selects of the settings",
    "commands": "what a person can write to the bot",
    "history": "changes and withdrawals, newest first",
    "stalled": "what needs attention",
    "chart": "the chart, with its title and remark",
    "changed": "the table of changes",
    "holders": "the table of balances",
    "results": "progress and results of withdrawals",
    "footer": "time, checks, and your own lines from `cards.payday` and `cards.contact`",
}
"""What each block holds."""
PLAIN_TYPES = {
    "str": "text",
    "int": "number",
    "Millis": "number",
    "bool": "true or false",
    "Bilingual": "text in both languages",
    "Mapping[str, object]": "object",
}


def build_page(page: str) -> str:
    """Return the page with its generated parts renewed."""
    parts = {"fields": describe_fields(), "blocks": describe_blocks(), "texts": describe_texts()}
    return PART.sub(lambda found: f"{found[1]}{parts[found[2]]}{found[3]}", page)


def describe_fields() -> str:
    """A table for each class: the cards first, then the values in them."""
    classes: dict[str, ast.ClassDef] = {}
    for name in MODULES:
        tree = ast.parse((ROOT / "notifier" / "domain" / name).read_text(encoding="utf-8"))
        classes |= {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    ordered = [*CARDS, *(name for name in classes if name not in CARDS)]
    return "".join(_describe_class(classes[name]) for name in ordered)


def _describe_class(node: ast.ClassDef) -> str:
    start = "card." if node.name in CARDS else "."
    lines = [
        f"### {node.name}",
        "",
        _one_line(ast.get_docstring(node) or ""),
        "",
        "| field | type | meaning |",
    ]
    lines.append("| --- | --- | --- |")
    for field, after in zip(node.body, [*node.body[1:], None], strict=True):
        if not isinstance(field, ast.AnnAssign):
            continue
        is_text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
        meaning = _one_line(str(after.value.value)) if is_text else ""  # type: ignore[union-attr]
        lines.append(f"| `{start}{ast.unparse(field.target)}` | {_type(field.annotation)} | {meaning} |")
    return "\n".join([*lines, "", ""])


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<local_datetime>", "`<local_datetime>`")


def _type(annotation: ast.expr) -> str:
    written = ast.unparse(annotation)
    if written.endswith(" | None"):
        return f"{_named(written.removesuffix(' | None'))} or none"
    return _named(written)


def _named(written: str) -> str:
    listed = re.fullmatch(r"tuple\[(\w+), \.\.\.\]", written)
    if listed is not None:
        return f"list of {_named(listed[1])}"
    return PLAIN_TYPES.get(written) or f"[{written}](#{written.lower()})"


def describe_blocks() -> str:
    """What each block holds, and the blocks of each template."""
    lines = ["| block | holds |", "| --- | --- |"]
    lines += [f"| `{name}` | {holds} |" for name, holds in BLOCKS.items()]
    templates = CardTemplates()
    for name in OUR_TEMPLATES:
        samples = ", ".join(f"`{sample}`" for sample in list_samples(name))
        blocks = ", ".join(f"`{block}`" for block in templates.blocks(name))
        picture = find_picture(name).relative_to(PAGE.parent)
        shown = f"![The card of {name}, sample {SAMPLES[name]}]({picture})"
        lines += ["", f"### {name}", "", f"Blocks: {blocks}.", "", f"Samples: {samples}.", "", shown]
    return "\n".join([*lines, "", ""])


def describe_texts() -> str:
    """Every key with both texts, in the groups of the files."""
    english = (shipped_templates() / "texts.en.yaml").read_text(encoding="utf-8").splitlines()
    chinese = _read_texts((shipped_templates() / "texts.zh.yaml").read_text(encoding="utf-8").splitlines())
    lines: list[str] = []
    for line in english[2:]:
        if line.startswith("# "):
            lines += ["", f"### {line[2:]}", "", "| key | zh | en |", "| --- | --- | --- |"]
        elif line:
            ((key, text),) = _read_texts([line]).items()
            in_chinese = chinese.get(key, "" if key.endswith(ONE) else chinese.get(key, ""))
            lines.append(f"| `{key}` | {in_chinese} | {text} |")
    return "\n".join([*lines[1:], "", ""])


def _read_texts(lines: list[str]) -> dict[str, str]:
    pairs = (line.split(": ", 1) for line in lines if ": " in line and not line.startswith("#"))
    return {key: str(ast.literal_eval(text)).strip() for key, text in pairs}


if __name__ == "__main__":
    PAGE.write_text(build_page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
