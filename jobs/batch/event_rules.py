"""The event contract (`headrace.events.parse_event`) as Spark columns: same rules, same order, same reasons.

`tests/contract/test_event_rules.py` holds both to the same cases.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from headrace import events as contract
from headrace.events import EventType, Reason

IDS = ("event_id", "user_id", "session_id", "item_id")
TEXTS = (*IDS, "query", "request_id")
FIELDS = (*TEXTS, "event_type", "timestamp", "value", "price", "position", "context")
_SENTINEL = "headrace-end"
_LAST_MILLISECOND = 253_402_300_799_999  # the end of the year 9999
_LARGEST_WHOLE = 1e15


def checked(rows: DataFrame) -> DataFrame:
    """`rows` (with `raw` and `received_at`) plus the event's typed fields and `refused`.

    `refused` is null for a good event, else a struct of `reason`, `field` and `message`.
    """
    kept = rows.columns
    fields = rows.withColumn("_json", _parsed("raw"))
    fields = fields.select(*kept, "_json", *(F.try_variant_get("_json", f"$[0].{n}", "variant").alias(f"_{n}") for n in FIELDS))
    kinds = fields.select("*", *(_kind(name).alias(f"kind_{name}") for name in FIELDS))
    typed = kinds.select(
        *kept,
        "_json",
        *(F.col(f"kind_{name}") for name in FIELDS),
        *(_text(name).alias(name) for name in TEXTS),
        F.when(F.col("kind_event_type") == "text", _string("event_type")).alias("event_type"),
        _string("timestamp").alias("given_timestamp"),
        _time().alias("timestamp"),
        *(_string(name).alias(f"given_{name}") for name in ("value", "price")),
        *(_number(name).alias(name) for name in ("value", "price")),
        _position().alias("position"),
        _context().alias("context"),
    )
    judged = typed.withColumn("refused", _first_problem())
    return judged.select(
        *kept,
        *IDS,
        "event_type",
        F.coalesce("user_id", F.concat(F.lit(contract.SESSION_PREFIX), "session_id")).alias("subject_id"),
        "timestamp",
        "value",
        "price",
        "query",
        "request_id",
        "position",
        "context",
        _extra().alias("extra"),
        "refused",
    )


def _parsed(raw: str) -> Column:
    # The sentinel after the event shows text behind the closing brace, which the parser alone would not mind.
    wrapped = F.concat(F.lit("["), F.col(raw), F.lit(f',"{_SENTINEL}"]'))
    return F.when(F.octet_length(raw) <= contract.MAX_EVENT_BYTES, F.try_parse_json(wrapped))


def _kind(name: str) -> Column:
    """What sort of JSON value a field has; null where it is missing or null."""
    schema = F.schema_of_variant(F.col(f"_{name}"))
    return (
        F.when(schema == "STRING", "text")
        .when((schema == "BIGINT") | schema.rlike(r"^DECIMAL\(\d+,0\)$"), "whole")
        .when((schema == "DOUBLE") | schema.startswith("DECIMAL"), "number")
        .when(schema.startswith("OBJECT"), "object")
        .when(schema != "VOID", "other")
    )


def _string(name: str) -> Column:
    return F.try_variant_get(F.col(f"_{name}"), "$", "string")


def _trimmed(text: Column) -> Column:
    return F.btrim(text, F.lit(contract.WHITESPACE))


def _text(name: str) -> Column:
    """The text, or a whole number as text; null for anything else, and for nothing but blanks."""
    kind, number = F.col(f"kind_{name}"), F.try_variant_get(F.col(f"_{name}"), "$", "double")
    whole = (kind == "number") & (number == F.floor(number)) & (F.abs(number) < _LARGEST_WHOLE)
    text = F.when(kind.isin("text", "whole"), _trimmed(_string(name))).when(whole, number.cast("long").cast("string"))
    return F.nullif(text, F.lit(""))


def _number(name: str) -> Column:
    kind, text = F.col(f"kind_{name}"), _trimmed(_string(name))
    return F.when(kind.isin("whole", "number"), F.try_variant_get(F.col(f"_{name}"), "$", "double")).when(
        (kind == "text") & text.rlike(f"^({contract.NUMBER_PATTERN})$"), text.try_cast("double")
    )


def _time() -> Column:
    kind, text = F.col("kind_timestamp"), _trimmed(_string("timestamp"))
    milliseconds = (
        F.when(kind.isin("whole", "number"), F.floor(F.try_variant_get(F.col("_timestamp"), "$", "double")))
        .when((kind == "text") & text.rlike(f"^{contract.MILLISECONDS_PATTERN}$"), text.try_cast("long"))
        .cast("long")
    )
    iso = F.when((kind == "text") & text.rlike(f"^{contract.TIME_PATTERN}$"), text.try_cast("timestamp"))
    in_range = milliseconds.between(0, _LAST_MILLISECOND)
    return F.coalesce(F.when(in_range, F.timestamp_millis(milliseconds)), iso)


def _position() -> Column:
    kind, number = F.col("kind_position"), F.try_variant_get(F.col("_position"), "$", "double")
    whole = kind.isin("whole", "number") & (number == F.floor(number)) & (F.abs(number) < 2**31)
    return F.when(whole, number.cast("int"))


def _context() -> Column:
    kind, text = F.col("kind_context"), _string("context")
    given = F.when(kind == "object", F.col("_context")).when(
        (kind == "text") & text.rlike(r"^\s*\{"), F.try_parse_json(text)
    )
    values = F.try_variant_get(given, "$", "map<string,string>")
    empty = F.create_map().cast("map<string,string>")
    return F.coalesce(F.map_filter(values, lambda _, value: value.isNotNull()), empty)


def _extra() -> Column:
    """JSON of the fields that the contract does not know; null where there are none."""
    known = [*FIELDS, "subject_id"]
    fields = F.try_variant_get("_json", "$[0]", "map<string,variant>")
    unknown = F.map_filter(fields, lambda name, _: ~name.isin(*known))
    return F.when(F.col("refused").isNull() & (F.size(unknown) > 0), F.to_json(unknown))


def _first_problem() -> Column:
    """The first broken rule in the order of `Reason`, as `parse_event` has it."""
    kind = F.col("event_type")
    search = kind == EventType.SEARCH.value
    json_type = F.schema_of_variant(F.try_variant_get("_json", "$[0]", "variant"))
    sentinel = F.try_variant_get("_json", "$[1]", "string")
    is_object = F.coalesce(json_type.startswith("OBJECT") & (sentinel == _SENTINEL), F.lit(False))
    latest = F.col("received_at") + F.expr(f"INTERVAL {int(contract.CLOCK_SKEW.total_seconds())} SECONDS")
    too_large = F.octet_length("raw") > contract.MAX_EVENT_BYTES
    no_time = F.col("kind_timestamp").isNull() | ((F.col("kind_timestamp") == "text") & (F.col("given_timestamp") == ""))
    bad_time = F.col("timestamp").isNull() | (F.col("timestamp") < F.lit(contract.EARLIEST_TIMESTAMP))
    known = [each.value for each in EventType]
    rules = [
        (too_large, Reason.TOO_LARGE, "", F.concat(F.octet_length("raw"), F.lit(f" bytes, at most {contract.MAX_EVENT_BYTES}"))),
        (~is_object, Reason.MALFORMED, "", F.lit("not a JSON object")),
        (F.col("event_id").isNull(), Reason.MISSING_EVENT_ID, "event_id", F.lit("every event needs a unique id")),
        (kind.isNull() | ~kind.isin(*known), Reason.UNKNOWN_EVENT_TYPE, "event_type",
         F.concat(_shown(kind), F.lit(f" is none of {', '.join(known)}"))),
        (F.col("user_id").isNull() & F.col("session_id").isNull(), Reason.MISSING_SUBJECT, "user_id", F.lit("give a user_id or a session_id")),
        (~search & F.col("item_id").isNull(), Reason.MISSING_ITEM, "item_id", F.concat(F.lit("a "), kind, F.lit(" needs an item_id"))),
        (no_time, Reason.MISSING_TIMESTAMP, "timestamp", F.lit("give the time of the event in UTC")),
        (bad_time, Reason.BAD_TIMESTAMP, "timestamp",
         F.concat(_shown(F.col("given_timestamp")), F.lit(" is no ISO 8601 time and no milliseconds since 1970"))),
        (F.col("timestamp") > latest, Reason.FUTURE_TIMESTAMP, "timestamp", F.concat(_iso("timestamp"), F.lit(" is after "), _iso("received_at"))),
        *_value_rules("value", kind),
        *_value_rules("price", F.lit("")),
        (search & F.col("query").isNull(), Reason.MISSING_QUERY, "query", F.lit("a search needs its words in query")),
        *((F.length(name) > _limit(name), Reason.ID_TOO_LONG, name,
           F.concat(F.length(name), F.lit(f" characters, at most {_limit(name)}"))) for name in (*IDS, "query")),
    ]
    result = F.when(F.lit(False), _refusal(Reason.MALFORMED, "", F.lit("")))
    for broken, reason, field, message in rules:
        result = result.when(broken, _refusal(reason, field, message))
    return result


def _value_rules(name: str, kind: Column) -> list[tuple[Column, Reason, str, Column]]:
    number, given = F.col(name), F.col(f"given_{name}")
    missing = F.col(f"kind_{name}").isNull() | ((F.col(f"kind_{name}") == "text") & (given == ""))
    rating, quantity = kind == EventType.RATING.value, kind.isin(EventType.PURCHASE.value, EventType.ADD_TO_CART.value)

    def rule(broken: Column, message: Column) -> tuple[Column, Reason, str, Column]:
        return broken, Reason.BAD_VALUE, name, message

    def outside(limit: float) -> Column:
        return F.concat(number.cast("string"), F.lit(f" is outside 0 to {limit:g}"))

    return [
        rule(missing & rating, F.lit(f"a rating needs a value from 0 to {contract.MAX_RATING:g}")),
        rule(~missing & number.isNull(), F.concat(_shown(given), F.lit(" is no number"))),
        rule(quantity & (number <= 0), F.concat(number.cast("string"), F.lit(" is no quantity: expected a number > 0"))),
        rule(rating & ~number.between(0, contract.MAX_RATING), outside(contract.MAX_RATING)),
        rule(~number.between(0, contract.MAX_VALUE), outside(contract.MAX_VALUE)),
    ]


def _refusal(reason: Reason, field: str, message: Column) -> Column:
    return F.struct(F.lit(reason.value).alias("reason"), F.lit(field).alias("field"), message.alias("message"))


def _limit(name: str) -> int:
    return contract.MAX_QUERY_LENGTH if name == "query" else contract.MAX_ID_LENGTH


def _shown(given: Column) -> Column:
    return F.coalesce(F.concat(F.lit("'"), F.substring(given, 1, 78), F.lit("'")), F.lit("None"))


def _iso(name: str) -> Column:
    return F.date_format(name, "yyyy-MM-dd'T'HH:mm:ssXXX")
