"""Files and images: uploaded and downloaded with the official SDK, and bounded in memory."""

import io
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from notifier.sandbox.api import files
from notifier.sandbox.chat.images import image_type
from sandbox.clients import upload_form
from sandbox.sdk_client import SdkClient, sdk_client

PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)


@pytest.fixture(scope="module")
def sdk() -> Iterator[SdkClient]:
    with sdk_client(image_keys=frozenset({"img_before_start"})) as client:
        yield client


def upload_image(sdk: SdkClient, data: bytes = PNG, kind: str = "message") -> str:
    image = io.BytesIO(data)
    return str(sdk.data("im.v1.image.create", body={"image_type": kind, "image": image}).image_key)


def test_what_was_uploaded_comes_back(sdk: SdkClient) -> None:
    body = {"file_type": "stream", "file_name": "报表.csv", "file": io.BytesIO(b"a,b\n")}
    file_key = sdk.data("im.v1.file.create", body=body).file_key
    found = sdk.ask("im.v1.file.get", file_key=file_key)
    assert (0, b"a,b\n") == (found.code, found.file.read())
    assert "%E6%8A%A5%E8%A1%A8.csv" in found.raw.headers["Content-Disposition"]

    image_key = upload_image(sdk)
    image = sdk.ask("im.v1.image.get", image_key=image_key)
    assert (PNG, "image/png") == (image.file.read(), image.raw.headers["Content-Type"])
    with urllib.request.urlopen(f"{sdk.box.url}/api/files/{image_key}") as shown:
        assert PNG == shown.read()
        assert ("image/png", "nosniff") == (
            shown.headers["Content-Type"],
            shown.headers["X-Content-Type-Options"],
        )


@pytest.mark.parametrize(
    "name, key, code",
    [
        ("image", {"image_key": "img_unknown"}, 234001),
        ("image", {"image_key": "img_before_start"}, 234005),
        ("file", {"file_key": "file_unknown"}, 234001),
    ],
)
def test_what_was_not_uploaded_here_is_refused(
    sdk: SdkClient, name: str, key: dict[str, Any], code: int
) -> None:
    assert code == sdk.code(f"im.v1.{name}.get", **key)


@pytest.mark.parametrize("file_type, code", [("ppt", 0), ("stream", 0), ("docx", 234001), ("", 234001)])
def test_only_file_types_of_feishu_are_taken(sdk: SdkClient, file_type: str, code: int) -> None:
    parts = [
        ("file_type", file_type.encode(), ""),
        ("file_name", b"a.bin", ""),
        ("file", b"hi", '; filename="a"'),
    ]

    assert code == upload_form(sdk.box, "files", parts).code


def test_avatars_cannot_be_downloaded(sdk: SdkClient) -> None:
    assert 234005 == sdk.code("im.v1.image.get", image_key=upload_image(sdk, kind="avatar"))


def test_the_newest_images_are_kept(sdk: SdkClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "IMAGES_KEPT_BYTES", 3 * len(PNG))
    keys = [upload_image(sdk) for _ in range(4)]

    assert [234005, 0, 0, 0] == [sdk.code("im.v1.image.get", image_key=key) for key in keys]


@pytest.mark.parametrize(
    "start, kind",
    [
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"RIFF....WEBP", "image/webp"),
        (b"....ftypheic", "image/heic"),
        (b"<svg", None),
    ],
)
def test_the_type_of_an_image_is_that_of_its_bytes(start: bytes, kind: str | None) -> None:
    assert kind == image_type(start + bytes(8))


def test_a_form_that_is_no_image_is_refused(sdk: SdkClient) -> None:
    parts = [("image_type", b"message", ""), ("image", b"<svg/>", '; filename="x"')]

    assert 234011 == upload_form(sdk.box, "images", parts).code
