"""The households that the demo shows, and their purchases after the training data."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

SHOWN = 10
"""Recommendations shown of each household's list of 20."""


@dataclass(frozen=True)
class Purchase:
    """One line of the held-out weeks."""

    user_id: str
    item_id: str
    fields: dict[str, Any]


def later_purchases(events_file: Path) -> dict[str, list[Purchase]]:
    """Purchases of the held-out weeks by household, oldest first; adjustments (quantity ≤ 0) left out."""
    by_user: dict[str, list[Purchase]] = defaultdict(list)
    rows = pq.read_table(events_file).sort_by("timestamp").to_pylist()
    for row in rows:
        if row["value"] > 0:
            by_user[row["user_id"]].append(Purchase(row["user_id"], row["item_id"], row))
    return dict(by_user)


def three_households(bought: dict[str, list[Purchase]]) -> list[str]:
    """A light, a medium and a heavy buyer of the held-out weeks: the 25th, 50th and 75th percentile."""
    ranked = sorted(bought, key=lambda user: (len(bought[user]), user))
    return [ranked[len(ranked) * share // 100] for share in (25, 50, 75)]


def ask(service: str, user_id: str, limit: int = 20) -> dict[str, Any]:
    """The service's answer for one household's homepage."""
    query: dict[str, str | int] = {"user_id": user_id, "context": "homepage", "limit": limit}
    answer = httpx.get(f"{service}/recommendations", params=query, timeout=10).raise_for_status()
    body: dict[str, Any] = answer.json()
    return body


def titles_of(items_file: Path) -> dict[str, str]:
    """Readable names by item id."""
    table = pq.read_table(items_file, columns=["item_id", "display_title"])
    return dict(zip(table["item_id"].to_pylist(), table["display_title"].to_pylist(), strict=True))


def show_household(console: Console, answer: dict[str, Any], titles: dict[str, str], bought: list[Purchase]) -> None:
    """The list with its reasons, and a tick at each item bought in the later weeks."""
    bought_items = {purchase.item_id for purchase in bought}
    recommended = answer["recommendations"]
    hits = sum(entry["item_id"] in bought_items for entry in recommended)
    title = (
        f"Household {answer['user_id']}: {hits} of {len(recommended)} recommended were bought in the weeks after, "
        f"{len(bought_items)} products bought in all "
        f"({answer['candidates_generated']} candidates, {answer['latency_ms']:.1f} ms)"
    )
    table = Table(title=title, title_justify="left")
    for name in ("", "recommended", "reason", "bought later"):
        table.add_column(name)
    for rank, (entry, later) in enumerate(zip(recommended, _names(bought, titles), strict=False), start=1):
        if rank > SHOWN:
            break
        tick = "[green]✓[/]" if entry["item_id"] in bought_items else ""
        table.add_row(tick, titles.get(entry["item_id"], entry["item_id"]), entry["reason"], later)
    console.print(table)


def _names(bought: list[Purchase], titles: dict[str, str]) -> Iterator[str]:
    yield from dict.fromkeys(titles.get(purchase.item_id, purchase.item_id) for purchase in bought)
    while True:
        yield ""
