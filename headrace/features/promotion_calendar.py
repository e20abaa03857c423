"""Calendar of an item's promotions, announced weeks ahead in the items file.

The field `promotion_calendar` of an item holds one entry per time, separated by blanks: `FIRST/LAST=SHARE`, the first
and the last day (UTC) and the share of the stores, above 0 to 1, that display or advertise the item then, such as
`2026-10-20/2026-10-26=0.4`. A shop with one store, or an online shop, writes 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

FIELD = "promotion_calendar"
_ENTRY = r"\d{4}-\d{2}-\d{2}/\d{4}-\d{2}-\d{2}=(?:0?\.\d+|1(?:\.0+)?)"
PATTERN = rf"^{_ENTRY}(?: {_ENTRY})*$"
"""Pattern of a calendar, valid for Java's and Python's regular expressions."""
COMING_DAYS, PAST_DAYS = 28, 56
"""Length in days of the windows after and before a time that the features use."""

Floats = npt.NDArray[np.float32]


def entry(first: date, last: date, share: float) -> str:
    """The text of one time, the share to a thousandth."""
    return f"{first:%Y-%m-%d}/{last:%Y-%m-%d}={share:.3f}"


def promoted_shares(calendars: Iterable[str | None], day: date) -> Floats:
    """[items, 2]: mean share of stores that promote each item in the days after `day`, and in the days up to it.

    An item without a calendar, or with one that `PATTERN` does not fit, is promoted nowhere.
    """
    windows = ((day, COMING_DAYS), (day - timedelta(days=PAST_DAYS), PAST_DAYS))
    spans = [(before.toordinal() + 1, before.toordinal() + days) for before, days in windows]
    shares = []
    for calendar in calendars:
        times = _times(calendar) if calendar and re.fullmatch(PATTERN, calendar) else []
        shares.append([_mean(times, first, last) for first, last in spans])
    return np.array(shares, np.float32).reshape(-1, 2)


def _times(calendar: str) -> list[tuple[int, int, float]]:
    times = []
    for text in calendar.split(" "):
        days, _, share = text.partition("=")
        try:
            first, last = (date.fromisoformat(part).toordinal() for part in days.split("/"))
        except ValueError:  # a day that does not exist, such as 30 February
            continue
        times.append((first, last, float(share)))
    return times


def _mean(times: list[tuple[int, int, float]], first: int, last: int) -> float:
    days = sum(max(0, min(last, end) - max(first, begin) + 1) * share for begin, end, share in times)
    return min(1.0, days / (last - first + 1))
