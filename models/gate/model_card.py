"""The model card of a release: Markdown, pictures and the decision as JSON, in one folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from headrace.release.bundle import EVALUATION, Release
from models.evaluation.plots import draw, draw_curves
from models.evaluation.tables import all_tables, for_markdown
from models.gate.decision import Decision
from models.release.provenance import environment
from models.release.registry import TrainingRecord
from models.training.command import replacing, write_json

CARD, DECISION = "model_card.md", "decision.json"
_KEPT = {"promoted": "promoted to champion", "kept": "the champion is kept", "refused": "refused, the champion is kept"}


def write_card(folder: Path, release: Release, records: Sequence[TrainingRecord], decision: Decision) -> None:
    """Replace `folder` by the card of the release."""
    with replacing(folder) as partial:
        write_json(partial / DECISION, {"release_id": release.release_id, **decision.as_json()})
        comparisons = decision.champion_challenger.comparisons if decision.champion_challenger else []
        probabilities = release.json(EVALUATION)["holdout"]["ranker"].get("probabilities")
        pictures = draw(partial, comparisons, probabilities) if comparisons else []
        pictures.append(
            draw_curves(partial, {f"{each.name}: {name}": v for each in records for name, v in each.curves.items()})
        )
        parts = [_head(release), _decision(decision), *_quality(decision)]
        parts += [f"![{each.stem.replace('_', ' ')}]({each.name})\n" for each in pictures]
        parts += [_made_of(release, records)]
        (partial / CARD).write_text("\n".join(parts), encoding="utf-8")


def _head(release: Release) -> str:
    manifest = release.manifest
    size = sum(file.bytes for file in manifest.files.values()) / 2**20
    return (
        f"# Release {release.release_id}\n\n"
        "Ranks a catalogue for one user at a time: candidates of several sources, a two-tower among them, ordered by a "
        f"ranker. It was trained on events before {manifest.as_of:%Y-%m-%d %H:%M} UTC; its size is {size:.1f} MiB.\n"
    )


def _decision(decision: Decision) -> str:
    rows = [
        (each.name, _shown(each.champion), _shown(each.challenger), each.verdict, each.why)
        for each in decision.guardrails
    ]
    floors = [(gate.name, _shown(gate.floor), _shown(gate.measured), _shown(gate.slack)) for gate in decision.floors]
    against = f" Champion then: {decision.champion}." if decision.champion else ""
    tables = [_table(("guardrail", "champion", "this release", "verdict", "why"), rows)] if rows else []
    tables.append(_table(("floor", "at least", "this release", "chance explains"), floors))
    return "\n".join([f"## Decision: {_KEPT[decision.outcome]}\n", f"Because {decision.why}.{against}\n", *tables])


def _quality(decision: Decision) -> list[str]:
    if decision.champion_challenger is None:
        return ["## Quality\n\nNo comparison: no validation user took an item of the catalogue in the holdout.\n"]
    note = (
        'Backtest: measured with a bundle trained without the holdout, on validation users; "ours" is this release.\n'
    )
    return [note, *(for_markdown(rows) for rows in all_tables(decision.champion_challenger.comparisons))]


def _made_of(release: Release, records: Sequence[TrainingRecord]) -> str:
    manifest = release.manifest
    made = {
        "code": manifest.code_version,
        "seed": manifest.seed,
        "made (UTC)": f"{manifest.created_at:%Y-%m-%d %H:%M}",
    }
    data = {f"version of {name}": version for name, version in manifest.tables.items()}
    tables: list[tuple[str, Mapping[str, Any]]] = [
        ("Inputs", {**made, **data}),
        ("Environment", environment()),
        *((f"Parameters of {each.name}", each.parameters) for each in records),
        *((f"Measured in training: {each.name}", each.metrics) for each in records),
    ]
    return "\n".join(f"## {title}\n\n{_table(('', ''), _pairs(values))}" for title, values in tables)


def _pairs(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(name, _shown(value)) for name, value in values.items()]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]
    return "\n".join([*lines, ""])


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
