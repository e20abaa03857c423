"""Settings of what the jobs do: cleaning, features, quality, maintenance, training, and the gate of a release."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from headrace.settings.group import Group


class CleanSettings(Group):
    """Limits of the bot filter. Subjects above them are in `silver.bots`: events are kept, features omit them."""

    moments_per_minute: PositiveInt = 120
    """Maximum number of distinct event times of one subject within a minute; the lines of one receipt share one."""
    events_per_day: PositiveInt = 5000
    """Maximum number of events of one subject on a day."""


class FeatureSettings(Group):
    """Windows and half-lives of the batch features."""

    history_length: PositiveInt = 50
    """Most recent events of a user that the user tower reads."""
    affinity_items: PositiveInt = 1000
    """Maximum number of items in a user's own list, largest decayed count first."""
    affinity_half_life_days: PositiveFloat = 84.0
    """Half-life of an occasion's weight in the user's own list."""
    popularity_days: PositiveInt = 28
    """Window of the popular lists: distinct users in so many last days."""
    trend_days: PositiveInt = 56
    """Longer window that popularity is compared with; the tower's prior is the mean of both on a logarithmic scale."""
    item_half_life_days: PositiveFloat = 28.0
    """Half-life of a view, cart or purchase in an item's decayed counts."""
    freshness_half_life_days: PositiveFloat = 28.0
    """Half-life of an item's freshness, from its first event of interest."""
    conversion_prior: PositiveFloat = 20.0
    """Prior of the conversion: so many views, carts and purchases at the mean of all items are added to each item's."""
    rating_prior: PositiveFloat = 5.0
    """Prior of the rating: so many ratings at the mean of all ratings are added to each item's."""
    return_prior: PositiveFloat = 10.0
    """Prior of the return rate: so many purchases at the mean of all items are added to each item's."""
    preferred_categories: PositiveInt = 10
    """Maximum number of categories of a user, largest decayed count first."""
    usual_contexts: PositiveInt = 5
    """Maximum number of devices, and of surfaces, of a user, those of most visits first."""
    content_length: PositiveInt = 32
    """Length of an item's content vector."""
    late_days: NonNegativeInt = 7
    """Past days that the daily run recomputes if they have late events; `features --late` accepts more."""


class QualitySettings(Group):
    """Limits of the checks of tables and features. An `error` stops the run, a `warn` is only reported."""

    volume_weeks: PositiveInt = 4
    """Events of a day are compared with the median of the same weekday in so many weeks before."""
    volume_least: float = Field(default=0.1, ge=0)
    """Error below this ratio to the weekday's median: part of the events is missing."""
    volume_low: float = Field(default=0.5, ge=0)
    """Warning below this ratio."""
    volume_high: PositiveFloat = 3.0
    """Warning above this ratio: duplicated events, or bots."""
    fresh_days: PositiveFloat = 3.0
    """Error if the newest event is older than this at the end of the day."""
    refused_share: float = Field(default=0.2, ge=0, le=1)
    """Error above this share of refused rows among those received on the day or the next; reasons: quarantine."""
    refused_low: float = Field(default=0.01, ge=0, le=1)
    """Warning above this share of refused rows."""
    unknown_share: float = Field(default=0.2, ge=0, le=1)
    """Error above this share of events whose item is not in the catalogue; fewer are a warning."""
    samples: PositiveInt = 3
    """Broken rows shown for each failed expectation."""
    drift_psi: PositiveFloat = 0.2
    """A feature has drifted above this population stability index; below 0.1 is common, above 0.25 a change."""
    drift_ks: PositiveFloat = 0.1
    """The same for the largest distance of the two cumulative distributions (Kolmogorov-Smirnov), 0 to 1."""
    drift_nulls: PositiveFloat = 0.05
    """The same for the change of the share of rows without a value, in either direction."""
    drift_new: PositiveFloat = 0.01
    """The same for the share of values in categories that the training data did not have."""
    drift_rows: PositiveInt = 100_000
    """Rows of a table that are compared on either day; of a larger table a sample of the keys."""


class MaintenanceSettings(Group):
    """What the job `maintenance` keeps of the past, in days before the day it is run for; 0 = for ever."""

    versions_days: PositiveInt = 30
    """Older versions of the tables can be read, and training sets built from them again, for so long."""
    bronze_days: NonNegativeInt = 0
    """Days of `bronze.*`, the rows as received: silver can be rebuilt from them."""
    gold_days: NonNegativeInt = 180
    """Days of the features and examples; must be more than `training.holdout_days` with `features.late_days`."""
    quality_days: NonNegativeInt = 365
    """Days of the findings in `quality.results`, and of the report pages."""
    training_days: NonNegativeInt = 30
    """Days of the training files in `<home>/training`."""
    requests_days: PositiveInt = 60
    """Days that a forget request applies to late arrivals; must be more than the topics' retention."""


