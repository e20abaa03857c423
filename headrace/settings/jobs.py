"""Settings of what the jobs do: cleaning, features, quality, maintenance, training, and the gate of a release."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from headrace.settings.group import Group


class CleanSettings(Group):
    """What a person can do. Who does more is flagged in `silver.bots`: events are kept, features leave them out."""

    moments_per_minute: PositiveInt = 120
    """Most different event times of one subject within a minute; the lines of one receipt share theirs."""
    events_per_day: PositiveInt = 5000
    """Most events of one subject on a day."""


class FeatureSettings(Group):
    """Windows and half-lives of the batch features."""

    history_length: PositiveInt = 50
    """Most recent events of a user that the user tower reads."""
    affinity_items: PositiveInt = 1000
    """Most items kept in a user's own list, best decayed count first."""
    affinity_half_life_days: PositiveFloat = 84.0
    """A purchase counts half after this many days in the user's own list."""
    popularity_days: PositiveInt = 28
    """Window of the popular lists: distinct buyers in the last so many days."""
    trend_days: PositiveInt = 56
    """Longer window that popularity is compared with; the tower's prior is the mean of both on a logarithmic scale."""
    item_half_life_days: PositiveFloat = 28.0
    """A view, cart or purchase counts half after this many days in an item's decayed counts."""
    freshness_half_life_days: PositiveFloat = 28.0
    """An item is half as fresh after this many days since its first event of interest."""
    conversion_prior: PositiveFloat = 20.0
    """Views, carts and purchases at the mean conversion of all items that every item's own are added to."""
    rating_prior: PositiveFloat = 5.0
    """Ratings at the mean of all ratings that every item's own are added to."""
    return_prior: PositiveFloat = 10.0
    """Purchases at the mean return rate of all items that every item's own are added to."""
    preferred_categories: PositiveInt = 10
    """Most categories kept for a user, best decayed count first."""
    usual_contexts: PositiveInt = 5
    """Most devices, and most surfaces, kept for a user, those of most visits first."""
    content_length: PositiveInt = 32
    """Length of an item's content vector."""
    late_days: NonNegativeInt = 7
    """Days back that the daily run computes anew where events of theirs came late; `features --late` takes more."""


class QualitySettings(Group):
    """Limits of the checks of tables and features. An `error` stops the run, a `warn` is only reported."""

    volume_weeks: PositiveInt = 4
    """Events of a day are compared with the median of the same weekday in so many weeks before."""
    volume_least: float = Field(default=0.1, ge=0)
    """Error below this ratio to the weekday's median: part of the events is missing."""
    volume_low: float = Field(default=0.5, ge=0)
    """Warning below this ratio."""
    volume_high: PositiveFloat = 3.0
    """Warning above this ratio: events that came twice, or bots."""
    fresh_days: PositiveFloat = 3.0
    """Error if the newest event is older than this at the end of the day."""
    refused_share: float = Field(default=0.2, ge=0, le=1)
    """Error above this share of refused rows among those received on the day or the next; see the reasons there."""
    refused_low: float = Field(default=0.01, ge=0, le=1)
    """Warning above this share of refused rows."""
    unknown_share: float = Field(default=0.2, ge=0, le=1)
    """Error above this share of events whose item the catalogue does not know; fewer are a warning."""
    samples: PositiveInt = 3
    """Broken rows shown for each failed expectation."""
    drift_psi: PositiveFloat = 0.2
    """A feature has drifted above this population stability index; below 0.1 is common, above 0.25 a change."""
    drift_ks: PositiveFloat = 0.1
    """The same for the largest distance of the two cumulative distributions (Kolmogorov-Smirnov), 0 to 1."""
    drift_nulls: PositiveFloat = 0.05
    """The same for the change of the share of rows without a value, either way."""
    drift_new: PositiveFloat = 0.01
    """The same for the share of values in categories that the training data did not have."""
    drift_rows: PositiveInt = 100_000
    """Rows of a table compared on either day, a sample of the keys where there are more."""


class MaintenanceSettings(Group):
    """What the job `maintenance` keeps of the past, in days before the day it is run for; 0 = for ever."""

    versions_days: PositiveInt = 30
    """Older versions of the tables can be read, and training sets built from them again, for so long."""
    bronze_days: NonNegativeInt = 0
    """Days of `bronze.*`, the rows as received: what silver can be made of again."""
    gold_days: NonNegativeInt = 180
    """Days of the features and examples; longer than `training.holdout_days` with `features.late_days`."""
    quality_days: NonNegativeInt = 365
    """Days of the findings in `quality.results`, and of the report pages."""
    training_days: NonNegativeInt = 30
    """Days of the training files in `<home>/training`."""
    requests_days: PositiveInt = 60
    """Days that a request to be forgotten is held against what still arrives; longer than the topics keep records."""


