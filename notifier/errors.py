"""All errors that callers handle, with their meaning."""


class NotifierError(Exception):
    """Base class of all errors of this program.

    text: the message in English, as the log has it. zh: the same in Chinese, for the command line; "": `text`.
    """

    def __init__(self, text: str = "", *, zh: str = "") -> None:
        super().__init__(text)
        self.zh = zh or text


class ConfigError(NotifierError):
    """The configuration is invalid. The message names the file, the key path and a solution. Exit code 2."""


class StoreBusy(NotifierError):
    """Another notifier process uses this database file."""


class StoreFailing(NotifierError):
    """The database cannot be read or written now. The message contains the reason and the next step."""


class LeadershipLost(NotifierError):
    """Another process leads now, or may soon: this one changes nothing, and calls nothing, any more."""


class StoreOutdated(NotifierError):
    """The database schema is newer than this program, or a migration failed."""


class Quarantined(NotifierError):
    """One item cannot be processed and needs attention. Other items are processed as usual."""


class TemplateBroken(NotifierError):
    """A card template does not parse or render, or its result is not a valid card."""


class CallError(NotifierError):
    """A call to Feishu or to the payroll system failed.

    reason: a sentence for logs and operators.
    code: Feishu's error code or the HTTP status; None if there was no readable response.
    log_id: X-Tt-Logid, for Feishu's support.
    retry_after_seconds: the minimum wait that the server requested, in seconds; None if it requested none.
    """

    def __init__(
        self,
        reason: str,
        *,
        code: int | None = None,
        log_id: str | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code
        self.log_id = log_id
        self.retry_after_seconds = retry_after_seconds

    def __str__(self) -> str:
        code = f" (code {self.code})" if self.code is not None else ""
        log_id = f" [log id {self.log_id}]" if self.log_id else ""
        return f"{self.reason}{code}{log_id}"


class TemporaryFailure(CallError):
    """The server did not execute the call. A later attempt may succeed.

    affects_whole_app: the limit applies to all recipients, not only to this one.
    is_exact_wait: the response named retry_after_seconds, so the next attempt waits exactly that long. Otherwise
    the value is a minimum, and the wait grows with each attempt.
    """

    def __init__(
        self,
        reason: str,
        *,
        code: int | None = None,
        log_id: str | None = None,
        retry_after_seconds: float | None = None,
        affects_whole_app: bool = False,
        is_exact_wait: bool = False,
    ) -> None:
        super().__init__(reason, code=code, log_id=log_id, retry_after_seconds=retry_after_seconds)
        self.affects_whole_app = affects_whole_app
        self.is_exact_wait = is_exact_wait


class OutcomeUnknown(CallError):
    """The server may have executed the call. Repeat it with the same idempotency key, never with a new one."""


class RecipientUnreachable(CallError):
    """The app cannot message this person or chat. It may be able to message another recipient."""


class CardRefused(CallError):
    """Feishu rejected this card content. A lower variant may be accepted."""


class PictureRefused(CardRefused):
    """Feishu rejected a chart or an image of the card, not the rest of the content."""


class Refused(CallError):
    """The server rejected the call permanently. A repeat fails until an operator changes something."""


class AccountUnknown(Refused):
    """Feishu does not know this referral account (code 1002553)."""


class AccountDeactivated(Refused):
    """The referral account is deactivated and cannot withdraw (code 1002555)."""


class MessageGone(Refused):
    """The message cannot be updated: it is too old, recalled, deleted, or from another app."""


class NotAuthorised(CallError):
    """Feishu issues no access token: the app id or secret is wrong, or the app is disabled."""


class AppSuspended(CallError):
    """Feishu rejects all calls of the app until an operator acts: disabled, out of quota, or IP not allowed."""