class TrainingSettings(Group):
    """Training of the two-tower model and the ranker."""

    seed: int = 7
    """Seed of every random choice."""
    retrieval_days: PositiveInt = 168
    """Days of events that the two-tower is trained on."""
    holdout_days: PositiveInt = 28
    """Last days, held out of the first training phase: the ranker trains on them, retrieval is evaluated on them."""
    embedding_size: PositiveInt = 96
    """Length of user and item vectors, the popularity dimension included."""
    retrieval_batch_size: PositiveInt = 1024
    """Examples per step of the two-tower; the other items of a batch are its negatives."""
    retrieval_part_users: PositiveInt = 100_000
    """Users whose sequences are in memory at a time while the two-tower trains."""
    retrieval_optimiser: Literal["adagrad", "adam"] = "adagrad"
    """`adagrad` updates only the items of a step; `adam` all of them: for small catalogues, at a tenth of the rate."""
    retrieval_learning_rate: PositiveFloat = 0.016
    """The optimiser's rate for the two-tower."""
    retrieval_negatives: Literal["batch", "catalogue"] = "batch"
    """What an example's item is compared with: `batch`, the items of its step, or `catalogue`, every item with an
    event: the exact softmax, for up to some ten thousand items (4 bytes × items × `retrieval_batch_size` of memory,
    several times); it models popularity itself."""
    retrieval_sampled_negatives: NonNegativeInt = Field(default=0, le=100_000)
    """Items drawn from the catalogue in each step as negatives, in addition to those of the batch."""
    retrieval_hardest_negatives: NonNegativeInt = 0
    """Only so many negatives, those with the largest logits, count for an example; 0 = all."""
    retrieval_temperature: PositiveFloat = 0.75
    """Logits are divided by it in training: below 1 the nearest negatives count more."""
    retrieval_reorders: bool = False
    """Each epoch shuffles each user's events, for data without times: more training examples."""
    user_tower: Literal["pooling", "attention"] = "pooling"
    """`pooling`: a weighted sum of the recent items; `attention`: reads their order and the time between them, for data
    in which the next item depends on the last ones (films, sessions)."""
    tower_context: bool = False
    """The user tower also reads when the newest event happened: hour and weekday, UTC."""
    attention_layers: PositiveInt = 2
    """Layers of self-attention in the user tower `attention`."""
    attention_heads: PositiveInt = 2
    """Attention heads in the user tower `attention`."""
    attention_dropout: float = Field(default=0.2, ge=0, lt=1)
    """Dropout rate after each layer of the user tower `attention`."""
    retrieval_epochs: PositiveInt = 1
    """Maximum number of passes over the retrieval examples."""
    retrieval_patience: NonNegativeInt = 0
    """Early stopping: the two-tower keeps its best weights when the holdout's recall of new items has not improved for
    so many evaluations (four an epoch); 0 = off."""
    checkpoint_seconds: PositiveFloat = 300.0
    """Interval of the checkpoints in training, from which it resumes after a crash. Not the
    two-tower's with several workers, nor up to the holdout where `retrieval_patience` is set."""
    example_half_life_days: PositiveFloat = 240.0
    """Half-life of an example's weight."""
    repeat_weight: float = Field(default=0.8, ge=0)
    """Weight of an example whose item the user took before; new items have 1. At 0 repeats are not trained on:
    with `retrieval_negatives` = `catalogue` items of the history are not negatives either."""
    retrieval_view_weight: float = Field(default=1.0, ge=0)
    """Weight of a two-tower example whose item is viewed; viewed and bought at one time, the larger weight."""
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
    """Subtract log q(item) from the in-batch logits, so that popular items are not penalised as frequent negatives.
    Either way the popularity prior is weighted on the holdout; on the demo data it serves better than correction."""
    id_dropout: float = Field(default=0.2, ge=0, lt=1)
    """Share of items whose id is dropped in a training step, so that new items have a useful vector."""
    word_buckets: PositiveInt = 16_384
    """Hash buckets of the words of an item's title and text."""
    price_buckets: PositiveInt = 16
    """Price classes of the item tower, equally full, on the logarithm of the price."""
    trending_candidates: NonNegativeInt = Field(default=0, le=500)
    """Number of trending items (more users than in the weeks before) that are candidates for all users."""
    neighbour_model: Literal["ease", "item_knn", "user_knn", "ials", "spark_als", "content"] = "ease"
    """Item-to-item model of the neighbours, which are used as candidates, ranker features and reasons."""
    neighbours: PositiveInt = 400
    """Number of other items kept per item: those with the largest positive weights and, of EASE, the largest
    negative ones."""
    neighbour_items: PositiveInt = 5_000
    """Only the items with most users have neighbours; memory and time grow with the square of their number."""
    neighbour_least_users: PositiveInt = 3
    """Items with fewer users have no neighbours."""
    neighbour_ridge: PositiveFloat = 300.0
    """L2 regularisation of the item-item weights (EASE)."""
    ranker_model: Literal["wide_deep", "dcn", "ncf"] = "dcn"
    """`wide_deep`: Wide & Deep; `dcn`: DCN-v2; `ncf`: a small neural CF."""
    ranker_members: PositiveInt = Field(default=2, le=16)
    """Rankers with different starting weights; a candidate's score is the mean of theirs. Cost of training and
    ranking grows with their number."""
    ranker_trees: NonNegativeInt = Field(default=300, le=2000)
    """Boosted trees of a forest, blended with the members; 0 = none. A hundred cost a request about 0.7 ms."""
    ranker_forests: PositiveInt = Field(default=2, le=8)
    """Forests trained on different samples; their scores are averaged. Cost grows with their number."""
    ranker_trees_share: float = Field(default=0.65, ge=0, le=1)
    """Weight of the trees in the score; the members have the rest."""
    ranker_trees_rate: float = Field(default=0.075, gt=0, le=1)
    """Learning rate of the trees."""
    ranker_trees_new_weight: PositiveFloat = 3.0
    """Weight of a candidate that is new to the user in the training of the trees; others have 1."""
    ranker_loss: Literal["log_loss", "pairwise", "softmax"] = "softmax"
    """`log_loss`: pointwise, every candidate by itself; `pairwise`: each positive candidate of a user against each
    other; `softmax`: listwise, the positive ones against all."""
    ranker_new_weight: float = Field(default=1.0, ge=0)
    """Weight of a softmax over the candidates that are new to the user, added to each loss, for discovery."""
    ranker_click_weight: float = Field(default=0.0, ge=0)
    """Weight of the additional loss for views and clicks of candidates; 0 = off."""
    ranker_cart_weight: float = Field(default=0.0, ge=0)
    """The same of those put into the cart."""
    ranker_purchase_weight: float = Field(default=0.0, ge=0)
    """The same of those bought."""
    ranker_dwell_weight: float = Field(default=0.0, ge=0)
    """The same of the seconds spent on them."""
    ranker_positions: bool = False
    """Train a separate position bias model, from impressions with a position; it is not served."""
    ranker_most_propensity_weight: float = Field(default=1.0, ge=1)
    """Maximum inverse propensity weight of positive candidates that were shown; 1 = off."""
    ranker_users: PositiveInt = 20_000
    """Maximum number of users that the ranker is trained on per holdout (about 100 kB of memory each): of more,
    candidates are made for a sample, by hash of the user id."""
    ranker_earlier_holdouts: NonNegativeInt = Field(default=1, le=12)
    """Holdouts before the last one whose candidates the ranker is also trained on; what is validated learns from these
    alone. With 0 nothing is validated forward in time, and releases are promoted by hand. The runs of those days wrote
    them; where there was no run, `daily` computes them once, at the cost of one two-tower training each."""
    ranker_validation_share: float = Field(default=0.2, gt=0, lt=1)
    """Share of the last holdout's users by whom the ranker is evaluated."""
    ranker_epochs: PositiveInt = 1
    """Passes over the ranking examples; more where these are fewer than `ranker_least_steps`."""
    ranker_least_steps: PositiveInt = 150
    """Minimum number of training steps of the ranker."""
    ranker_batch_size: PositiveInt = 4096
    """Candidates per step of the ranker."""
    ranker_learning_rate: PositiveFloat = 0.0035
    """Adam rate of the ranker."""

    def earlier_days(self, day: date) -> list[date]:
        """The days whose candidates the ranker of `day` is also trained on: each one holdout earlier."""
        length = timedelta(days=self.holdout_days)
        return [day - number * length for number in range(1, self.ranker_earlier_holdouts + 1)]

    def feature_days(self, ends: Iterable[date]) -> list[date]:
        """The days whose features holdouts with these last days need: the last ones and those before the first."""
        return sorted({each for end in ends for each in (end - timedelta(days=self.holdout_days), end)})


