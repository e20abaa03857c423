"""Is the challenger shown to be no worse than the champion on each guardrail, and better on one?

Pure rules over what was measured; `models.gate.champion_challenger` measures. The limits are the settings `gate`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from headrace.settings.jobs import GateSettings
from models.metrics.resampling import paired_difference

Verdict = Literal["better", "equal", "holds back", "worse"]
"""`holds back`: not refused, but a person has to promote it."""
Floats = npt.NDArray[np.float64]
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Guardrail:
    """One comparison: a number of either side, and what follows."""

    name: str
    champion: float | None
    """None where nothing is compared."""
    challenger: float | None
    verdict: Verdict
    why: str
    """In words: the change, its interval, the limit."""

    @property
    def sentence(self) -> str:
        """For people."""
        return f"{self.name} {'' if self.verdict == 'holds back' else 'is '}{self.verdict}: {self.why}"


def quality(name: str, challenger: Floats, champion: Floats, tolerance: float, settings: GateSettings) -> Guardrail:
    """A metric of the same users under both releases, and whether it is shown not to be worse (non-inferiority).

    Worse if the mean fell by more than `tolerance` and not by chance; holds back unless the whole interval is above
    −`tolerance`, which few users never reach.
    """
    if len(challenger) < settings.least_validation_users:
        return Guardrail(name, None, None, "holds back", _too_few(len(challenger), settings))
    fell, low, found = _compared(name, challenger, champion, tolerance, CONFIDENCE)
    not_worse = low >= -tolerance * float(champion.mean())
    return replace(
        found, verdict="worse" if fell else "holds back" if not not_worse else "better" if low > 0 else "equal"
    )


def of_slice(
    name: str, challenger: Floats, champion: Floats, tolerance: float, settings: GateSettings, slices: int
) -> Guardrail:
    """One of so many slices, which can only be worse. Their intervals are so much wider that all of them together are
    wrong as seldom as one would be (Bonferroni)."""
    if len(challenger) < settings.least_validation_users:
        return Guardrail(name, None, None, "equal", _too_few(len(challenger), settings))
    fell, _, found = _compared(name, challenger, champion, tolerance, 1 - (1 - CONFIDENCE) / slices)
    return replace(found, verdict="worse" if fell else "equal")


def _too_few(users: int, settings: GateSettings) -> str:
    return f"{users} validation users are too few, {settings.least_validation_users} are needed"


def _compared(
    name: str, challenger: Floats, champion: Floats, tolerance: float, share: float
) -> tuple[bool, float, Guardrail]:
    """Whether the mean fell, not by chance, and the lower bound of the difference; the verdict is left open."""
    difference, low, high = paired_difference(challenger, champion, share)
    before = float(champion.mean())
    fell = not difference >= -tolerance * before and not high >= 0  # also where one is NaN
    changed = f"{difference / before:+.1%}" if before else "from 0"
    bounds = f" ({low / before:+.1%} to {high / before:+.1%})" if before else ""
    why = f"{changed}{bounds} over {len(champion):,} validation users, limit -{tolerance:.0%}"
    return fell, low, Guardrail(name, before, float(challenger.mean()), "equal", why)


def number(name: str, challenger: float, champion: float, tolerance: float, *, more_is_better: bool) -> Guardrail:
    """Worse or better where it changed by more than the share `tolerance` of the champion's; a NaN is worse."""
    change = (challenger - champion) / champion if champion else 0.0
    gain = change if more_is_better else -change
    verdict: Verdict = "equal" if abs(gain) <= tolerance else "better" if gain > 0 else "worse"
    return Guardrail(name, champion, challenger, verdict, f"{change:+.1%}, limit ±{tolerance:.0%}")


def latency(challenger_ms: Floats, champion_ms: Floats, settings: GateSettings) -> Guardrail:
    """Milliseconds to rank the candidates of the same users, taken in turns: by the median of the users' ratios."""
    name = "latency of ranking, ms"
    if len(challenger_ms) < settings.least_validation_users:
        return Guardrail(name, None, None, "equal", f"{len(challenger_ms)} requests are too few to decide")
    before = float(np.median(champion_ms))
    ratio = float(np.median(challenger_ms / champion_ms))
    compared = number(name, before * ratio, before, settings.latency_tolerance, more_is_better=False)
    return Guardrail(name, before, float(np.median(challenger_ms)), compared.verdict, compared.why)


def size(challenger_bytes: float, champion_bytes: float, settings: GateSettings) -> Guardrail:
    """A much larger bundle holds back: it is a fault or meant, which a person knows."""
    found = number("size in bytes", challenger_bytes, champion_bytes, settings.size_tolerance, more_is_better=False)
    return replace(found, verdict="holds back") if found.verdict == "worse" else found


def drift(share: float | None, settings: GateSettings) -> Guardrail:
    """Holds back if too many features have drifted since the champion was trained: faulty data, or a world that did
    change and that the champion knows even less."""
    name = "drifted features, share"
    if share is None:
        return Guardrail(name, None, None, "equal", "the job `drift` has not compared this day with the champion's")
    limit = settings.drifted_features
    verdict: Verdict = "holds back" if share > limit else "equal"
    return Guardrail(name, None, share, verdict, f"{share:.0%}, limit {limit:.0%}")


def freshness(challenger: datetime, champion: datetime, settings: GateSettings) -> Guardrail:
    """Training on later days counts as better (if the settings say so): new items, current prices and preferences."""
    days = (challenger - champion).total_seconds() / 86_400
    verdict: Verdict = "better" if days > 0 and settings.fresher_is_better else "equal"
    return Guardrail("freshness", None, None, verdict, f"includes {days:g} more days")


def outcome(guardrails: Sequence[Guardrail]) -> tuple[Literal["promoted", "kept", "refused"], str]:
    """Decision on the challenger, and why: refused if worse on any guardrail; kept as challenger if any holds it back,
    or if it is better on none."""

    def sentences(verdict: Verdict) -> str:
        return "; ".join(each.sentence for each in guardrails if each.verdict == verdict)

    if worse := sentences("worse"):
        return "refused", worse
    if held := sentences("holds back"):
        return "kept", held
    if better := sentences("better"):
        return "promoted", better
    return "kept", "no guardrail is better"


def beside_the_anchor(guardrails: Sequence[Guardrail]) -> list[Guardrail]:
    """Comparisons with the anchor as guardrails of the decision: to be better than an old release is no merit."""
    return [replace(each, verdict="equal") if each.verdict == "better" else each for each in guardrails]


def as_json(guardrails: Sequence[Guardrail]) -> list[dict[str, Any]]:
    """For the record of the decision."""
    return [asdict(each) for each in guardrails]
