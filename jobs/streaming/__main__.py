"""`python -m jobs.streaming`: live events become user vectors in the online store until it is stopped."""

from __future__ import annotations

import argparse
import sys
from datetime import datetime
from pathlib import Path

from headrace.errors import ServiceError
from headrace.machine.last_resort import reporting_errors
from headrace.release.bundle import read_manifest
from headrace.release.registry import resolve_release
from headrace.settings import Settings, load_settings
from jobs.streaming.query import STARTS

BROKER_TIMEOUT_S = 10.0


def main(arguments: list[str] | None = None) -> int:
    """Exit code: 0 after Ctrl-C or SIGTERM, 1 with one line on stderr."""
    parser = argparse.ArgumentParser(prog="python -m jobs.streaming", description=__doc__)
    parser.add_argument("--release", metavar="FOLDER", help="bundle to use; else settings.serving.release")
    parser.add_argument(
        "--from",
        dest="start",
        choices=list(STARTS),
        default="committed",
        help="committed (default): continue where the job stopped; earliest, latest: start there without state",
    )
    options = parser.parse_args(arguments)
    return reporting_errors(lambda: _stream(options))


def _stream(options: argparse.Namespace) -> None:
    settings = load_settings()
    if options.release:
        serving = settings.serving.model_copy(update={"release": str(Path(options.release).resolve())})
        settings = settings.model_copy(update={"serving": serving})
    _require_parts(settings)
    from jobs.streaming.job import run_job  # imports Flink: only when everything else is there

    run_job(settings, options.start, _say)


def _require_parts(settings: Settings) -> None:
    """Raises HeadraceError if broker, topic, store or release is missing."""
    import redis
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    read_manifest(resolve_release(settings))
    servers, topic = settings.kafka.bootstrap_servers, settings.kafka.events_topic
    try:
        topics = (
            AdminClient({"bootstrap.servers": servers, "log_level": 0}).list_topics(timeout=BROKER_TIMEOUT_S).topics
        )
    except KafkaException:
        raise ServiceError(f"no Kafka broker is reachable at {servers}", "Start it with `headrace up`") from None
    if topic not in topics:
        raise ServiceError(f"the broker at {servers} has no topic '{topic}'", "`headrace up` creates it")
    try:
        with redis.Redis.from_url(settings.store.url, socket_timeout=BROKER_TIMEOUT_S) as store:
            store.ping()
    except redis.RedisError:
        raise ServiceError(
            f"the online store at {settings.store.url} is not reachable", "Start it with `headrace up`"
        ) from None


def _say(state: str) -> None:
    print(f"{datetime.now().astimezone():%H:%M:%S} stream: {state}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
