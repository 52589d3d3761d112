"""The page about templates: its reference is up to date, and every example on it gives a card that Feishu takes."""

import json
import re
from pathlib import Path

import pytest

from notifier.cards.rules import card_problems
from notifier.cards.templates import OUR_TEMPLATES, CardTemplates
from notifier.cards.templating.builder import is_reference
from notifier.config.settings import Config
from notifier.operations.sample_cards import list_samples, make_sample
from support.card_pictures import SAMPLES, find_picture
from support.templates_page import BLOCKS, PAGE, build_page

TEXT = PAGE.read_text(encoding="utf-8")
EXAMPLE = re.compile(r"^`([\w.]+)`:\n\n```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE)
STEPS = re.split(r"^### ", TEXT.split("## Tutorial", 1)[1].split("\n## ", 1)[0], flags=re.MULTILINE)[1:]
"""Each step of the tutorial, with its title."""


def files_of(step: str) -> dict[str, str]:
    return dict(EXAMPLE.findall(step))


def test_the_reference_is_up_to_date() -> None:
    """If not: python tests/support/templates_page.py."""
    assert build_page(TEXT) == TEXT


def test_every_block_is_described_and_no_other() -> None:
    assert set(BLOCKS) == {block for name in OUR_TEMPLATES for block in CardTemplates().blocks(name)}


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.partition("\n")[0])
def test_every_example_gives_other_cards_that_feishu_takes(tmp_path: Path, step: str) -> None:
    files = files_of(step)
    assert files, "a step has a complete file"
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    own, shipped = CardTemplates(tmp_path), CardTemplates()
    changed = 0
    assert () == own.texts.faults
    for name in OUR_TEMPLATES:
        for sample in list_samples(name):
            card = {"card": make_sample(sample, Config(), allowed=list_samples(name))}
            rendered = own.render(name, card)
            changed += rendered != shipped.render(name, card)
            assert is_reference(rendered) or [] == card_problems(rendered), (name, sample)

    assert changed


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.partition("\n")[0])
def test_the_words_of_an_example_show_in_the_first_sample(tmp_path: Path, step: str) -> None:
    """A reader looks at the sample that the preview opens."""
    for name, text in files_of(step).items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    own = CardTemplates(tmp_path)
    for name, text in files_of(step).items():
        if name.endswith(".json.j2"):
            sample = make_sample(list_samples(name)[0], Config(), allowed=list_samples(name))
            shown = json.dumps(own.render(name, {"card": sample}), ensure_ascii=False)
            assert [] == [each for each in re.findall(r'parts\.\w+\("(.*?)"', text) if each not in shown]


@pytest.mark.parametrize("block", re.findall(r"^```jinja\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE))
def test_every_jinja_block_of_the_page_is_read(tmp_path: Path, block: str) -> None:
    (tmp_path / "mine.json.j2").write_text(
        block if "extends" in block else f"{{# {'#}'}{block}", encoding="utf-8"
    )

    assert CardTemplates(tmp_path).changed_blocks("mine.json.j2")


@pytest.mark.parametrize("template", OUR_TEMPLATES)
def test_every_template_has_its_picture(template: str) -> None:
    assert SAMPLES[template] in list_samples(template)
    assert find_picture(template).read_bytes().startswith(b"\x89PNG"), "run make pictures"
