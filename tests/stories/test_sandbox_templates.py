"""`notifier sandbox --templates DIR`: a saved file shows on the next card, without a restart."""

from pathlib import Path

import pytest

from support.sandbox_process import SandboxProcess, running_sandbox
from support.waiting import wait_until

LIN_CHAT, LIN_ACCOUNT = "oc_sandbox_p2p_lin", "7000000000000000001"
CHANGED = "balance_change.json.j2"
LINE = """\
{% extends "shipped/balance_change.json.j2" %}
{% block note %}{{ super() }}, {{ parts.line("测试附加行", "An extra line") }}{% endblock %}
{% block header_colour %}violet{% endblock %}
"""


def newest_card(sandbox: SandboxProcess, amount: str) -> str:
    sandbox.post("/changes", {"changes": [{"account_id": LIN_ACCOUNT, "cash": {"CNY": amount}}]})
    return wait_until(
        lambda: next((card for card in sandbox.cards(LIN_CHAT) if f"{amount[0]}¥{amount[1:]}" in card), ""),
        f"the card of {amount}",
        seconds=40,
    )


@pytest.mark.timeout(180)
def test_saved_templates_and_texts_show_on_the_next_card(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    with running_sandbox(tmp_path, "--templates", str(folder)) as sandbox:
        wait_until(lambda: sandbox.cards(LIN_CHAT), "the opening card", seconds=40)
        shipped = newest_card(sandbox, "+11.00")

        (folder / CHANGED).write_text(LINE, encoding="utf-8")
        extended = newest_card(sandbox, "+12.00")

        (folder / "texts.zh.yaml").write_text("balance.title.increase: 奖金到账啦\n", encoding="utf-8")
        reworded = newest_card(sandbox, "+13.00")

        (folder / CHANGED).write_text(LINE.replace("{% endblock %}", "{% endblok %}", 1), encoding="utf-8")
        broken = newest_card(sandbox, "+14.00")

        (folder / CHANGED).unlink()
        mended = newest_card(sandbox, "+15.00")

    assert "内推奖励到账" in shipped
    assert "测试附加行" not in shipped
    assert ("测试附加行" in extended, "violet" in extended, "内推奖励到账" in extended) == (True, True, True)
    assert ("测试附加行" in reworded, "奖金到账啦" in reworded) == (True, True)
    assert "测试附加行" not in broken
    assert '"grey"' in broken, "the compact card, because the template is broken"
    assert ("测试附加行" in mended, "奖金到账啦" in mended, '"green"' in mended) == (False, True, True)
