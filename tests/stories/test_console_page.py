"""The developer console on the sandbox's page: a newcomer sets up a fresh app there."""

from playwright.sync_api import expect

from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from support.browser import open_page


def test_a_fresh_app_is_set_up_and_published_on_the_page() -> None:
    with FeishuBox(SandboxSettings(fresh=True)) as box, open_page(f"{box.url}/#/world") as page:
        page.get_by_test_id("console-section").locator("summary").click()
        expect(page.get_by_test_id("console-state")).to_have_text("尚未发布版本")
        for name in ("bot", "scope-im:message:send_as_bot", "availability"):
            page.get_by_test_id(f"console-{name}").check()
            expect(page.get_by_test_id(f"console-{name}")).to_be_checked()
        page.get_by_test_id("console-event-mode").click()
        expect(page.get_by_test_id("console-error")).to_contain_text("no long connection is established")
        expect(page.get_by_test_id("console-event-mode")).not_to_be_checked()
        expect(page.get_by_test_id("console-event-im.message.receive_v1")).not_to_be_checked()
        page.get_by_test_id("console-publish").click()
        expect(page.get_by_test_id("console-state")).to_have_text("当前版本已发布")
        page.get_by_test_id("lang-toggle").click()
        expect(page.get_by_test_id("console-section")).to_contain_text("Permissions & Scopes › im:resource")

        assert ["im:message:send_as_bot"] == box.state()["console"]["draft"]["scopes"]
        assert not box.state()["console"]["has_unpublished_changes"]
