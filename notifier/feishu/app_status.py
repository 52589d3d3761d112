"""Standing: whether Feishu takes anything from this app at all, said once when it ends and once when it is back."""

import logging

from notifier.errors import AppStopped, CallError, NotAuthorised, NotDone, OutcomeUnknown

log = logging.getLogger(__name__)


class Standing:
    """refused: why nothing is taken, with the next step; None while all is well."""

    def __init__(self) -> None:
        self.refused: str | None = None
        self._code: int | None = None

    def met(self, error: CallError) -> None:
        """A call failed. One that Feishu judged by what it asked for shows that the app itself is welcome."""
        if isinstance(error, NotAuthorised | AppStopped):
            if self.refused is None or error.code != self._code:
                log.error("feishu.app_refused", extra={"reason": error.reason, "code": error.code})
            self.refused, self._code = str(error), error.code
        elif error.code is not None and not isinstance(error, NotDone | OutcomeUnknown):
            self.well()

    def well(self) -> None:
        """A call was carried out."""
        if self.refused is not None:
            self.refused = None
            log.warning("feishu.app_taken_again")
