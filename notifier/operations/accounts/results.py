"""The outcome of each row of a registration: as a CSV file, as JSON, and as a summary. It has no contact data."""

import csv
import io
import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from notifier.domain.card import Bilingual
from notifier.errors import NotifierError
from notifier.operations.language import Language, get_language, say


class RowOutcome(StrEnum):
    """What became of a row."""

    REGISTERED = "registered"
    KNOWN = "known"
    SAME = "same"
    DEACTIVATED = "deactivated"
    INVALID = "invalid"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    NOT_TRIED = "not_tried"
    WOULD_REGISTER = "would_register"


OUTCOME_TEXTS = {
    RowOutcome.REGISTERED: Bilingual(zh="已登记", en="registered"),
    RowOutcome.KNOWN: Bilingual(zh="之前已登记", en="already registered"),
    RowOutcome.SAME: Bilingual(zh="与前面某行是同一人", en="same person as an earlier row"),
    RowOutcome.DEACTIVATED: Bilingual(zh="账户已停用", en="account is deactivated"),
    RowOutcome.INVALID: Bilingual(zh="该行有误", en="row is not valid"),
    RowOutcome.REFUSED: Bilingual(zh="飞书拒绝", en="refused by Feishu"),
    RowOutcome.UNKNOWN: Bilingual(zh="结果未知", en="outcome unknown"),
    RowOutcome.NOT_TRIED: Bilingual(zh="未处理", en="not tried"),
    RowOutcome.WOULD_REGISTER: Bilingual(zh="将登记", en="would be registered"),
}
FAILED = frozenset(
    {
        RowOutcome.DEACTIVATED,
        RowOutcome.INVALID,
        RowOutcome.REFUSED,
        RowOutcome.UNKNOWN,
        RowOutcome.NOT_TRIED,
    }
)
"""Outcomes after which something is left to do: exit code 1."""
HEADER = {
    Language.EN: ("row", "outcome", "account_id", "remedy"),
    Language.ZH: ("行", "结果", "账户", "处理办法"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RowResult:
    """The outcome of one row.

    account_id: Feishu's id; None: not known. remedy: the reason with what to do; None: nothing to do.
    """

    row: int
    outcome: RowOutcome
    account_id: str | None = None
    remedy: Bilingual | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the result with the names of the English file."""
        return {
            "row": self.row,
            "outcome": self.outcome.value,
            "account_id": self.account_id,
            "remedy": say(self.remedy) if self.remedy else None,
        }


def format_summary(results: Sequence[RowResult]) -> str:
    """Return how many rows have each outcome, in one line."""
    counts = Counter(result.outcome for result in results)
    return ", ".join(f"{say(OUTCOME_TEXTS[each])} {counts[each]}" for each in RowOutcome if counts[each])


def write_results(path: Path, results: Sequence[RowResult]) -> None:
    """Write the CSV file. A reader finds the old or the new file, never a part. Raises NotifierError."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(HEADER[get_language()])
    for each in sorted(results, key=lambda result: result.row):
        remedy = say(each.remedy) if each.remedy else ""
        account_id = (
            f"{each.account_id}\t" if each.account_id else ""
        )  # Excel rounds long numbers, but no texts
        writer.writerow((each.row, say(OUTCOME_TEXTS[each.outcome]), account_id, remedy))
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(text.getvalue().encode("utf-8-sig"))  # Excel reads UTF-8 only with the mark
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise NotifierError(
            f"{path}: {say(Bilingual(zh='无法写入结果', en='the results cannot be written'))}: {error.strerror}"
        ) from error


def require_result_place(path: Path, *, source: Path) -> None:
    """Check before the first call that the results can be written. Raises NotifierError."""
    text = None
    if path.is_dir() or (path.exists() and source.exists() and path.samefile(source)):
        text = Bilingual(
            zh="不能作为结果文件，请用 --result 另选",
            en="cannot hold the results; choose another file with --result",
        )
    elif not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        text = Bilingual(
            zh="所在文件夹不存在或不可写，请用 --result 另选",
            en="its folder does not exist or is not writable; choose another file with --result",
        )
    if text is not None:
        raise NotifierError(f"{path}: {say(text)}")
