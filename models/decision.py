"""What becomes of a challenger: promoted, kept beside the champion, or refused; with all that it was decided by."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

import pyarrow.compute as pc

from headrace.errors import BadInputError, HeadraceError, ServiceError
from headrace.release import Manifest, Release, open_release, read_manifest
from headrace.releases import REHEARSAL_FOLDER, bring_rehearsal, bring_release
from headrace.settings import Settings
from headrace.settings_jobs import GateSettings
from headrace.tables import QUALITY_RESULTS
from models import gates, guardrails
from models.contest import Contest, hold_contest
from models.gates import Gate
from models.gold import Lake
from models.guardrails import Guardrail
from models.registry import Registry, Version

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
    """Empty where nothing was compared: `why` says so."""
    contest: Contest | None = None

    def as_json(self) -> dict[str, Any]:
        """For the record; the contest is in the model card."""
        return {
            "outcome": self.outcome,
            "why": self.why,
            "champion": self.champion,
            "floors": gates.as_json(self.floors),
            "guardrails": guardrails.as_json(self.guardrails),
        }


def decide(
    settings: Settings, registry: Registry, day: date, release: Release, rehearsal: Release, floors: list[Gate]
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
        return Decision("promoted", f"the first release: {passed}", None, floors, [], _alone(settings, day, rehearsal))
    try:
        live = read_manifest(bring_release(settings, champion.run_id, champion.release_id))
        if live.as_of > release.manifest.as_of:
            why = f"the champion {named} knows later days; `headrace release promote` takes an earlier one all the same"
            return Decision("kept", why, named, floors, [], _alone(settings, day, rehearsal))
        against = _rehearsal_of(settings, registry, champion, rehearsal)
        contest = hold_contest(settings, day, rehearsal, against)
    except ServiceError:
        raise
    except HeadraceError as error:
        why = f"not compared with the champion {named}: {error.problem}. The floors decide: {passed}"
        return Decision("promoted", why, named, floors, [], _alone(settings, day, rehearsal))
    compared = _guardrails(settings, day, release.manifest, live, contest)
    outcome, why = guardrails.outcome(compared)
    return Decision(outcome, why, named, floors, compared, contest)


def _alone(settings: Settings, day: date, rehearsal: Release) -> Contest | None:
    return hold_contest(settings, day, rehearsal, None)


def _rehearsal_of(settings: Settings, registry: Registry, champion: Version, ours: Release) -> Release:
    """Raises HeadraceError where it was not kept, or knows more than ours: then it was no fair judge's match."""
    here = settings.rehearsals / champion.release_id
    if not here.exists() and not registry.keeps(champion, REHEARSAL_FOLDER):
        raise HeadraceError("its run keeps no rehearsal")
    found = open_release(bring_rehearsal(settings, champion.run_id, champion.release_id))
    if found.manifest.as_of > ours.manifest.as_of:
        raise HeadraceError("its rehearsal knows part of this holdout, which is longer")
    return found


def _guardrails(
    settings: Settings, day: date, ours: Manifest, champion: Manifest, contest: Contest | None
) -> list[Guardrail]:
    gate = settings.gate
    found = _of_judges(contest, gate) if contest else []
    size, before = (float(sum(file.bytes for file in each.files.values())) for each in (ours, champion))
    found.append(guardrails.number("size in bytes", size, before, gate.size_tolerance, more_is_better=False))
    found.append(guardrails.drift(_drifted(settings, day), gate))
    found.append(guardrails.freshness(ours.as_of, champion.as_of, gate))
    return found


def _of_judges(contest: Contest, gate: GateSettings) -> list[Guardrail]:
    found = []
    for task, (ours, theirs) in contest.quality.items():
        found.append(guardrails.quality(QUALITY.format(task), ours, theirs, gate.quality_tolerance, gate))
    for name, (ours, theirs) in contest.slices.items():
        many = len(contest.slices)
        found.append(guardrails.quality(SLICE.format(name), ours, theirs, gate.slice_tolerance, gate, compared=many))
    ours, theirs = contest.ranking_ms
    found.append(guardrails.latency(ours, theirs, gate))
    covered, before = (score.coverage_at_20 for score in contest.of_both())
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
