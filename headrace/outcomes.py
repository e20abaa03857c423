"""What may happen to a candidate, beside being taken at all: the names under which jobs, serving and training meet."""

from __future__ import annotations

OUTCOMES = ("click", "cart", "purchase", "dwell")
"""Events of the first three (a view counts as a click), seconds of the last; in the order of the candidates' file."""
OUTCOME_COLUMNS = ("target_clicks", "target_carts", "target_purchases", "target_dwell")
"""The same of the target items in `gold.ranking_examples`."""
PROPENSITY = "propensity"
"""Key in the `context` of an impression: the chance with which the item was shown."""
