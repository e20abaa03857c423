"""No table that names people is passed over when one of them asks to be forgotten."""

from __future__ import annotations

from headrace.tables import BRONZE_ITEMS, QUALITY_RESULTS, TABLES
from jobs.batch.engine.personal_rows import PERSONAL


def test_every_table_with_a_column_of_people_or_of_raw_text_is_cleared() -> None:
    naming = {"user_id", "subject_id", "session_id", "raw", "samples"}
    tables = {table.path for table in TABLES if naming & set(table.schema.names)}
    assert tables - {BRONZE_ITEMS.path} == {table.path for table in PERSONAL} | {QUALITY_RESULTS.path}
