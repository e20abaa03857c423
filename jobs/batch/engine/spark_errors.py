"""Spark's errors in one sentence: no space left, a concurrent run, a version removed by retention."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException

from headrace.errors import HeadraceError

_NO_SPACE = ("No space left on device", "Disk quota exceeded", "File too large")
"""The kernel's messages for a full disk."""
_CONFLICTS = ("[DELTA_CONCURRENT_", "[DELTA_METADATA_CHANGED", "[DELTA_PROTOCOL_CHANGED")
"""Delta's error classes for a conflicting concurrent commit."""
_GONE = "FAILED_READ_FILE.FILE_NOT_EXIST"
_UNCHANGED = "Every table is as of its last commit"


@contextmanager
def explain_spark_errors(job: str, root: str) -> Iterator[None]:
    """Raise known errors of `job` on the lake at `root` as a HeadraceError; others are raised unchanged."""
    try:
        yield
    except (PySparkException, Py4JJavaError, OSError) as error:
        known = _known_error(job, root, whole_text(error))
        if known is None:
            raise
        raise known from None


def is_known_error(error: Exception) -> bool:
    """Whether `explain_spark_errors` has a sentence for it."""
    return _known_error("", "", whole_text(error)) is not None


def _known_error(job: str, root: str, text: str) -> HeadraceError | None:
    for reason in _NO_SPACE:
        if reason in text:
            return HeadraceError(
                f"job `{job}` ran out of disk space: {reason} (the lake is at {root})",
                f"{_UNCHANGED}: free space there and in Spark's scratch folder, then run this again",
            )
    if any(word in text for word in _CONFLICTS):
        table = re.search(rf"{re.escape(root)}/(\w+)/(\w+)", text)
        name = f"table {table[1]}.{table[2]}" if table else "the same table"
        return HeadraceError(
            f"another run committed to {name} while job `{job}` was writing to it",
            f"{_UNCHANGED}; run this again when the other one has ended",
        )
    if _GONE in text and job == "clean":
        return HeadraceError(
            "job `clean` needs files that are gone: of a damaged table, or of a feed that retention has removed",
            "Make silver again from bronze: `headrace rebuild silver`",
        )
    if _GONE in text:
        return HeadraceError(
            f"job `{job}` needs a table version that retention has removed",
            "See maintenance.versions_days; build from the current tables instead",
        )
    return None


def whole_text(error: Exception) -> str:
    """The error's text with those of all its causes; the kernel's message is in the last."""
    cause = error.java_exception if isinstance(error, Py4JJavaError) else getattr(error, "_origin", None)
    texts = [str(error)]
    while cause is not None:
        texts.append(str(cause.toString()))
        cause = cause.getCause()
    return "\n".join(texts)