class TrainingSettings(Group):
    """Training of the two-tower model and the ranker."""

    seed: int = 7
    """Seed of every random choice."""
    retrieval_days: PositiveInt = 168
    """Days of events that the two-tower learns from."""
    holdout_days: PositiveInt = 28
    """Last days kept from the first training: the ranker learns on them and retrieval is judged on them."""
    embedding_size: PositiveInt = 96
    """Length of user and item vectors, the popularity dimension included."""
    retrieval_batch_size: PositiveInt = 1024
    """Examples per step of the two-tower; the other items of a batch are its negatives."""
    retrieval_part_users: PositiveInt = 100_000
    """Users whose sequences are in memory at a time while the two-tower trains."""
    retrieval_optimiser: Literal["adagrad", "adam"] = "adagrad"
    """`adagrad` touches only the items of a step; `adam` all of them: for small catalogues, at a tenth of the rate."""
    retrieval_learning_rate: PositiveFloat = 0.016
    """The optimiser's rate for the two-tower."""
    retrieval_negatives: Literal["batch", "catalogue"] = "batch"
    """What an example's item is compared with: `batch`, the items of its step, or `catalogue`, every item that was ever
    taken: the exact softmax, for up to some ten thousand items (4 bytes × items × `retrieval_batch_size` of memory,
    several times); it learns popularity itself."""
    retrieval_sampled_negatives: NonNegativeInt = Field(default=0, le=100_000)
    """Items drawn from the catalogue in each step as negatives beside those of the batch."""
    retrieval_hardest_negatives: NonNegativeInt = 0
    """Only so many negatives, those with the largest logits, count for an example; 0 = all."""
    retrieval_temperature: PositiveFloat = 0.75
    """Logits are divided by it in training: below 1 the nearest negatives count more."""
    retrieval_reorders: bool = False
    """Every pass takes each user's events in another order, for data without times: more to learn from."""
    user_tower: Literal["pooling", "attention"] = "pooling"
    """`pooling`: a weighted sum of the recent items; `attention`: reads their order and the time between them, for data
    in which what comes next depends on what came last (films, sessions)."""
    tower_context: bool = False
    """The user tower also reads when the newest event happened: hour and weekday, UTC."""
    attention_layers: PositiveInt = 2
    """Layers of self-attention in the user tower `attention`."""
    attention_heads: PositiveInt = 2
    """Parts of a vector in that tower that attend by themselves."""
    attention_dropout: float = Field(default=0.2, ge=0, lt=1)
    """Share of each layer's results in that tower that is left out in a step of training."""
    retrieval_epochs: PositiveInt = 1
    """Most passes over the retrieval examples."""
    retrieval_patience: NonNegativeInt = 0
    """The two-tower stops early, with its best weights, when the holdout's recall of new items has not grown for so
    many looks (four an epoch); 0 = it trains to the end."""
    checkpoint_seconds: PositiveFloat = 300.0
    """A model is saved so often while it trains: run again after a crash, training goes on from there. Not the
    two-tower's with several workers, nor up to the holdout where `retrieval_patience` is set."""
    example_half_life_days: PositiveFloat = 240.0
    """An example weighs half after this many days."""
    repeat_weight: float = Field(default=0.8, ge=0)
    """Weight of an example whose item the user took before, against 1 of a new one. At 0 nothing is learned of repeats:
    with `retrieval_negatives` = `catalogue` what the history holds is no negative either."""
    retrieval_view_weight: float = Field(default=1.0, ge=0)
    """What an example of the two-tower counts for whose item is viewed; viewed and bought at one time, the more."""
    retrieval_click_weight: float = Field(default=1.0, ge=0)
    """The same of a click."""
    retrieval_cart_weight: float = Field(default=1.0, ge=0)
    """The same of what is put into the cart."""
    retrieval_purchase_weight: float = Field(default=1.0, ge=0)
    """The same of a purchase."""
    retrieval_rating_weight: float = Field(default=1.0, ge=0)
    """The same of a rating."""
    retrieval_like_weight: float = Field(default=1.0, ge=0)
    """The same of a like."""
    item_freshness: bool = False
    """The item tower also reads how long an item has been there: up to 1, 2, 4, 8 or 16 weeks, or more."""
    popularity_correction: bool = False
    """Subtract log q(item) from the in-batch logits, so that popular items are not punished for being common negatives.
    Either way the popularity prior is weighted on the holdout; on the demo data it serves better than correction."""
    id_dropout: float = Field(default=0.2, ge=0, lt=1)
    """Share of items that learn without their id in a step, so that new items have a useful vector."""
    word_buckets: PositiveInt = 16_384
    """Hash buckets of the words of an item's title and text."""
    price_buckets: PositiveInt = 16
    """Price classes of the item tower, equally full, on the logarithm of the price."""
    trending_candidates: NonNegativeInt = Field(default=0, le=500)
    """So many items that more users take than in the weeks before are candidates of everybody."""
    neighbour_model: Literal["ease", "item_knn", "user_knn", "ials", "spark_als", "content"] = "ease"
    """Which model says what goes with what: as candidates, as numbers for the ranker and in reasons."""
    neighbours: PositiveInt = 400
    """What each item says of so many others is kept: those that go with it most and, of EASE, those that it speaks
    against most."""
    neighbour_items: PositiveInt = 5_000
    """Only the items with most users have neighbours; memory and time grow with the square of their number."""
    neighbour_least_users: PositiveInt = 3
    """Items with fewer users have none."""
    neighbour_ridge: PositiveFloat = 300.0
    """Shrinks the weights between items (EASE)."""
    ranker_model: Literal["wide_deep", "dcn", "ncf"] = "dcn"
    """`wide_deep`: Wide & Deep; `dcn`: DCN-v2; `ncf`: a small neural CF."""
    ranker_members: PositiveInt = Field(default=2, le=16)
    """Rankers that learn from different starts; a candidate's score is the mean of theirs. Training and ranking cost so
    many times as much."""
    ranker_trees: NonNegativeInt = Field(default=300, le=2000)
    """Boosted trees of a forest, blended with the members; 0 = none. A hundred cost a request about 0.7 ms."""
    ranker_forests: PositiveInt = Field(default=2, le=8)
    """Forests that learn from different samples; their mean counts. They cost as many times as much."""
    ranker_trees_share: float = Field(default=0.65, ge=0, le=1)
    """What the trees count for in the score; the members have the rest."""
    ranker_trees_rate: float = Field(default=0.075, gt=0, le=1)
    """How much of what is left each tree learns."""
    ranker_trees_new_weight: PositiveFloat = 3.0
    """What a candidate that is new to the user weighs in the trees; others weigh 1."""
    ranker_loss: Literal["log_loss", "pairwise", "softmax"] = "softmax"
    """`log_loss`: pointwise, every candidate by itself; `pairwise`: each taken candidate of a user against each of the
    others; `softmax`: listwise, the taken ones against all."""
    ranker_new_weight: float = Field(default=1.0, ge=0)
    """Weight of a softmax over the candidates that are new to the user, added to each loss: learns discovery."""
    ranker_click_weight: float = Field(default=0.0, ge=0)
    """Weight of learning which candidates are viewed or clicked, beside which are taken; 0 = not learned."""
    ranker_cart_weight: float = Field(default=0.0, ge=0)
    """The same of those put into the cart."""
    ranker_purchase_weight: float = Field(default=0.0, ge=0)
    """The same of those bought."""
    ranker_dwell_weight: float = Field(default=0.0, ge=0)
    """The same of the seconds spent on them."""
    ranker_positions: bool = False
    """Learn apart what a place in the list adds to being taken, from impressions with a position; it is not served."""
    ranker_most_propensity_weight: float = Field(default=1.0, ge=1)
    """What was shown and taken weighs 1 over its propensity, at most this; 1 = all the same."""
    ranker_users: PositiveInt = 20_000
    """Most users that the ranker learns from in a holdout (about 75 kB of memory each)."""
    ranker_earlier_holdouts: NonNegativeInt = Field(default=1, le=12)
    """Holdouts before the last one whose candidates the ranker learns from as well. Their own days' runs left them;
    where there was none, `daily` makes them once, at the price of a two-tower each."""
    ranker_validation_share: float = Field(default=0.2, gt=0, lt=1)
    """Share of the users that validate the ranker and do not train it."""
    ranker_epochs: PositiveInt = 1
    """Passes over the ranking examples; more where that makes fewer than `ranker_least_steps`."""
    ranker_least_steps: PositiveInt = 150
    """Steps that the ranker gets however few its users are."""
    ranker_batch_size: PositiveInt = 4096
    """Candidates per step of the ranker."""
    ranker_learning_rate: PositiveFloat = 0.0035
    """Adam rate of the ranker."""

    def earlier_days(self, day: date) -> list[date]:
        """The days whose candidates the ranker of `day` learns from besides its own: each a holdout earlier."""
        length = timedelta(days=self.holdout_days)
        return [day - number * length for number in range(1, self.ranker_earlier_holdouts + 1)]

    def feature_days(self, ends: Iterable[date]) -> list[date]:
        """The days whose features holdouts with these last days need: the last ones and those before the first."""
        return sorted({each for end in ends for each in (end - timedelta(days=self.holdout_days), end)})


class GateSettings(Group):
    """What a release must not lose against the champion to take its place. Shares are of the champion's value."""

    quality_tolerance: float = Field(default=0.01, ge=0)
    """Refused if nDCG@20 of validation users, on task all or new, falls by more than this share, and not by chance."""
    slice_tolerance: float = Field(default=0.05, ge=0)
    """The same inside each slice: new, light and heavy users, and new items."""
    latency_tolerance: PositiveFloat = 0.2
    """Refused if ranking the candidates of a request takes longer by more than this share; better if so much less."""
    coverage_tolerance: PositiveFloat = 0.1
    """Refused if the share of the catalogue that is shown to any validation user falls by more than this share."""
    size_tolerance: PositiveFloat = 0.25
    """Refused if the bundle grows by more than this share."""
    drifted_features: float = Field(default=0.5, ge=0, le=1)
    """Refused if more than this share of the features has drifted since the champion's day: a fault is likelier."""
    fresher_is_better: bool = True
    """Knowing later days counts as being better, so that a daily release that lost nothing takes over."""
    validation_users: PositiveInt = 2000
    """Most validation users; each costs two lists of either release."""
    least_validation_users: PositiveInt = 20
    """A group of fewer validation users decides nothing."""
