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
    """What was shown, with request id, position and propensity."""
    rejected_topic: str = "rejected_events"
    """Events that `POST /events` refused, with reason, field and raw text: the dead letters."""
    partitions: PositiveInt = 4
    """Partitions of each topic made by `headrace up`."""
    retry_seconds: float = Field(default=300.0, ge=0)
    """`ingest --kafka` waits so long, in waits that double, for a broker that does not answer before it gives up."""
    batch_records: PositiveInt = 1_000_000
    """Most records that `ingest --kafka` takes into bronze in one commit."""

    @property
    def topics(self) -> tuple[str, ...]:
        """Every topic of the platform."""
        return self.events_topic, self.impressions_topic, self.rejected_topic


class StoreSettings(Group):
    """The online store: Valkey or Redis."""

    url: str = "redis://127.0.0.1:6379/0"
    """Address of the store."""
    timeout_ms: PositiveInt = 50
    """A read that takes longer is given up and the answer falls back to popular items."""
    live_row_ttl_days: PositiveInt = 30
    """A live user row is dropped this long after its last event; the batch row stays."""
    feature_row_ttl_days: NonNegativeInt = 90
    """A batch row (user or item) is dropped this long after it was last materialised; 0 = never. Longer than any pause
    of the daily run that you want to survive."""
    overlap_hours: NonNegativeInt = 24
    """`materialise` takes the rows that are new since its last run, and those of this long before: what came late."""


class MlflowSettings(Group):
    """Experiment tracking and the model registry."""

    tracking_uri: str = "http://127.0.0.1:5000"
    """Address of the tracking server."""
    experiment: str = "headrace"
    """Experiment that holds every training run."""
    model_name: str = "headrace"
    """Registered model whose versions are release bundles."""


class FeastSettings(Group):
    """The feature store's registry: what Feast knows of entities, views and services."""

    registry: str = ""
    """SQLAlchemy address of the registry's database, `postgresql+psycopg://…` on a cluster; empty means the SQLite file
    `<home>/feast/registry.sqlite`."""


class SparkSettings(Group):
    """Batch engine."""

    master: str = "local[2]"
    """Spark master URL: `local[2]`, `spark://…`, `yarn`, `k8s://…`."""
    driver_memory: str = "3g"
    """Heap of the driver; in local mode of everything."""
    java_options: str = ""
    """More options of the driver's Java. `-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m` compiles quickly
    instead of well: for jobs of a minute on a laptop, as the demo's import."""
    shuffle_partitions: PositiveInt = 4
    """Partitions of a shuffle; about two per core."""


class FlinkSettings(Group):
    """Streaming engine."""

    parallelism: PositiveInt = 1
    """Parallel instances of each operator."""
    bundle_time_ms: PositiveInt = 50
    """Longest wait before the vectorised function gets a batch: latency against throughput."""
    bundle_size: PositiveInt = 5000
    """Most events in one batch of the vectorised function."""
    buffer_timeout_ms: PositiveInt = 5
    """Longest wait of an event in a network buffer."""
    checkpoint_interval_ms: PositiveInt = 10_000
    """Time between checkpoints; after a crash at most this much is replayed."""
    deduplication_hours: PositiveInt = 24
    """How long an `event_id` is remembered."""
    carried_events: int = Field(default=2, ge=2)
    """Newest events of a user that Flink keeps and hands over with each new one. The whole history is in the store;
    more than two heal a store that lost its newest rows, at the price of throughput (50: half of it)."""


class AirflowSettings(Group):
    """Scheduler."""

    port: int = 8081
    """Port of the web page that `make airflow` starts (loopback)."""
    retries: NonNegativeInt = 2
    """Further attempts of a failed task; the wait before each is twice the last, 30 s at first."""


class ServingSettings(Group):
    """The HTTP service."""

    host: str = "127.0.0.1"
    """Address to listen on; loopback unless you decide otherwise."""
    port: int = 8080
    """Port of the service."""
    workers: PositiveInt = 1
    """Worker processes."""
    release: str = "champion"
    """Alias in the registry, or the folder of a release bundle."""
    candidates: PositiveInt = 500
    """Candidates ranked per request."""
    ranker_precision: Literal["float", "int8"] = "float"
    """`int8`: the release's ranker with weights of eight bits: faster and smaller, nearly the same lists."""
    max_limit: PositiveInt = 100
    """Largest `limit` of a request."""
    max_body_bytes: PositiveInt = 1_048_576
    """Largest body of `POST /events`."""
    max_events_per_post: PositiveInt = 500
    """Most events in one body."""
    log_impressions: bool = True
    """Send what was shown to the impressions topic."""
    max_per_category: NonNegativeInt = 0
    """Most items of one narrowest category before the list goes on with others; 0 = no cap."""
    watch_seconds: PositiveFloat = 5.0
    """Time between two looks at which release is champion."""
    kafka_timeout_ms: PositiveInt = 5000
    """`POST /events` answers 503 if the broker has not acknowledged within this time."""
