"""Settings of what the platform runs on: broker, stores, engines, the scheduler and the HTTP service."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from headrace.settings.group import Group


class KafkaSettings(Group):
    """The broker and its topics."""

    bootstrap_servers: str = "127.0.0.1:9092"
    """host:port of one or more brokers, comma-separated."""
    events_topic: str = "events"
    """Validated events, keyed by subject so that one user's events keep their order."""
    impressions_topic: str = "impressions"
    """Impressions with request id, position and propensity."""
    rejected_topic: str = "rejected_events"
    """Events that `POST /events` refused, with reason, field and raw text: the dead letters."""
    partitions: PositiveInt = 4
    """Partitions of each topic that `headrace up` creates."""
    retry_seconds: float = Field(default=300.0, ge=0)
    """Limit in total of the retries (exponential backoff) of `ingest --kafka` while the broker is not reachable."""
    batch_records: PositiveInt = 1_000_000
    """Maximum number of records that `ingest --kafka` writes to bronze in one commit."""

    @property
    def topics(self) -> tuple[str, ...]:
        """Every topic of the platform."""
        return self.events_topic, self.impressions_topic, self.rejected_topic


class StoreSettings(Group):
    """The online store: Valkey or Redis."""

    url: str = "redis://127.0.0.1:6379/0"
    """Address of the store."""
    timeout_ms: PositiveInt = 50
    """A read that takes longer is cancelled and the answer falls back to popular items."""
    live_row_ttl_days: PositiveInt = 30
    """A live user row expires this long after its last event; the batch row is kept."""
    feature_row_ttl_days: NonNegativeInt = 90
    """A batch row (user or item) is dropped this long after it was last materialised; 0 = never. Must be longer than
    any pause of the daily run."""
    overlap_hours: NonNegativeInt = 24
    """`materialise` writes the rows that are new since its last run and those from this long before it: late rows."""


class MlflowSettings(Group):
    """Experiment tracking and the model registry."""

    tracking_uri: str = "http://127.0.0.1:5000"
    """Address of the tracking server."""
    experiment: str = "headrace"
    """Experiment that holds every training run."""
    model_name: str = "headrace"
    """Registered model whose versions are release bundles."""


class FeastSettings(Group):
    """The feature store's registry: Feast's definitions of entities, views and services."""

    registry: str = ""
    """SQLAlchemy address of the registry's database, `postgresql+psycopg://…` on a cluster; empty means the SQLite file
    `<home>/feast/registry.sqlite`."""


class SparkSettings(Group):
    """Batch engine."""

    master: str = "local[2]"
    """Spark master URL: `local[2]`, `spark://…`, `yarn`, `k8s://…`."""
    driver_memory: str = "3g"
    """Heap of the driver; in local mode also of the executors."""
    java_options: str = ""
    """More options of the driver's Java. `-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m` compiles quickly
    instead of well: for jobs of a minute on a laptop, as the demo's import."""
    shuffle_partitions: PositiveInt = 4
    """Partitions of a shuffle; about two per core."""


class FlinkSettings(Group):
    """Streaming engine."""

    parallelism: PositiveInt = 1
    """Parallel instances of each operator."""
    bundle_time_ms: PositiveInt = 25
    """Longest wait before the vectorised function gets a batch: trades latency for throughput."""
    bundle_size: PositiveInt = 5000
    """Maximum number of events in one batch of the vectorised function."""
    buffer_timeout_ms: PositiveInt = 5
    """Longest wait of an event in a network buffer."""
    checkpoint_interval_ms: PositiveInt = 10_000
    """Time between checkpoints; after a crash at most this much is replayed."""
    carried_events: int = Field(default=2, ge=2)
    """Newest events of a user that Flink keeps and passes on with each new one. The whole history is in the store;
    more than two repair a store that lost its newest rows, at the cost of throughput (50: half of it)."""
    carried_seconds: PositiveInt = 10
    """How long Flink keeps them after the user's last event, at least; half as long again at most. Its memory holds
    the users of that time, however long the stream runs."""


class AirflowSettings(Group):
    """Scheduler."""

    port: int = 8081
    """Port of the web page that `make airflow` starts (loopback)."""
    retries: NonNegativeInt = 2
    """Retries of a failed task with exponential backoff, 30 s at first."""


class ServingSettings(Group):
    """The HTTP service."""

    host: str = "127.0.0.1"
    """Address to listen on; loopback unless you decide otherwise."""
    port: int = 8080
    """Port of the service."""
    workers: PositiveInt = 1
    """Processes that speak HTTP; each has ranking processes of its own."""
    ranking_processes: PositiveInt = 1
    """Ranking processes of each worker, which each hold a release: about one per core that is to spare."""
    release: str = "champion"
    """Alias in the registry, or the folder of a release bundle."""
    candidates: PositiveInt = 500
    """Candidates ranked per request."""
    deadline_ms: PositiveInt = 200
    """A request that cannot begin to be ranked within this time is answered from a cheaper list at once."""
    overload_candidates: PositiveInt = 150
    """Candidates ranked per request while requests wait for more than half the deadline."""
    overload_share: float = Field(default=0.3, gt=0, le=1)
    """Share of a core that a worker takes while it gives cheaper lists, so that these do not crowd out ranked ones."""
    max_waiting: PositiveInt = 2000
    """Most requests that wait for a cheaper list; more are answered 503."""
    cached_lists: NonNegativeInt = 10_000
    """Ranked lists that a worker keeps for overload, a few kB each; 0 = none."""
    cached_list_seconds: PositiveInt = 600
    """A kept list is not given after this time."""
    ranker_precision: Literal["float", "int8"] = "float"
    """`int8`: the release's ranker with int8 weights: faster and smaller, nearly the same lists."""
    max_limit: PositiveInt = 100
    """Largest `limit` of a request."""
    max_body_bytes: PositiveInt = 1_048_576
    """Largest body of `POST /events`."""
    max_events_per_post: PositiveInt = 500
    """Maximum number of events in one body."""
    log_impressions: bool = True
    """Send impressions to the impressions topic."""
    max_per_category: NonNegativeInt = 0
    """Maximum number of items per narrowest category, while there are others; 0 = no cap."""
    watch_seconds: PositiveFloat = 5.0
    """Interval at which the service checks which release is champion."""
    kafka_timeout_ms: PositiveInt = 5000
    """`POST /events` answers 503 if the broker has not acknowledged within this time."""
