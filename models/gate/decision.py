"""Decision on a challenger: promoted, kept as challenger, or refused; with the metrics it is based on."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Literal

import numpy as np
import pyarrow.compute as pc

from headrace.errors import BadInputError, HeadraceError, ServiceError
from headrace.release.bundle import Manifest, Release, open_release, read_manifest
from headrace.release.registry import BACKTEST_FOLDER, bring_backtest, bring_release
from headrace.settings import Settings
from headrace.settings.jobs import GateSettings
from headrace.tables import QUALITY_RESULTS
from models.evaluation.comparison import OURS
from models.gate import floors as gates
from models.gate import guardrails
from models.gate.champion_challenger import ChampionChallenger, ComparisonKilledError, compare_backtests
from models.gate.floors import Gate
from models.gate.guardrails import Guardrail
from models.release.backtest import require_forward
from models.release.registry import ANCHOR, CHAMPION, Registry, Version
from models.training.gold import Lake

SLICE, QUALITY = "slice nDCG@20 of {}", "quality, nDCG@20 of task {}"
BY_HAND = "`headrace release promote` accepts it anyway"
ALONE_USERS = 400
AGAINST_ANCHOR = "quality against the anchor, nDCG@20 of task {}"


@dataclass(frozen=True)
class Decision:
    """On one challenger."""

    outcome: Literal["promoted", "kept", "refused"]
    why: str
    champion: str | None
    """Release id of the champion of that moment."""
    floors: list[Gate]
    guardrails: list[Guardrail] = field(default_factory=list)
    """Empty where nothing was compared; then `why` has the reason."""
    champion_challenger: ChampionChallenger | None = None
    becomes_anchor: bool = False
    """Promoted, and the first release or shown to be better than the anchor."""

    def as_json(self) -> dict[str, Any]:
        """For the record; the comparison is in the model card."""
        return {
            "outcome": self.outcome,
            "why": self.why,
            "champion": self.champion,
            "floors": gates.as_json(self.floors),
            "guardrails": guardrails.as_json(self.guardrails),
        }


def decide(
    settings: Settings, registry: Registry, day: date, release: Release, backtest: Release, floors: list[Gate]
) -> Decision:
    """Floors first, then champion and anchor; what cannot be compared with them is kept, not promoted.

    Raises HeadraceError where the challenger itself cannot be served, ServiceError or ComparisonKilledError where the
    comparison may work later.
    """
    champion = registry.champion()
    named = champion.release_id if champion else None
    if broken := "; ".join(gate.sentence() for gate in floors if not gate.passed):
        return Decision("refused", broken, named, floors)
    if champion is None:
        why = f"the first release: {'; '.join(gate.sentence() for gate in floors)}"
        return Decision("promoted", why, None, floors, [], _alone(settings, day, backtest), becomes_anchor=True)
    try:
        live = read_manifest(bring_release(settings, champion.run_id, champion.release_id))
        if live.as_of > release.manifest.as_of:
            why = f"the champion {named} includes later days; {BY_HAND}"
            return Decision("kept", why, named, floors, [], _alone(settings, day, backtest))
        require_forward(backtest, _before_holdout(settings, day))
        others = {CHAMPION: _backtest_of(settings, registry, champion, backtest, day)}
        anchor = registry.anchor()
        if anchor and anchor.number != champion.number:
            others[ANCHOR] = _backtest_of(settings, registry, anchor, backtest, day)
        compared = compare_backtests(settings, day, backtest, others, settings.gate.validation_users)
        if compared is None:
            raise HeadraceError("no validation user took an item in the holdout")
    except (ServiceError, ComparisonKilledError):
        raise
    except HeadraceError as error:
        why = f"it could not be compared with the champion {named}: {error.problem}; {BY_HAND}"
        return Decision("kept", why, named, floors, [], _alone(settings, day, backtest))
    found = _guardrails(settings, day, release.manifest, live, compared)
    against_anchor = _qualities(compared, compared.others[-1], AGAINST_ANCHOR, settings.gate)
    if ANCHOR in compared.others:
        found += guardrails.beside_the_anchor(against_anchor)
    outcome, why = guardrails.outcome(found)
    beats_anchor = outcome == "promoted" == guardrails.outcome(against_anchor)[0]
    return Decision(outcome, why, named, floors, found, compared, beats_anchor)


def _alone(settings: Settings, day: date, backtest: Release) -> ChampionChallenger | None:
    """For the card only: where nothing is compared, few users are enough."""
    return compare_backtests(settings, day, backtest, {}, min(ALONE_USERS, settings.gate.validation_users))


def _before_holdout(settings: Settings, day: date) -> date:
    return day - timedelta(days=settings.training.holdout_days)


def _backtest_of(settings: Settings, registry: Registry, version: Version, ours: Release, day: date) -> Release:
    """Raises HeadraceError where there is none, or it was trained on later days than ours: an unfair comparison."""
    here = settings.backtests / version.release_id
    if not here.exists() and not registry.keeps(version, BACKTEST_FOLDER):
        raise HeadraceError(f"the run of {version.release_id} has no backtest bundle")
    found = open_release(bring_backtest(settings, version.run_id, version.release_id))
    if found.manifest.as_of > ours.manifest.as_of:
        raise HeadraceError(f"the backtest bundle of {version.release_id} includes part of this holdout")
    require_forward(found, _before_holdout(settings, day))
    return found


def _guardrails(
    settings: Settings, day: date, ours: Manifest, champion: Manifest, compared: ChampionChallenger
) -> list[Guardrail]:
    gate = settings.gate
    found = _qualities(compared, CHAMPION, QUALITY, gate)
    for name, (scores, theirs, *_) in compared.slices.items():
        slices = len(compared.slices)
        found.append(guardrails.of_slice(SLICE.format(name), scores, theirs, gate.slice_tolerance, gate, slices))
    ours_ms, theirs_ms = compared.ranking_ms[:2]
    found.append(guardrails.latency(ours_ms, theirs_ms, gate))
    covered, before = (compared.score(name).coverage_at_20 for name in (OURS, CHAMPION))
    found.append(guardrails.number("coverage@20", covered, before, gate.coverage_tolerance, more_is_better=True))
    size, size_before = (float(sum(file.bytes for file in each.files.values())) for each in (ours, champion))
    found.append(guardrails.size(size, size_before, gate))
    found.append(guardrails.drift(_drifted(settings, day), gate))
    found.append(guardrails.freshness(ours.as_of, champion.as_of, gate))
    return found


def _qualities(compared: ChampionChallenger, other: str, name: str, gate: GateSettings) -> list[Guardrail]:
    """On each task, against one of the others; a task without any user counts as one with too few."""
    nobody = [np.zeros(0)] * (1 + len(compared.others))
    place = 1 + compared.others.index(other)
    tolerances = {"all": gate.quality_tolerance, "new": gate.new_tolerance}
    found = []
    for task, tolerance in tolerances.items():
        scores = compared.quality.get(task, nobody)
        found.append(guardrails.quality(name.format(task), scores[0], scores[place], tolerance, gate))
    return found


def _drifted(settings: Settings, day: date) -> float | None:
    """Share of the features compared on the day that drifted by any measure; None where none was compared."""
    try:
        rows = Lake(settings.lake_root).read(QUALITY_RESULTS, day, ["stage", "table", "column", "passed", "measured"])
    except BadInputError:
        return None
    rows = rows.filter(pc.and_(pc.equal(rows.column("stage"), "drift"), pc.is_valid(rows.column("measured"))))
    features = rows.group_by(["table", "column"]).aggregate([("passed", "min")])
    return 1.0 - float(pc.mean(features.column("passed_min")).as_py()) if features.num_rows else None
