"""The folder of own templates that a command works with."""

from dataclasses import replace
from pathlib import Path

from notifier.cards.templating.shipped import shipped_templates
from notifier.config.loader import LoadedConfig
from notifier.errors import ConfigError

SETTING, OPTION = "cards.template_dir", "--templates"


def use_templates(loaded: LoadedConfig, folder: Path) -> LoadedConfig:
    """Return the configuration with another folder in place of `cards.template_dir`."""
    cards = loaded.config.cards.model_copy(update={"template_dir": folder})
    return replace(loaded, config=loaded.config.model_copy(update={"cards": cards}))


def require_own_folder(folder: Path, name: str) -> None:
    """Raise ConfigError if the folder is that of the shipped templates. name: of the setting or the option."""
    if folder.exists() and folder.samefile(shipped_templates()):
        raise ConfigError(
            f"{name}: {folder} contains the shipped templates; a file that is saved there overwrites one of them. "
            "Name a folder of your own, such as my-templates.",
            zh=f"{name}：{folder} 是自带模板所在的目录，在其中保存文件会覆盖它们。请指定自己的目录，如 my-templates。",
        )
