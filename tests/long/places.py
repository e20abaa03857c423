"""Lakes, stores and topics of a test's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from confluent_kafka.admin import AdminClient, NewTopic

from headrace.settings import Settings


def own_place(services: Settings, home: Path, name: str, database: int, **more: Any) -> Settings:
    """Settings with `home`, a database of the running store, topics that begin with `name`, and groups of settings."""
    topics = {each: f"{name}-{each}" for each in ("events", "impressions", "rejected")}
    policy = {topics["rejected"]: {"cleanup.policy": "compact"}}
    new = [NewTopic(topic, 1, 1, config=policy.get(topic, {})) for topic in topics.values()]
    for made in AdminClient({"bootstrap.servers": services.kafka.bootstrap_servers}).create_topics(new).values():
        made.result()
    kafka = services.kafka.model_copy(update={f"{each}_topic": topic for each, topic in topics.items()})
    store = services.store.model_copy(update={"url": services.store.url.removesuffix("/0") + f"/{database}"})
    home.joinpath("valkey").symlink_to(services.home_folder / "valkey")
    return services.model_copy(update={"home": home, "kafka": kafka, "store": store, **more})
