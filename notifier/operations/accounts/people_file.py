"""The file with the people to register: its encoding, its columns, and what is wrong in which row.

A problem of the file ends the command before anything is done. A problem of a row concerns this row only. No message
contains a value of the file.
"""

import codecs
import csv
import io
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from notifier.domain.card import Bilingual
from notifier.errors import NotifierError
from notifier.operations.accounts.contacts import BadContactError, Contact, read_email, read_mobile
from notifier.operations.language import say

MAX_BYTES = 5_000_000
MAX_ROWS = 20_000
DELIMITERS = ",;\t"
EMAIL_HEADERS = frozenset(
    {
        "email",
        "mail",
        "emailaddress",
        "workemail",
        "companyemail",
        "邮箱",
        "电子邮箱",
        "电子邮件",
        "邮件",
        "邮箱地址",
        "工作邮箱",
        "企业邮箱",
        "公司邮箱",
        "郵箱",
    }
)
MOBILE_HEADERS = frozenset(
    {
        "mobile",
        "phone",
        "mobilephone",
        "mobilenumber",
        "phonenumber",
        "cell",
        "cellphone",
        "telephone",
        "tel",
        "手机",
        "手机号",
        "手机号码",
        "电话",
        "移动电话",
        "电话号码",
        "联系电话",
        "手機",
        "手機號",
        "手機號碼",
    }
)
"""Names of the two columns, in lower case and without spaces, hyphens and underscores."""


class PeopleFileError(NotifierError):
    """The file cannot be used. The message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonRow:
    """A person in the file.

    row: the number that Excel shows; the header is row 1. same_as: the earlier row with the same person, or None.
    """

    row: int
    contact: Contact
    same_as: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRow:
    """A row that cannot be used. problem: why, and what to do."""

    row: int
    problem: Bilingual


FileRow = PersonRow | BadRow


def read_people_file(path: Path) -> list[FileRow]:
    """Read and check the file. Raises PeopleFileError; a file that is too large is not read."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) and not stat.S_ISFIFO(status.st_mode):
                raise _error("这不是普通文件", "this is not a regular file", path)
            if status.st_size > MAX_BYTES:
                raise _too_large(path)
            data = file.read(MAX_BYTES + 1)
    except IsADirectoryError:
        raise _error("这是文件夹，请指定 CSV 文件", "this is a directory; name a CSV file", path) from None
    except FileNotFoundError:
        raise _error("文件不存在", "there is no such file", path) from None
    except OSError as error:
        raise _error(f"无法读取：{error.strerror}", f"cannot be read: {error.strerror}", path) from None
    if len(data) > MAX_BYTES:
        raise _too_large(path)
    return parse_people(data, path)


def parse_people(data: bytes, path: Path) -> list[FileRow]:
    """Parse the bytes of the file. path: for messages. Raises PeopleFileError."""
    text = _decode(data, path)
    if not text.strip():
        raise _error("文件是空的", "the file is empty", path)
    delimiter, text = _find_delimiter(text)
    records = _read_records(text, delimiter, path)
    _, header = next(records, (0, []))
    columns = _find_columns(header, path)
    rows: list[FileRow] = []
    seen: dict[str, int] = {}
    for number, cells in records:
        if not any(cell.strip() for cell in cells):
            continue
        if len(rows) >= MAX_ROWS:
            raise _error(
                f"超过 {MAX_ROWS} 行，请拆成几个文件",
                f"it has more than {MAX_ROWS} rows; split the file",
                path,
            )
        rows.append(_read_row(number, cells, len(header), columns, seen))
    if not rows:
        raise _error("只有表头，没有人员", "it has a header but no people", path)
    return rows


def _decode(data: bytes, path: Path) -> str:
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise _error(
            "这是 Excel 工作簿，请另存为“CSV UTF-8”",
            'this is an Excel workbook; save it as "CSV UTF-8"',
            path,
        )
    encodings = ["utf-8-sig", "gb18030"]
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encodings = ["utf-16"]
    for encoding in encodings:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if not re.search(r"[\x00-\x08\x0b\x0e-\x1f\x7f]", text):
            return text
        break
    raise _error(
        "不是文本文件，请存为 UTF-8 或 GBK 编码的 CSV",
        "this is not a text file; save it as CSV in UTF-8 or GBK",
        path,
    )


