"""All that can go wrong and that somebody above does something about, on one page."""


class NotifierError(Exception):
    """Something this program knows how to name."""


class ConfigError(NotifierError):
    """The configuration cannot be used. The message names file, key path and a way out; exit code 2."""


class StoreBusy(NotifierError):
    """Another notifier process already works on this database file."""


class StoreFailing(NotifierError):
    """The database cannot be read or written now. The message says why and what to do."""


class StoreOutdated(NotifierError):
    """The database is newer than this program, or its migration failed."""


class Quarantined(NotifierError):
    """One thing cannot be worked on; a person must look. The rest goes on."""


class TemplateBroken(NotifierError):
    """A card template does not parse, does not render, or renders something that is no card."""


class CallError(NotifierError):
    """A call to Feishu, or to the company's paying system, did not give what was asked for.

    code: Feishu's code or the HTTP status, None when no readable answer came. log_id: X-Tt-Logid, for Feishu's support.
    retry_after_seconds: the least pause before a repeat that Feishu asked for, or None.
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
    """Feishu did not carry it out and may later: try again after a pause.

    whole_app: everybody must wait, not only this recipient. exact: the wait was named by Feishu in this very answer,
    so it is the right one; else it is a least, and grows from try to try.
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
    """It may have been carried out: ask again with the same key, never with a new one."""


class RecipientUnreachable(CallError):
    """The person or chat cannot be messaged by us; another recipient may be."""


class CardRefused(CallError):
    """Feishu does not take this content; a simpler one may pass."""


class PictureRefused(CardRefused):
    """Only a chart or an image of the card is at fault."""


class Refused(CallError):
    """Repeating cannot help; a person must change something."""


class AccountUnknown(Refused):
    """Feishu does not know this referral account (1002553)."""


class AccountDeactivated(Refused):
    """The referral account may not withdraw (1002555)."""


class MessageGone(Refused):
    """The message cannot be changed any more: too old, recalled, deleted, or not ours."""


class NotAuthorised(CallError):
    """Feishu gives us no token: wrong id or secret, or the app is disabled."""


class AppSuspended(CallError):
    """Feishu takes nothing from this app until a person acts: disabled, no quota left, or called from elsewhere."""
