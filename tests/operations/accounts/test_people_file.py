"""The file with people: encodings, delimiters, headers, numbers as Excel leaves them, and what is wrong where."""

import codecs
from pathlib import Path

import pytest

from notifier.operations.accounts.contacts import (
    BadContactError,
    Contact,
    Mobile,
    fingerprints_of,
    read_email,
    read_mobile,
)
from notifier.operations.accounts.people_file import BadRow, PeopleFileError, PersonRow, parse_people

NAME = Path("people.csv")


def parse(data: bytes | str) -> list[PersonRow | BadRow]:
    return parse_people(data.encode() if isinstance(data, str) else data, NAME)


def people(data: bytes | str) -> list[Contact]:
    rows = parse(data)
    assert all(isinstance(row, PersonRow) for row in rows), rows
    return [row.contact for row in rows if isinstance(row, PersonRow)]


CHEN = "陈知行（示例）,chen@sandbox.example,13800000002"


@pytest.mark.parametrize(
    "data",
    [
        f"姓名,邮箱,手机号\n{CHEN}\n".encode(),
        f"姓名,邮箱,手机号\n{CHEN}\n".encode("utf-8-sig"),
        f"姓名,邮箱,手机号\r\n{CHEN}\r\n".encode("gbk"),
        codecs.BOM_UTF16_LE + f"姓名\t邮箱\t手机号\r\n{CHEN}".replace(",", "\t").encode("utf-16-le"),
        f"Name;E-Mail;Mobile number\n{CHEN}\n".replace(",", ";").encode(),
        f"sep=;\r\nName;E-Mail;Phone\r\n{CHEN}\r\n".replace(",", ";").encode(),
        b'"Na,me","Work e-mail","Mobile"\n"A, B","chen@sandbox.example ","138-0000-0002"\n\n',
        "姓 名,电子邮箱,手机\r\n,Chen@sandbox.example,+86 138 0000 0002\r\n,,\r\n".encode(),
        f"姓名,Email（邮箱）,手机号(11位)\n{CHEN}\n".encode(),
        f"姓名,email 邮箱,移动电话\n{CHEN}\n".encode(),
        b"name,mail,tel\n,mailto:chen@sandbox.example,0086 13800000002,,\n",
    ],
)
def test_the_same_person_in_every_form_of_a_file(data: bytes) -> None:
    [found] = people(data)

    assert Contact(
        email="chen@sandbox.example", mobile=Mobile(code="86", number="13800000002")
    ).identities() == (found.identities())


@pytest.mark.parametrize(
    "text, expected",
    [
        ("13800000002", ("86", "13800000002")),
        ("138 0000 0002", ("86", "13800000002")),
        ("１３８０００００００２", ("86", "13800000002")),
        ("8613800000002", ("86", "13800000002")),
        ("+86-138-0000-0002", ("86", "13800000002")),
        ("008613800000002", ("86", "13800000002")),
        ("+1 (415) 555-0100", ("1", "4155550100")),
        ("+852 5123 4567", ("852", "51234567")),
        ("+81-90-1234-5678", ("81", "9012345678")),
        ("+7 912 345-67-89", ("7", "9123456789")),
        ("\u202a+65 8123 4567\u202c", ("65", "81234567")),
    ],
)
def test_a_mobile_number_has_a_country_code_and_digits(text: str, expected: tuple[str, str]) -> None:
    found = read_mobile(text)

    assert found is not None
    assert expected == (found.code, found.number)


@pytest.mark.parametrize(
    "text, reason",
    [
        ("1.38E+10", "scientific notation"),
        ("1,38E+10", "scientific notation"),
        ("13800000003.0", "a decimal number"),
        ('="13800000002"', "a formula"),
        ("'13800000002", "a formula or a quote"),
        ("3800000002", "may be lost"),
        ("9012345678", "may be lost"),
        ("013800000002", "may be lost"),
        ("12345678901", "may be lost"),
        ("138000000022", "may be lost"),
        ("+8612345", "after +86"),
        ("+1234", "country code"),
        ("+999 123456789012345", "country code"),
        ("+0123456789", "country code"),
        ("call me", "other characters"),
        ("13800000002 or 13800000003", "other characters"),
    ],
)
def test_a_number_that_excel_changed_or_nobody_can_have_is_refused(text: str, reason: str) -> None:
    with pytest.raises(BadContactError) as refused:
        read_mobile(text)

    assert reason in refused.value.text.en
    assert text not in refused.value.text.en + refused.value.text.zh


@pytest.mark.parametrize(
    "text, reason",
    [
        ("a b@sandbox.example", "space"),
        ("nobody", "no @"),
        ("@sandbox.example", "not one"),
        ("a@b@sandbox.example", "not one"),
        ("a@sandbox", "not one"),
        ("a@sandbox.example,b@sandbox.example", "not one"),
        ("名@sandbox.example", "not one"),
        ("a" * 250 + "@sandbox.example", "not one"),
    ],
)
def test_an_address_that_cannot_be_one_is_refused(text: str, reason: str) -> None:
    with pytest.raises(BadContactError) as refused:
        read_email(text)

    assert reason in refused.value.text.en
    assert text not in refused.value.text.en + refused.value.text.zh


def test_rows_count_as_in_excel_and_a_repeated_person_names_the_first_row() -> None:
    rows = parse(
        "email,mobile\n"
        "a@sandbox.example,13800000001\n"
        "\n"
        "A@Sandbox.Example,\n"
        ",+86 138 0000 0001\n"
        "b@sandbox.example,13800000001\n"
        "b@sandbox.example,\n"
        ",\n"
        "c@sandbox.example\n"
        "c@sandbox.example,,x\n"
    )

    assert [(2, None), (4, 2), (5, 2), (6, None), (7, 6), (9, None)] == [
        (row.row, row.same_as) for row in rows if isinstance(row, PersonRow)
    ]
    assert [10] == [row.row for row in rows if isinstance(row, BadRow)]


def test_a_row_without_either_is_named_when_it_has_other_cells() -> None:
    [row] = parse("name,email,mobile\nA,,\n")

    assert isinstance(row, BadRow)
    assert "neither" in row.problem.en


@pytest.mark.parametrize(
    "data, problem",
    [
        ("手机,手机号\n1,2\n", "column 2 is a duplicate"),
        ("email,name,Name\na,b,c\n", "column 3 is a duplicate"),
        ("a@sandbox.example\n", "no column"),
        ("email\n\x00\n", "not a text file"),
    ],
)
def test_a_problem_of_the_file_names_its_place(data: str, problem: str) -> None:
    with pytest.raises(PeopleFileError, match=problem):
        parse(data)


def test_fingerprints_depend_on_the_secret_and_not_on_the_form() -> None:
    one = Contact(email="Lin@sandbox.example", mobile=read_mobile("13800000001"))
    other = Contact(email="lin@SANDBOX.example", mobile=read_mobile("+86 138-0000-0001"))

    assert fingerprints_of(one, "a") == fingerprints_of(other, "a")
    assert not fingerprints_of(one, "a") & fingerprints_of(one, "b")
    assert 2 == len(fingerprints_of(one, "a"))
    assert "sandbox.example" not in repr(one)
    assert "13800000001" not in repr(one)