def _find_delimiter(text: str) -> tuple[str, str]:
    """The delimiter of the header, and the text without Excel's line `sep=;`."""
    if found := re.match(r"sep=([,;\t])\r?\n", text):
        return found[1], text[found.end() :]
    header = re.sub(r'"[^"]*"', "", text.lstrip().splitlines()[0])
    return max(DELIMITERS, key=header.count), text


def _read_records(text: str, delimiter: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    """The records that have a cell, each with its number, which counts the empty ones as Excel does."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    number = 0
    try:
        for number, cells in enumerate(reader, 1):
            if cells:
                yield number, cells
    except csv.Error as error:
        row = number + 1
        raise _error(
            f"第 {row} 行的引号不成对，或单元格太长",
            f"row {row} has a quote without its pair, or a cell that is too long",
            path,
        ) from error


def _find_columns(header: Sequence[str], path: Path) -> dict[str, int]:
    """Index of the columns `email` and `mobile`."""
    columns: dict[str, int] = {}
    names = [re.sub(r"[\s_\-]+", "", name).lower() for name in header]
    for index, name in enumerate(names):
        kind = _find_kind(name)
        is_repeated = kind in columns if kind else bool(name) and name in names[:index]
        if is_repeated:
            raise _error(
                f"第 1 行：第 {index + 1} 列的表头重复，每种只保留一列",
                f"row 1: the header of column {index + 1} is a duplicate; keep one column of each kind",
                path,
            )
        if kind:
            columns[kind] = index
    if not columns:
        raise _error(
            "第 1 行没有“邮箱”或“手机号”列，请在第 1 行写表头",
            "row 1 has no column `email` or `mobile`; write the header in row 1",
            path,
        )
    return columns


def _find_kind(name: str) -> str | None:
    """The kind of a header without blanks. It may have a remark in brackets, or both languages: `Email（邮箱）`."""
    forms = {re.sub(r"[()（）]", "", name), re.sub(r"[(（].*?[)）]", "", name)}
    languages = {re.sub(r"[^a-z]", "", name), re.sub(r"[^一-鿿]", "", name)}
    for kind, known in (("email", EMAIL_HEADERS), ("mobile", MOBILE_HEADERS)):
        if forms & known or languages <= known:
            return kind
    return None


def _read_row(
    number: int, cells: Sequence[str], width: int, columns: dict[str, int], seen: dict[str, int]
) -> FileRow:
    """seen: the first row of each person so far; this row is added."""
    if any(cell.strip() for cell in cells[width:]):
        text = Bilingual(
            zh="单元格比表头多：请检查分隔符和引号",
            en="the row has more cells than the header: check its delimiters and quotes",
        )
        return BadRow(row=number, problem=text)
    email, mobile = (
        cells[columns[kind]] if kind in columns and columns[kind] < len(cells) else ""
        for kind in ("email", "mobile")
    )
    try:
        contact = Contact(email=read_email(email), mobile=read_mobile(mobile))
    except BadContactError as error:
        return BadRow(row=number, problem=error.text)
    if not contact.identities():
        text = Bilingual(
            zh="邮箱和手机号都是空的：至少填一个",
            en="neither an e-mail address nor a mobile number is given: write one of them",
        )
        return BadRow(row=number, problem=text)
    identities = contact.identities()
    # A row with a second, new address or number may be another person: Feishu decides that.
    same_as = max(seen[key] for key in identities) if identities <= seen.keys() else None
    for key in identities:
        seen.setdefault(key, same_as or number)
    return PersonRow(row=number, contact=contact, same_as=same_as)


def _too_large(path: Path) -> PeopleFileError:
    return _error(
        f"文件超过 {MAX_BYTES // 1_000_000} MB，请拆成几个文件",
        f"it is larger than {MAX_BYTES // 1_000_000} MB; split the file",
        path,
    )


def _error(zh: str, en: str, path: Path) -> PeopleFileError:
    return PeopleFileError(f"{path}: {say(Bilingual(zh=zh, en=en))}")
