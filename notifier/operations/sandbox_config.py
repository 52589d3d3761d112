"""The configuration of the notifier that the sandbox starts."""

import json
from pathlib import Path
from urllib.parse import urlsplit

from notifier.sandbox.settings import SandboxSettings

CONFIG_FILE = "config.yaml"
DATABASE_FILE = "notifier.db"
GROUP, OPERATOR = "oc_sandbox_hr", "ou_sandbox_zhou"

CONFIG_TEMPLATE = """\
# Created by `notifier sandbox`: connects the notifier to the Feishu sandbox on this machine.
feishu:
  base_url: {url}
  app_id: {app_id}
  app_secret: {app_secret}
  environment: test
  when_refused: retry  # faults refuse the app; the notifier keeps running meanwhile
{webhook}{templates}store:
  url: sqlite:///{folder}/{database}
groups:
  hr:
    chat_id: {group}
    operators: [{operator}]
  fallback:
    chat_id: oc_sandbox_fallback
fallback_group: fallback
withdrawals:
  offer_to: [referrer, hr]
digests:
  - name: hr-daily
    to: [hr]
    file: always
  - name: my-week
    to: [referrer]
    period: week
payouts:
  url: {url}/payroll/payouts
  secret: {payout_secret}
  listen: 127.0.0.1:{report_port}
  alarm_group: hr
routes:
  - name: to the referrer
    to: [referrer]
    keep_going: true
  - name: to HR, when it is worth a look
    when:
      kind: cash
      least_amount: 500
    to: [hr]
"""

TEMPLATES_TEMPLATE = """\
cards:
  template_dir: {folder}
"""

WEBHOOK_TEMPLATE = """\
  transport: webhook
webhook:
  listen: {address}
  encrypt_key: {encrypt_key}
  verification_token: {verification_token}
"""


def write_sandbox_config(
    folder: Path, url: str, settings: SandboxSettings, report_port: int, template_dir: Path | None
) -> Path:
    """Write the configuration into the folder, and return its file.

    url: of the sandbox. report_port: where the notifier listens for payout reports. template_dir: own card templates.
    """
    config = folder / CONFIG_FILE
    own = (
        ""
        if template_dir is None
        else TEMPLATES_TEMPLATE.format(folder=json.dumps(str(template_dir.resolve())))
    )
    config.write_text(
        CONFIG_TEMPLATE.format(
            url=url,
            app_id=settings.app_id,
            app_secret=settings.app_secret,
            payout_secret=settings.payout_secret,
            report_port=report_port,
            webhook=_webhook(settings),
            templates=own,
            folder=folder,
            group=GROUP,
            operator=OPERATOR,
            database=DATABASE_FILE,
        ),
        encoding="utf-8",
    )
    return config


def _webhook(settings: SandboxSettings) -> str:
    """Return the webhook settings for the notifier; empty for the long connection."""
    if not settings.webhook_url:
        return ""
    return WEBHOOK_TEMPLATE.format(
        address=urlsplit(settings.webhook_url).netloc,
        encrypt_key=settings.webhook_encrypt_key,
        verification_token=settings.webhook_verification_token,
    )
