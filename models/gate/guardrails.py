"""Is the challenger no worse than the champion on each guardrail, and better on one?

Pure rules over what was measured; `models.gate.champion_challenger` measures. The limits are the settings `gate`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from headrace.settings.jobs import GateSettings
from models.metrics.resampling import paired_difference

Verdict = Literal["better", "equal", "worse"]
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
        return f"{self.name} is {self.verdict}: {self.why}"


def quality(
    name: str, challenger: Floats, champion: Floats, tolerance: float, settings: GateSettings, compared: int = 0
) -> Guardrail:
    """A metric of the same users under both releases: worse if the mean fell by more than `tolerance`, not by chance.

    `compared` > 0: one of so many slices, which can only be worse. Their intervals are so much wider that all of them
    together are wrong as seldom as one would be (Bonferroni).
    """
    if len(challenger) < settings.least_validation_users:
        why = f"{len(challenger)} validation users are too few, {settings.least_validation_users} are needed"
        return Guardrail(name, None, None, "equal", why)
    difference, low, high = paired_difference(challenger, champion, 1 - (1 - CONFIDENCE) / max(1, compared))
    before = float(champion.mean())
    fell = not difference >= -tolerance * before and not high >= 0  # also where one is NaN
    verdict: Verdict = "worse" if fell else "better" if low > 0 and not compared else "equal"
    changed = f"{difference / before:+.1%}" if before else "from 0"
    why = f"{changed}, difference {difference:+.4f} ({low:+.4f} to {high:+.4f}) over {len(champion):,} validation users"
    return Guardrail(name, before, float(challenger.mean()), verdict, f"{why}, limit -{tolerance:.0%}")


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


def drift(share: float | None, settings: GateSettings) -> Guardrail:
    """Worse if too many features have drifted since the champion was trained: changed behaviour or faulty data."""
    name = "drifted features, share"
    if share is None:
        return Guardrail(name, None, None, "equal", "the job `drift` has not compared this day with the champion's")
    limit = settings.drifted_features
    return Guardrail(name, None, share, "worse" if share > limit else "equal", f"{share:.0%}, limit {limit:.0%}")


def freshness(challenger: datetime, champion: datetime, settings: GateSettings) -> Guardrail:
    """Training on later days counts as better (if the settings say so): new items, current prices and preferences."""
    days = (challenger - champion).total_seconds() / 86_400
    verdict: Verdict = "better" if days > 0 and settings.fresher_is_better else "equal"
    return Guardrail("freshness", None, None, verdict, f"includes {days:g} more days")


def outcome(guardrails: Sequence[Guardrail]) -> tuple[Literal["promoted", "kept", "refused"], str]:
    """Decision on the challenger, and why: refused if worse on any guardrail, kept as challenger if better on none."""
    worse = [each.sentence for each in guardrails if each.verdict == "worse"]
    better = [each.sentence for each in guardrails if each.verdict == "better"]
    if worse:
        return "refused", "; ".join(worse)
    if better:
        return "promoted", "; ".join(better)
    return "kept", "no guardrail is better"


def as_json(guardrails: Sequence[Guardrail]) -> list[dict[str, Any]]:
    """For the record of the decision."""
    return [asdict(each) for each in guardrails]
