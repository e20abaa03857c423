"""Shares: every division by data, with its meaning where there is nothing to divide by."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F


def share(part: Column, whole: Column) -> Column:
    """`part / whole`; 0 where the whole is 0 or unknown.

    A whole of decayed counts becomes 0 when all of them have: after 41 half-lives. Spark's own division then ends the
    job.
    """
    return F.coalesce(F.try_divide(part, whole), F.lit(0.0))
