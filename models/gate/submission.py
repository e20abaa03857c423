"""Puts a built release before the registry and the gate: decide, log, register, promote.

A submission is stored in `<home>/pending/<release id>.json` until it has succeeded, so that a release that was
built while MLflow was unavailable is logged later: by `headrace release register`, or by the next training.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from headrace.errors import BadInputError, HeadraceError, ReleaseError, ServiceError
from headrace.release.bundle import Release, open_release
from headrace.release.registry import BACKTEST_FOLDER, remember_alias
from headrace.settings import Settings
from models.gate.decision import Decision, decide
from models.gate.floors import Gate
from models.gate.model_card import write_card
from models.release.backtest import drop_other_backtests
from models.release.registry import CHAMPION, Registry, TrainingRecord
from models.training.command import write_json

CARD_FOLDER = "card"
"""Folder of the model card among the artifacts of the release's run."""


@dataclass(frozen=True)
class Submission:
    """A built release with what was measured in its training."""

    release_id: str
    day: date
    records: list[TrainingRecord]
    floors: list[Gate]


def keep_pending(settings: Settings, submission: Submission) -> None:
    """Store it until `submit` has succeeded."""
    content = {
        **{"release_id": submission.release_id, "day": str(submission.day)},
        **{"records": [asdict(each) for each in submission.records]},
        **{"floors": [asdict(gate) for gate in submission.floors]},
    }
    write_json(_file(settings, submission.release_id), content)


def pending(settings: Settings) -> list[Submission]:
    """Those that did not go through yet, earliest day first."""
    found = [_read(path) for path in (settings.home_folder / "pending").glob("*.json")]
    return sorted(found, key=lambda each: (each.day, each.release_id))


def submit(settings: Settings, submission: Submission) -> Decision | None:
    """Decide, log and register; the alias moves if the release is promoted. None if it is champion already.

    Raises ServiceError if MLflow is unavailable, ComparisonKilledError if the comparison was killed (either way the
    submission stays pending), and ReleaseError if the release is refused.
    """
    release = open_release(settings.releases / submission.release_id)
    try:
        registry = Registry(settings.mlflow)
    except ServiceError as error:
        note = f"The bundle is complete in {release.folder}; `headrace release register` logs it later"
        raise ServiceError(error.problem, f"{error.hint}. {note}") from None
    champion = registry.champion()
    if champion and champion.release_id == release.release_id:
        print(f"release {release.release_id} is '{CHAMPION}' already")
        _done(settings, submission)
        return None
    backtest = open_release(settings.backtests / release.release_id)
    decision = decide(settings, registry, submission.day, release, backtest, submission.floors)
    card = settings.reports / "releases" / release.release_id
    write_card(card, release, submission.records, decision)
    version = _log(registry, submission, release, backtest, card, decision)
    print(f"registered as version {version} of '{settings.mlflow.model_name}'; model card: {card}")
    _done(settings, submission)
    if decision.outcome == "promoted":
        registry.promote(version, decision.why, anchor=decision.becomes_anchor)
        remember_alias(settings, CHAMPION, release.release_id)
        print(f"version {version} is now '{CHAMPION}': {decision.why}")
    live = release.release_id if decision.outcome == "promoted" else decision.champion or ""
    anchor = registry.anchor()
    needed = (live, anchor.release_id if anchor else "", *(each.release_id for each in pending(settings)))
    drop_other_backtests(settings, *needed)
    if decision.outcome == "kept":
        registry.name_challenger(version)
        print(f"release {release.release_id} is not promoted, {decision.champion} stays champion: {decision.why}")
    if decision.outcome == "refused":
        raise ReleaseError(
            f"release {release.release_id} is not promoted: {decision.why}",
            f"The champion is kept; {card} has the full comparison. `headrace release promote ID --override REASON` "
            "promotes it anyway",
        )
    return decision


def submit_pending(settings: Settings, *, without: str = "") -> int:
    """Submit all pending releases except `without`; a refusal, or that one stays pending, is printed. Returns how many
    were submitted.

    Raises ServiceError if MLflow is unavailable.
    """
    waiting = [each for each in pending(settings) if each.release_id != without]
    for each in waiting:
        try:
            submit(settings, each)
        except ServiceError:
            raise
        except HeadraceError as error:
            print(error, file=sys.stderr)
    return len(waiting)


def _log(
    registry: Registry, submission: Submission, release: Release, backtest: Release, card: Path, decision: Decision
) -> str:
    refused = decision.outcome == "refused"
    tags = {"gates": "refused" if refused else "passed", "decision": decision.outcome, "decided_by": decision.why}
    tags |= {"compared_with": decision.champion or "none"}
    tags |= {"refusal": decision.why} if refused else {}
    beside = {BACKTEST_FOLDER: backtest.folder, CARD_FOLDER: card}
    return registry.log_release(release, submission.records, tags, beside)


def _done(settings: Settings, submission: Submission) -> None:
    _file(settings, submission.release_id).unlink(missing_ok=True)


def _file(settings: Settings, release_id: str) -> Path:
    return settings.home_folder / "pending" / f"{release_id}.json"


def _read(path: Path) -> Submission:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return Submission(
            content["release_id"],
            date.fromisoformat(content["day"]),
            [TrainingRecord(**each) for each in content["records"]],
            [Gate(**each) for each in content["floors"]],
        )
    except (OSError, ValueError, TypeError, KeyError):
        raise BadInputError(
            f"{path} is not a pending release", "Remove it and run models.build_release again"
        ) from None
