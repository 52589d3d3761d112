"""The file with the results: whole or not there, readable for Excel, and never over the input."""

from pathlib import Path

import pytest

from notifier.domain.card import Bilingual
from notifier.errors import NotifierError
from notifier.operations.accounts.results import (
    RowOutcome,
    RowResult,
    format_summary,
    require_result_place,
    write_results,
)

RESULTS = [
    RowResult(row=3, outcome=RowOutcome.INVALID, remedy=Bilingual(zh="改正", en="correct, it")),
    RowResult(row=2, outcome=RowOutcome.REGISTERED, account_id="7000000000000000001"),
]


def test_rows_are_sorted_and_ids_stay_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "out.csv"
    file.write_text("an older one", encoding="utf-8")

    write_results(file, RESULTS)

    assert file.read_bytes().startswith(b"\xef\xbb\xbf")
    assert (
        "row,outcome,account_id,remedy\r\n"
        "2,registered,7000000000000000001\t,\r\n"
        '3,row is not valid,,"correct, it"\r\n'
    ) == file.read_bytes().decode("utf-8-sig")
    assert [file] == list(tmp_path.iterdir())

    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    write_results(file, RESULTS)
    assert "3,该行有误,,改正" in file.read_text(encoding="utf-8-sig")
    assert "已登记 1, 该行有误 1" == format_summary(RESULTS)


def test_the_input_a_folder_and_a_missing_folder_are_refused(tmp_path: Path) -> None:
    source = tmp_path / "people.csv"
    source.touch()

    require_result_place(tmp_path / "new.csv", source=source)
    for bad in (source, tmp_path, tmp_path / "missing" / "new.csv"):
        with pytest.raises(NotifierError, match="--result"):
            require_result_place(bad, source=source)
