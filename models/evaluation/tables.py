"""The comparison as tables: one set of rows, for the terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.table import Table

from models.evaluation.comparison import OURS, Comparison
from models.evaluation.model_score import ModelScore

ACCURACY = ("task", "model", "Recall@20", "nDCG@20", "Recall@500", "ours / model, nDCG@20")
CHARACTER = (
    "task",
    "model",
    "MRR",
    "MAP",
    "hit rate",
    "coverage",
    "novelty",
    "diversity",
    "serendipity",
    "lift",
    "Gini",
)
SLICES = ("task", "slice", "users", "nDCG@20, ours", "best other")
_TEXT_COLUMNS = ("task", "model", "slice")


@dataclass(frozen=True)
class Rows:
    """A table's title, head and cells, with a note that explains it."""

    title: str
    head: Sequence[str]
    cells: list[Sequence[str]]
    note: str


def all_tables(comparisons: Sequence[Comparison]) -> list[Rows]:
    """Accuracy with intervals; what lists are like; the slices."""
    return [
        Rows("Whole-catalogue quality", ACCURACY, _of_models(comparisons, _accuracy), "in brackets: 95 % intervals"),
        Rows(
            "What the first 20 are like",
            CHARACTER,
            _of_models(comparisons, _character),
            "novelty in bits; lift: popularity relative to items users took before; docs/how-to/evaluate.md has all",
        ),
        Rows("Slices", SLICES, _slices(comparisons), "of users and of target items"),
    ]


def for_terminal(rows: Rows) -> Table:
    """A Rich table, a line between tasks."""
    table = Table(title=rows.title, caption=rows.note)
    for name in rows.head:
        table.add_column(name, justify="left" if name in _TEXT_COLUMNS else "right")
    for row, cells in enumerate(rows.cells):
        last = row + 1 == len(rows.cells) or rows.cells[row + 1][0] != cells[0]
        table.add_row(*cells, end_section=last)
    return table


def for_markdown(rows: Rows) -> str:
    """A section with the table."""
    rule = ["---" if name in _TEXT_COLUMNS else "---:" for name in rows.head]
    lines = [f"| {' | '.join(cells)} |" for cells in (rows.head, rule, *rows.cells)]
    return "\n".join([f"## {rows.title}", "", *lines, "", rows.note, ""])


def _of_models(
    comparisons: Sequence[Comparison], cells: Callable[[ModelScore], tuple[str, ...]]
) -> list[Sequence[str]]:
    return [
        (f"{comparison.task} ({comparison.users:,} users)", name, *cells(score))
        for comparison in comparisons
        for name, score in comparison.scores.items()
    ]


def _accuracy(score: ModelScore) -> tuple[str, ...]:
    ratio, low, high = score.ndcg_ratio
    return (
        f"{score.recall_at_20:.4f} {_bounds(*score.recall_at_20_interval)}",
        f"{score.ndcg_at_20:.4f} {_bounds(*score.ndcg_at_20_interval)}",
        f"{score.recall_at_500:.4f}",
        f"{ratio:.3f} {_bounds(low, high)}",
    )


def _character(score: ModelScore) -> tuple[str, ...]:
    return (
        f"{score.reciprocal_rank_at_20:.3f}",
        f"{score.average_precision_at_20:.3f}",
        f"{score.hit_rate_at_20:.3f}",
        f"{score.coverage_at_20:.1%}",
        f"{score.novelty_at_20:.1f}",
        f"{score.diversity_at_20:.3f}",
        f"{score.serendipity_at_20:.3f}",
        f"{score.popularity_lift_at_20:+.1f}",
        f"{score.gini_at_20:.3f}",
    )


def _slices(comparisons: Sequence[Comparison]) -> list[Sequence[str]]:
    rows: list[Sequence[str]] = []
    for comparison in comparisons:
        for name, ours in comparison.scores[OURS].slices.items():
            others = [(score.slices[name].ndcg, model) for model, score in comparison.scores.items() if model != OURS]
            best, model = max(others)
            mean = f"{ours.ndcg:.4f} {_bounds(*ours.ndcg_interval)}"
            rows.append((comparison.task, name, f"{ours.users:,}", mean, f"{best:.4f} ({model})"))
    return rows


def _bounds(low: float, high: float) -> str:
    return f"({low:.3f}–{high:.3f})"
