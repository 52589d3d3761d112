"""axe-core finds no serious fault on the preview page, light and dark."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import expect

from notifier.cards.templates import shipped_templates
from notifier.config.settings import Config
from notifier.operations.preview.template_preview import TemplatePreview
from sandbox.test_node_sdk import node_folder
from sandbox.test_page_accessibility import RULES
from support.preview_page import opened, running_browser, serving

__all__ = ["node_folder"]  # a fixture

TEMPLATE = "digest.json.j2"


@pytest.mark.browser
@pytest.mark.node
@pytest.mark.timeout(300)
def test_there_is_no_serious_fault(node_folder: Path, tmp_path: Path) -> None:
    """With a finding, then also with an error."""
    axe = (node_folder / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
    file = tmp_path / TEMPLATE
    text = (shipped_templates() / TEMPLATE).read_text(encoding="utf-8")
    file.write_text(text.replace('"elements"', '"oddity": 1, "elements"', 1), encoding="utf-8")
    source = TemplatePreview(Config.model_validate({"cards": {"template_dir": str(tmp_path)}}))
    with (
        serving(source) as address,
        running_browser() as browser,
        opened(browser, f"{address}?template={TEMPLATE}") as page,
    ):
        expect(page.locator("[data-drawn]")).to_have_count(2)
        page.get_by_test_id("finding").first.click()
        page.evaluate(axe)
        for theme in ("light", "dark"):
            if theme == "dark":
                page.get_by_test_id("preview-theme").click()
                file.write_text(f"{{{{ oops }}}}{text}", encoding="utf-8")
                expect(page.get_by_test_id("preview-error")).to_be_visible()
            found = page.evaluate(f"axe.run(document, {json.dumps(RULES)})")["violations"]
            shown = [
                f"{each['id']}: {node['html'][:160]} {node['failureSummary'][:160]}"
                for each in found
                if each["impact"] in ("serious", "critical")
                for node in each["nodes"]
            ]
            assert [] == shown, "\n".join(shown)
