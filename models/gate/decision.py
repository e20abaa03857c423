"""Decision on a challenger: promoted, kept as challenger, or refused; with the metrics it is based on."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

import pyarrow.compute as pc

from headrace.errors import BadInputError, HeadraceError, ServiceError
from headrace.release.bundle import Manifest, Release, open_release, read_manifest
from headrace.release.registry import BACKTEST_FOLDER, bring_backtest, bring_release
from headrace.settings import Settings
from headrace.settings.jobs import GateSettings
from headrace.tables import QUALITY_RESULTS
from models.gate import floors as gates
from models.gate import guardrails
from models.gate.champion_challenger import ChampionChallenger, compare_with_champion
from models.gate.floors import Gate
from models.gate.guardrails import Guardrail
from models.release.registry import Registry, Version
from models.training.gold import Lake

SLICE, QUALITY = "slice nDCG@20 of {}", "quality, nDCG@20 of task {}"


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
    """Floors first, then the champion, if there is one that can be compared.

    Raises HeadraceError where the challenger itself cannot be served.
    """
    champion = registry.champion()
    named = champion.release_id if champion else None
    if broken := "; ".join(gate.sentence() for gate in floors if not gate.passed):
        return Decision("refused", broken, named, floors)
    passed = "; ".join(gate.sentence() for gate in floors)
    if champion is None:
        return Decision("promoted", f"the first release: {passed}", None, floors, [], _alone(settings, day, backtest))
    try:
        live = read_manifest(bring_release(settings, champion.run_id, champion.release_id))
        if live.as_of > release.manifest.as_of:
            how = "`headrace release promote` accepts an earlier release anyway"
            why = f"the champion {named} includes later days; {how}"
            return Decision("kept", why, named, floors, [], _alone(settings, day, backtest))
        against = _backtest_of(settings, registry, champion, backtest)
        champion_challenger = compare_with_champion(settings, day, backtest, against)
    except ServiceError:
        raise
    except HeadraceError as error:
        why = f"not compared with the champion {named}: {error.problem}. The floors decide: {passed}"
        return Decision("promoted", why, named, floors, [], _alone(settings, day, backtest))
    compared = _guardrails(settings, day, release.manifest, live, champion_challenger)
    outcome, why = guardrails.outcome(compared)
    return Decision(outcome, why, named, floors, compared, champion_challenger)


def _alone(settings: Settings, day: date, backtest: Release) -> ChampionChallenger | None:
    return compare_with_champion(settings, day, backtest, None)


def _backtest_of(settings: Settings, registry: Registry, champion: Version, ours: Release) -> Release:
    """Raises HeadraceError where there is none, or it was trained on later days than ours: an unfair comparison."""
    here = settings.backtests / champion.release_id
    if not here.exists() and not registry.keeps(champion, BACKTEST_FOLDER):
        raise HeadraceError("its run has no backtest bundle")
    found = open_release(bring_backtest(settings, champion.run_id, champion.release_id))
    if found.manifest.as_of > ours.manifest.as_of:
        raise HeadraceError("its backtest bundle includes part of this holdout, which is longer")
    return found


def _guardrails(
    settings: Settings, day: date, ours: Manifest, champion: Manifest, champion_challenger: ChampionChallenger | None
) -> list[Guardrail]:
    gate = settings.gate
    found = _of_validation_users(champion_challenger, gate) if champion_challenger else []
    size, before = (float(sum(file.bytes for file in each.files.values())) for each in (ours, champion))
    found.append(guardrails.number("size in bytes", size, before, gate.size_tolerance, more_is_better=False))
    found.append(guardrails.drift(_drifted(settings, day), gate))
    found.append(guardrails.freshness(ours.as_of, champion.as_of, gate))
    return found


def _of_validation_users(champion_challenger: ChampionChallenger, gate: GateSettings) -> list[Guardrail]:
    found = []
    for task, (ours, theirs) in champion_challenger.quality.items():
        found.append(guardrails.quality(QUALITY.format(task), ours, theirs, gate.quality_tolerance, gate))
    for name, (ours, theirs) in champion_challenger.slices.items():
        many = len(champion_challenger.slices)
        found.append(guardrails.quality(SLICE.format(name), ours, theirs, gate.slice_tolerance, gate, compared=many))
    ours, theirs = champion_challenger.ranking_ms
    found.append(guardrails.latency(ours, theirs, gate))
    covered, before = (score.coverage_at_20 for score in champion_challenger.of_both())
    found.append(guardrails.number("coverage@20", covered, before, gate.coverage_tolerance, more_is_better=True))
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
