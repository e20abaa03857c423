"""The feature catalogue as a page: `docs/features.md`, written with the other references (`make settings`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_type_hints

import pyarrow as pa

from headrace.features.catalogue import CONTEXT, CONTEXT_OWNER, GROUPS, Feature, FeatureGroup
from headrace.features.context import ContextFeatures
from headrace.settings import PROJECT_ROOT
from headrace.settings.jobs import FeatureSettings

PAGE = PROJECT_ROOT / "docs" / "features.md"
HEADER = """\
# Every feature

Generated from `headrace/features/catalogue.py`: run `make settings` after changing it; do not edit. A feature has one
definition, its owner; only events before `event_timestamp` count, and events of bots are excluded. Names after a window
are settings of the group `[features]` in [settings.toml](settings.toml), shown with their defaults.
"""
CONTEXT_ABOUT = """\
Features of the time and place of an event or request. They are computed on demand and stored in no table, with the
same code for a number, a NumPy array and a Spark column, and one rule for names. Serving logs them with each
impression; batch computes `hours`, `weekdays`, `devices` and `surfaces` from them. The stream's rows do not depend on
them, and the ranker does not use them yet."""
COLUMNS = ("feature", "meaning", "type", "source", "window", "used by")


def page_text() -> str:
    """The whole page."""
    return "\n".join([HEADER, *(_section(group) for group in GROUPS), _context_section()])


def window_text(feature: Feature) -> str:
    """The window with the defaults of the settings that it names, and their names behind it."""
    settings = FeatureSettings().model_dump()
    named = [name for name in settings if f"{{{name}}}" in feature.window]
    shown = {name: f"{value:g}" if isinstance(value, float) else value for name, value in settings.items()}
    text = feature.window.format_map(shown)
    return f"{text} ({', '.join(f'`{name}`' for name in named)})" if named else text


def _section(group: FeatureGroup) -> str:
    name = f"`{group.table.layer}.{group.table.name}`"
    store = f"feature view `{group.view}`" if group.view else "no feature view"
    online = "online and offline" if group.online else "offline only"
    table = _table(COLUMNS, [_row(group, feature) for feature in group.features])
    return (
        f"## {group.about.capitalize()}\n\n{name}: {group.table.meaning} Owner: `{group.owner}`; {store}, {online}."
        f"\n\n{table}\n"
    )


def _context_section() -> str:
    types = get_type_hints(ContextFeatures)
    rows = [
        (
            f"`{each.name}`",
            each.meaning,
            types[each.name].__name__,
            each.source,
            "; ".join(f"`{m}`" for m in each.used_by),
        )
        for each in CONTEXT
    ]
    table = _table(("feature", "meaning", "type", "source", "used by"), rows)
    return f"## Context\n\n{CONTEXT_ABOUT} Owner: `{CONTEXT_OWNER}`.\n\n{table}\n"


def _table(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (columns, ("---",) * len(columns), *rows))


def _row(group: FeatureGroup, feature: Feature) -> tuple[str, ...]:
    source = ", ".join(f"`{table.layer}.{table.name}`" for table in feature.source)
    used_by = "; ".join(group.used_by(feature)) or "not used yet"
    kind = type_text(group.arrow_type(feature))
    return f"`{feature.name}`", feature.meaning, kind, source, window_text(feature), used_by


def type_text(kind: pa.DataType) -> str:
    """An Arrow type as text."""
    return f"list of {kind.value_type}" if pa.types.is_list(kind) else str(kind)
