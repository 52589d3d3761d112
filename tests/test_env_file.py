"""The `.env` file beside the configuration: what it may hold, who may read it, and what takes precedence."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from notifier.config.env_file import parse_env
from notifier.config.loader import LoadedConfig, load_config, require_credentials
from notifier.errors import ConfigError

SECRET = "the-secret-of-a-test"


def write(folder: Path, text: str | bytes, *, mode: int = 0o600) -> Path:
    file = folder / ".env"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    file.chmod(mode)
    return file


@pytest.fixture
def file(tmp_path: Path) -> Path:
    config = tmp_path / "config.yaml"
    config.write_text("feishu: {app_id: cli_of_the_file}\n", encoding="utf-8")
    return config


def load(file: Path, environ: Mapping[str, str] | None = None) -> LoadedConfig:
    return load_config(file, environ or {})


def secret_of(loaded: LoadedConfig) -> str:
    return loaded.config.feishu.app_secret.get_secret_value()


def test_the_secret_comes_from_the_file_beside_the_configuration(file: Path, tmp_path: Path) -> None:
    env = write(tmp_path, f"FEISHU_APP_SECRET={SECRET}\n")
    loaded = load(file)

    require_credentials(loaded)
    assert (SECRET, "cli_of_the_file") == (secret_of(loaded), loaded.config.feishu.app_id)
    assert {"feishu.app_secret": f"{env}: FEISHU_APP_SECRET"} == loaded.origins


def test_without_a_configuration_file_the_one_of_the_current_folder_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, f"FEISHU_APP_SECRET={SECRET}\n")

    assert SECRET == secret_of(load_config(None, {}))


@pytest.mark.parametrize("name", ["FEISHU_APP_ID", "APP_ID", "NOTIFIER_FEISHU__APP_ID"])
def test_the_environment_precedes_env_which_precedes_yaml(file: Path, tmp_path: Path, name: str) -> None:
    """Also if the environment uses a name that comes later in the order of names."""
    env = write(tmp_path, "NOTIFIER_FEISHU__APP_ID=cli_of_env\n")

    assert "cli_of_env" == load(file).config.feishu.app_id
    loaded = load(file, {name: "cli_of_the_environment"})
    assert "cli_of_the_environment" == loaded.config.feishu.app_id
    assert {f"{env}: NOTIFIER_FEISHU__APP_ID": name} == loaded.overridden


def test_an_empty_variable_of_the_environment_counts_as_not_set(file: Path, tmp_path: Path) -> None:
    write(tmp_path, f"FEISHU_APP_SECRET={SECRET}\n")

    assert SECRET == secret_of(load(file, {"FEISHU_APP_SECRET": ""}))


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o660, 0o602, 0o644])
def test_a_file_with_a_secret_that_others_can_read_is_refused(file: Path, tmp_path: Path, mode: int) -> None:
    env = write(tmp_path, f"FEISHU_APP_SECRET={SECRET}\n", mode=mode)

    with pytest.raises(ConfigError) as caught:
        load(file)
    assert f"{env}: holds settings, and others can read or change it. Run chmod 600 {env}." in str(
        caught.value
    )
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o700])
def test_a_file_of_its_owner_alone_is_read(file: Path, tmp_path: Path, mode: int) -> None:
    write(tmp_path, f"FEISHU_APP_SECRET={SECRET}\n", mode=mode)

    assert SECRET == secret_of(load(file))


def test_a_file_of_other_programs_may_be_public(file: Path, tmp_path: Path) -> None:
    write(tmp_path, "COMPOSE_PROJECT_NAME=other\n", mode=0o644)

    assert not secret_of(load(file))


@pytest.mark.parametrize(
    "written, expected",
    [
        ("A=b", "b"),
        ("\ufeffA=b", "b"),
        ("A=b\r\n", "b"),
        ("# first\n\n  export A = b  # comment", "b"),
        ("A=b#c", "b#c"),
        ("A='b # c' # d", "b # c"),
        ('A="b \\"c\\" \\\\ d"', 'b "c" \\ d'),
        ("A=$B ${C}", "$B ${C}"),
        ("A=", ""),
        ("A=x=y", "x=y"),
    ],
)
def test_lines_are_read_as_other_programs_read_them(tmp_path: Path, written: str, expected: str) -> None:
    text = written.encode().decode("utf-8-sig")

    assert {"A": expected} == parse_env(text, tmp_path)


@pytest.mark.parametrize(
    "written, expected",
    [
        (f"FEISHU_APP_SECRET={SECRET}\n{SECRET}\n", "line 2 is not NAME=value"),
        (f"A={SECRET}\nA={SECRET}", "line 2: A is set twice"),
        (f'A="{SECRET}', "line 1: A has a quotation mark without its second one"),
        (b"A=\xff\xfe", "is not UTF-8 text"),
        (
            f"NOTIFIER_FEISHU__APP_SECRETT={SECRET}",
            "NOTIFIER_FEISHU__APP_SECRETT is not a setting (did you mean",
        ),
        (b"A=" + b"x" * 1_000_001, "is larger than 1 MB"),
    ],
)
def test_what_cannot_be_read_is_one_sentence_without_a_value(
    file: Path, tmp_path: Path, written: str | bytes, expected: str
) -> None:
    env = write(tmp_path, written)

    with pytest.raises(ConfigError) as caught:
        load(file)
    assert str(caught.value).startswith(f"{env}: ")
    assert expected in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_wrong_value_names_the_file_that_holds_it(file: Path, tmp_path: Path) -> None:
    env = write(tmp_path, "NOTIFIER_SENDING__PER_MINUTE=many\n")

    with pytest.raises(ConfigError, match=r"PER_MINUTE: sending\.per_minute:") as caught:
        load(file)
    assert str(caught.value).startswith(f"{env}: NOTIFIER_SENDING__PER_MINUTE: sending.per_minute: ")


def test_a_folder_of_that_name_is_an_error(file: Path, tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()

    with pytest.raises(ConfigError, match=r"\.env: cannot be read: Is a directory"):
        load(file)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_file_that_cannot_be_read_is_an_error(file: Path, tmp_path: Path) -> None:
    write(tmp_path, "A=b", mode=0)

    with pytest.raises(ConfigError, match=r"\.env: cannot be read: Permission denied"):
        load(file)
