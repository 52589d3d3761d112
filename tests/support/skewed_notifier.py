"""A notifier on a machine whose clock is wrong. Arguments: the seconds that it is ahead, then those of the notifier."""

import sys
import time
from datetime import datetime, timedelta, tzinfo
from typing import Any, Self, cast

import notifier.clock
from notifier.__main__ import main

AHEAD = timedelta(seconds=float(sys.argv.pop(1)))


class _SkewedTime(datetime):
    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return super().now(tz) + AHEAD


_real_time = time.time
cast("Any", time).time = lambda: _real_time() + AHEAD.total_seconds()
cast("Any", notifier.clock).datetime = _SkewedTime
main()
