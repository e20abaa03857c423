"""What an example's item is compared with."""

from __future__ import annotations

from dataclasses import dataclass

from headrace.settings.jobs import TrainingSettings


@dataclass(frozen=True)
class Negatives:
    """The softmax's other side: the items of the batch, of a sample, or of the whole catalogue.

    In every case an item that the occasion itself holds, and another copy of the target, are not negatives.
    """

    whole_catalogue: bool = False
    """Every item that training ever meets, instead of those of the batch."""
    own: bool = True
    """Of the whole catalogue: what the user's history holds is one too."""
    correct_popularity: bool = False
    """Of the batch: popular items are negatives more often, which log q corrects."""
    sampled: int = 0
    """Items drawn from the catalogue in each step in addition to those of the batch (Yang et al. 2020): what no user
    takes is then seen as a negative too."""
    hardest: int = 0
    """Only so many with the largest logits count for each occasion; 0 = all."""
    temperature: float = 1.0
    """Logits are divided by it: below 1 the nearest negatives count more."""

    @classmethod
    def of(cls, training: TrainingSettings) -> Negatives:
        """From the settings."""
        return cls(
            training.retrieval_negatives == "catalogue",
            training.repeat_weight > 0,
            training.popularity_correction,
            training.retrieval_sampled_negatives,
            training.retrieval_hardest_negatives,
            training.retrieval_temperature,
        )