class GateSettings(Group):
    """Limits within which a release may be worse than the champion and still replace it, as shares of its values."""

    quality_tolerance: float = Field(default=0.01, ge=0)
    """Refused if nDCG@20 of validation users, on task all, falls significantly by more than this share; not promoted
    unless it is shown not to: the lower bound of the 95 % interval of the change must be above minus this share."""
    new_tolerance: float = Field(default=0.05, ge=0)
    """The same on task new, which is noisier."""
    slice_tolerance: float = Field(default=0.05, ge=0)
    """The same inside each slice: new, light and heavy users, and new items."""
    latency_tolerance: PositiveFloat = 0.2
    """Refused if ranking the candidates of a request takes longer by more than this share; better if faster by it."""
    coverage_tolerance: PositiveFloat = 0.1
    """Refused if the share of the catalogue that is shown to any validation user falls by more than this share."""
    size_tolerance: PositiveFloat = 0.25
    """Not promoted, except by hand, if the bundle grows by more than this share."""
    drifted_features: float = Field(default=0.5, ge=0, le=1)
    """Not promoted, except by hand, if more than this share of the features has drifted since the champion's day."""
    fresher_is_better: bool = True
    """Training on later days counts as better, so that a daily release that is not worse becomes champion."""
    validation_users: PositiveInt = 2000
    """Maximum number of users by whom releases are compared; each costs two lists of every release."""
    least_validation_users: PositiveInt = 20
    """Minimum number of validation users: a release compared by fewer is not promoted, a smaller slice not compared."""
