"""What the command prints once the sandbox answers: for people, as JSON, or as lines for a shell."""

import json
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

CA_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
"""Environment variables by which Python's ssl, requests and Node.js trust a certificate authority."""


@dataclass(frozen=True, slots=True)
class StartedApp:
    """An app that a client can be."""

    app_id: str
    app_secret: str
    name: str


@dataclass(frozen=True, slots=True)
class StartedSandbox:
    """A sandbox that answers. ca_file: with which clients trust its https, None for http."""

    domain: str
    apps: Sequence[StartedApp]
    ca_file: Path | None = None

    def to_json(self) -> str:
        """One line of JSON."""
        apps = [asdict(app) for app in self.apps]
        ca_file = None if self.ca_file is None else str(self.ca_file)
        return json.dumps({"domain": self.domain, "page": self.domain, "ca_file": ca_file, "apps": apps})

    def to_shell(self) -> str:
        """Lines for the `eval` of a shell, with the first app."""
        variables = {
            "FEISHU_DOMAIN": self.domain,
            "FEISHU_APP_ID": self.apps[0].app_id,
            "FEISHU_APP_SECRET": self.apps[0].app_secret,
            "FEISHU_SANDBOX_URL": self.domain,
        }
        if self.ca_file is not None:
            variables |= dict.fromkeys(CA_VARIABLES, str(self.ca_file))
        return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items())

    def to_text(self) -> str:
        """Lines for people."""
        lines = [
            "",
            f"  {localized('The Feishu sandbox with its page:', '飞书沙盒及其网页：')}  {self.domain}",
            "",
            localized(
                "  Point a bot at it (the official SDKs work unchanged):",
                "  把机器人连接到它（官方 SDK 无需修改）：",
            ),
            f"    domain      {self.domain}",
        ]
        for app in self.apps:
            lines += [f"    app id      {app.app_id}   ({app.name})", f"    app secret  {app.app_secret}"]
        if self.ca_file is not None:
            lines += [
                "",
                localized(
                    f"  Clients trust its https with {self.ca_file}:",
                    f"  客户端通过 {self.ca_file} 信任它的 https：",
                ),
                *(f"    export {name}={shlex.quote(str(self.ca_file))}" for name in CA_VARIABLES),
            ]
        return "\n".join([*lines, "", localized("  Press Ctrl-C to stop.", "  按 Ctrl-C 停止。"), ""])


def localized(en: str, zh: str, environ: Mapping[str, str] = os.environ) -> str:
    """The text in the language of the terminal: the first of LC_ALL, LC_MESSAGES and LANG that is set."""
    locale = next((value for name in ("LC_ALL", "LC_MESSAGES", "LANG") if (value := environ.get(name))), "")
    return zh if locale.lower().startswith("zh") else en
