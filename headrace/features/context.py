"""Time, device and surface as features: of an event in batch and stream, of a request in serving.

The arithmetic is the same on a number, a NumPy array and a Spark column, so that there is one definition for all three;
a name is read from an event's context in Python and, by the same rule, in SQL.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

HOURS = 24
WEEKDAYS = 7
UNKNOWN = "unknown"
DEVICE = "device"
SURFACE = "surface"
_BLANKS = " \t\n\r\v\f"
_HOUR_US = 3_600_000_000
_DAY_US = HOURS * _HOUR_US
_THURSDAY = 3  # 1970-01-01


class ContextFeatures(NamedTuple):
    """The context of one event or request."""

    hour: int
    """Hour of the day, UTC, 0 to 23."""
    weekday: int
    """Day of the week, UTC: 0 = Monday to 6 = Sunday."""
    device: str
    """Device in lower case; `unknown` where it is missing."""
    surface: str
    """Surface in the app (for a request its context); `unknown` where it is missing."""


def context_features(time: int, context: Mapping[str, str]) -> ContextFeatures:
    """The features of a time (microseconds since 1970) and an event's `context`, or a request's."""
    return ContextFeatures(int(hour_of(time)), int(weekday_of(time)), _named(context, DEVICE), _named(context, SURFACE))


def hour_of(time: Any) -> Any:
    """Hour of the day (UTC, 0 to 23) of a time in microseconds since 1970, as a whole float."""
    return (time % _DAY_US - time % _HOUR_US) / _HOUR_US


def weekday_of(time: Any) -> Any:
    """Day of the week (UTC, 0 = Monday) of a time in microseconds since 1970, as a whole float."""
    return ((time - time % _DAY_US) / _DAY_US + _THURSDAY) % WEEKDAYS


def named_sql(name: str) -> str:
    """The device or surface of an event, as in `context_features`, in SQL over the events' column `context`."""
    return f"coalesce(nullif(lower(trim(BOTH '{_BLANKS}' FROM context['{name}'])), ''), '{UNKNOWN}')"


def _named(context: Mapping[str, str], name: str) -> str:
    return context.get(name, "").strip(_BLANKS).lower() or UNKNOWN
