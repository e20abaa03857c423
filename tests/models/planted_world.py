"""A world whose pattern is known: every user belongs to a taste and takes items of it, beside a few that all take."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import write_deltalake

from headrace import tables
from headrace.events import EARLIEST_TIMESTAMP
from headrace.features.user_row import MICROSECONDS_PER_DAY
from headrace.tables import Table, end_of

DAY = date(2026, 10, 18)
HOLDOUT_DAYS = 28
HOLDOUT_DAY = DAY - timedelta(days=HOLDOUT_DAYS)
TASTES = 12
ITEMS_PER_TASTE = 60
NEVER_BOUGHT = "never-bought-0"
"""An item of taste 0 without a single event."""


@dataclass
class World:
    """Events by user, and the gold tables made of them."""

    users: int = 240
    seed: int = 3
    event_type: str = "purchase"
    events: dict[str, list[tuple[int, str, str]]] = field(default_factory=lambda: defaultdict(list))
    """(timestamp, event id, item id), oldest first."""

    def __post_init__(self) -> None:
        random = np.random.default_rng(self.seed)
        end = microseconds(DAY)
        for user in range(self.users):
            taste = user % TASTES
            favourites = random.choice(ITEMS_PER_TASTE, 10, replace=False)
            for basket in range(12):
                days = 84 - 7 * basket - int(random.integers(0, 3))
                for place in range(3):
                    number = random.choice(favourites) if random.random() < 0.5 else random.integers(ITEMS_PER_TASTE)
                    item = f"item-{taste}-{number}"
                    if random.random() < 0.1:
                        item = f"item-{random.integers(TASTES)}-{number % 3}"
                    event = (end - days * MICROSECONDS_PER_DAY, f"e{user}-{basket}-{place}", item)
                    self.events[f"user-{user}"].append(event)

    def item_ids(self) -> list[str]:
        """The catalogue."""
        return [f"item-{taste}-{k}" for taste in range(TASTES) for k in range(ITEMS_PER_TASTE)] + [NEVER_BOUGHT]

    def before(self, user: str, moment: int) -> list[tuple[int, str, str]]:
        """Events of a user before a time."""
        return [event for event in self.events[user] if event[0] < moment]

    def write(self, lake: Path, files: int = 1) -> None:
        """All tables that training and evaluation read; the sequences in so many files."""
        put(lake, tables.SILVER_ITEMS, [self._item(item) for item in self.item_ids()])
        put(lake, tables.SILVER_ITEM_STATES, [])
        put(lake, tables.SILVER_BOTS, [])
        put(
            lake,
            tables.SILVER_EVENTS,
            [self._event(user, *event) for user in self.events for event in self.events[user]],
        )
        for day in (HOLDOUT_DAY, DAY):
            put(lake, tables.GOLD_ITEM_FEATURES, self._item_features(day))
            put(lake, tables.GOLD_USER_ITEM_FEATURES, self._user_item_features(day))
        users = [user for user in self.events if self.events[user]]
        put(lake, tables.GOLD_USER_FEATURES, [self._user_features(user) for user in users])
        for part in np.array_split(users, files):
            put(lake, tables.GOLD_RETRIEVAL_EXAMPLES, [self._sequence(str(user), DAY) for user in part])
        put(lake, tables.GOLD_RANKING_EXAMPLES, [self.ranking_example(user, DAY) for user in users])

    def write_earlier_holdout(self, lake: Path) -> None:
        """What a training up to the holdout before reads."""
        before = HOLDOUT_DAY - timedelta(days=HOLDOUT_DAYS)
        put(lake, tables.GOLD_ITEM_FEATURES, self._item_features(before))
        put(lake, tables.GOLD_USER_ITEM_FEATURES, self._user_item_features(before))
        put(lake, tables.GOLD_RETRIEVAL_EXAMPLES, [self._sequence(user, HOLDOUT_DAY) for user in self.events])
        put(lake, tables.GOLD_RANKING_EXAMPLES, [self.ranking_example(user, HOLDOUT_DAY) for user in self.events])

    def write_test_events(self, path: Path) -> None:
        """What the users take after `DAY`: new items of their taste, and their favourite again."""
        rows = []
        for user, events in self.events.items():
            favourite = Counter(item for _, _, item in events).most_common(1)[0][0]
            had = {item for _, _, item in events}
            taste = int(user.split("-")[1]) % TASTES
            new = [f"item-{taste}-{k}" for k in range(ITEMS_PER_TASTE) if f"item-{taste}-{k}" not in had][:4]
            rows += [{"event_type": "purchase", "user_id": user, "item_id": i, "value": 1.0} for i in (favourite, *new)]
        pq.write_table(pa.Table.from_pylist(rows), path)

    def _event(self, user: str, timestamp: int, event_id: str, item: str) -> dict[str, Any]:
        who = {"event_id": event_id, "subject_id": user, "user_id": user, "item_id": item, "value": 1.0}
        return {**who, "event_type": self.event_type, "timestamp": timestamp, "day": DAY}

    def _item(self, item: str) -> dict[str, Any]:
        taste = item.split("-")[1] if item != NEVER_BOUGHT else "0"
        known = {"item_id": item, "title": f"{item} of taste {taste}", "category_1": f"taste {taste}"}
        return {**known, "brand": "own", "text": "a thing", "extra": "{}", "valid_from": EARLIEST_TIMESTAMP}

    def _item_features(self, day: date) -> list[dict[str, Any]]:
        moment = microseconds(day)
        users = defaultdict(set)
        recent = defaultdict(set)
        for user in self.events:
            for time, _, item in self.before(user, moment):
                users[item].add(user)
                if time >= moment - 28 * MICROSECONDS_PER_DAY:
                    recent[item].add(user)
        return [
            {
                "item_id": item,
                "popularity": len(recent[item]),
                "trend_popularity": len(users[item]),
                "purchases": len(users[item]),
                "users_total": len(users[item]),
                "repeat_rate": 0.1,
                "price": float("nan"),
                "age_days": 50.0,
                "day": day,
            }
            for item in self.item_ids()
        ]

    def _own(self, user: str, day: date) -> list[tuple[str, int, float, int, int]]:
        moment = microseconds(day)
        times = defaultdict(list)
        for time, _, item in self.before(user, moment):
            times[item].append(time)
        own = [
            (item, len(ts), sum(0.5 ** ((moment - t) / MICROSECONDS_PER_DAY / 84) for t in ts), min(ts), max(ts))
            for item, ts in times.items()
        ]
        return sorted(own, key=lambda row: (-row[2], row[0]))

    def _user_item_features(self, day: date) -> list[dict[str, Any]]:
        names = ("item_id", "count", "decayed_count", "first_timestamp", "last_timestamp")
        return [
            {"user_id": user, "day": day, **dict(zip(names, row, strict=True))}
            for user in self.events
            for row in self._own(user, day)
        ]

    def _sequence(self, user: str, day: date) -> dict[str, Any]:
        events = self.before(user, microseconds(day))
        return {
            "user_id": user,
            "items": [item for _, _, item in events],
            "types": [self.event_type] * len(events),
            "timestamps": [time for time, _, _ in events],
            "first_target": 0,
            "profile_keys": ["age"],
            "profile_values": ["young" if len(user) % 2 else "old"],
            "day": day,
        }

    def _user_features(self, user: str) -> dict[str, Any]:
        age = "young" if len(user) % 2 else "old"
        return {"user_id": user, "profile_keys": ["age"], "profile_values": [age], "day": DAY}

    def ranking_example(self, user: str, day: date) -> dict[str, Any]:
        """A user as before the holdout that ends with `day`, and what was taken in it."""
        before = day - timedelta(days=HOLDOUT_DAYS)
        known = self.before(user, microseconds(before))
        later = Counter(item for time, _, item in self.before(user, microseconds(day)) if time >= microseconds(before))
        own = self._own(user, before)
        return {
            "user_id": user,
            "event_timestamp": end_of(before),
            "history_event_ids": [event_id for _, event_id, _ in known][-50:],
            "history_items": [item for _, _, item in known][-50:],
            "history_types": [self.event_type] * min(len(known), 50),
            "history_timestamps": [time for time, _, _ in known][-50:],
            "own_items": [row[0] for row in own],
            "own_counts": [row[1] for row in own],
            "own_decayed_counts": [row[2] for row in own],
            "own_first_timestamps": [row[3] for row in own],
            "own_last_timestamps": [row[4] for row in own],
            "events_total": len(known),
            "baskets_total": len({time for time, _, _ in known}),
            "profile_keys": ["age"],
            "profile_values": ["young"],
            "target_items": sorted(later),
            "target_counts": [float(later[item]) for item in sorted(later)],
            "day": day,
        }


def microseconds(day: date) -> int:
    """The midnight that ends `day`."""
    return int(end_of(day).timestamp() * 1_000_000)


def put(lake: Path, table: Table, rows: list[dict[str, Any]]) -> None:
    """Append rows; columns that they lack are null."""
    complete = [{name: row.get(name) for name in table.schema.names} for row in rows]
    partition = [table.partition] if table.partition else None
    data = pa.Table.from_pylist(complete, table.schema)
    write_deltalake(f"{lake}/{table.path}", data, mode="append", partition_by=partition)
