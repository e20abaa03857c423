"""Operational records of the platform: check results and forget requests."""

from __future__ import annotations

import pyarrow as pa

from headrace.tables.table import STRINGS, TIME, Table

QUALITY_RESULTS = Table(
    "quality",
    "results",
    "Results of the quality and drift jobs: one row per expectation, or per feature and measure of drift, and day.",
    pa.schema(
        [
            ("stage", pa.string()),  # clean, features or drift: what a run replaces
            ("table", pa.string()),  # layer.name
            ("column", pa.string()),  # the column or feature; empty where the rule is about whole rows
            ("rule", pa.string()),
            ("severity", pa.string()),  # error or warn
            ("passed", pa.bool_()),
            ("checked", pa.int64()),  # rows checked
            ("broken", pa.int64()),  # rows that break the rule; null where the rule counts no rows
            ("measured", pa.float64()),  # value compared with the limit; null where there is none
            ("limit", pa.string()),  # as text, such as "at most 0.2"
            ("message", pa.string()),  # one sentence
            ("samples", STRINGS),  # some broken rows as JSON
            ("against", pa.date32()),  # drift: the day compared with
            ("day", pa.date32()),
        ]
    ),
    ("day", "stage", "table", "column", "rule", "severity"),
    "day",
)

FORGET_REQUESTS = Table(
    "privacy",
    "forget_requests",
    "Forget requests, as SHA-256 of the subject: later arrivals from before the request are ignored.",
    pa.schema(
        [
            ("subject_hash", pa.string()),  # of a user_id, or of "session:<session_id>"
            ("requested_at", TIME),
        ]
    ),
    ("subject_hash", "requested_at"),
)
