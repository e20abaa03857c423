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
_KNOWN_TYPES = [each.value for each in EventType]
_SENTINEL = "headrace-end"
_STRICT = {"allowNonNumericNumbers": "false", "allowSingleQuotes": "false"}
_LARGEST_WHOLE = 1e15
_END_OF_TIME_MS = 253_402_300_800_000  # the year 10000

# Texts that may have been no text in the JSON but a truth value, a list, an object or a number that is not whole.
_AMBIGUOUS = r"^\s*(true|false|[\[{].*|-?[0-9]+[.eE].*|-?[0-9]{16,})\s*$"


def checked(rows: DataFrame) -> DataFrame:
    """`rows` (with `raw` and `received_at`) plus the event's typed fields and `refused`; `raw` stays with refused rows only.

    `refused` is null for a good event, else a struct of `reason`, `field` and `message`. Keep the result (`persist`) before
    filtering on `refused`: Spark would push the filter down with every rule written out in it.
    """
    kept = rows.columns
    # The sentinel shows text after the event's closing brace, which the parser alone would not mind.
    wrapped = F.concat(F.lit('{"e":'), F.col("raw"), F.lit(f',"end":"{_SENTINEL}"}}'))
    schema = f"e struct<{', '.join(f'`{name}`: string' for name in FIELDS)}>, `end` string"
    parsed = rows.withColumn("_json", F.from_json(F.when(_fits(), wrapped), schema, _STRICT))
    given = parsed.select(
        *kept,
        (F.col("_json.e").isNotNull() & (F.col("_json.end") == _SENTINEL)).alias("is_object"),
        *(F.col(f"_json.e.{name}").alias(f"given_{name}") for name in FIELDS),
    )
    typed = given.select(
        *kept,
        F.coalesce("is_object", F.lit(False)).alias("is_object"),
        *(_text(name).alias(name) for name in TEXTS),
        F.col("given_event_type").alias("event_type"),
        *(F.col(f"given_{name}") for name in ("timestamp", "value", "price")),
        _time().alias("timestamp"),
        _number("value").alias("value"),
        _number("price").alias("price"),
        _position().alias("position"),
        _context().alias("context"),
    )
    judged = typed.withColumn("refused", _first_problem())
    return judged.select(
        *(name for name in kept if name != "raw"),
        # Needed of refused rows only; without it what is kept between two uses is half the size.
        F.when(F.col("refused").isNotNull(), F.col("raw")).alias("raw"),
        *IDS,
        "event_type",
        F.coalesce("user_id", F.concat(F.lit(contract.SESSION_PREFIX), F.col("session_id"))).alias("subject_id"),
        "timestamp",
        "value",
        "price",
        "query",
        "request_id",
        "position",
        "context",
        F.when(F.col("is_object"), F.col("raw")).alias("extra"),
        _first_problem().alias("refused"),
    )


def refusal(reason: Reason, field: str, message: Column) -> Column:
    """Why a row is refused."""
    return F.struct(F.lit(reason.value).alias("reason"), F.lit(field).alias("field"), message.alias("message"))


def trimmed(text: Column) -> Column:
    """Without the white space around it."""
    return F.btrim(text, F.lit(contract.WHITESPACE))


def number_in(text: Column) -> Column:
    """The number that a text is; null where it is none."""
    cut = trimmed(text)
    return F.when(cut.rlike(f"^({contract.NUMBER_PATTERN})$"), cut.try_cast("double"))


def _fits() -> Column:
    return F.octet_length("raw") <= contract.MAX_EVENT_BYTES


def _text(name: str) -> Column:
    """The text, or a whole number as text; null for anything else, and for nothing but blanks."""
    given = F.col(f"given_{name}")
    return F.nullif(F.when(given.rlike(_AMBIGUOUS), _typed_text(name)).otherwise(trimmed(given)), F.lit(""))


def _typed_text(name: str) -> Column:
    """The same by the JSON type of the field: dearer, hence only where the text alone does not tell."""
    value = F.try_variant_get(F.try_parse_json("raw"), f"$.{name}", "variant")
    kind, number = F.schema_of_variant(value), F.try_variant_get(value, "$", "double")
    whole = (F.abs(number) < _LARGEST_WHOLE) & (number == F.floor(number))
    is_integer = (kind == "BIGINT") | kind.rlike(r"^DECIMAL\(\d+,0\)$")
    text = F.try_variant_get(value, "$", "string")
    return (
        F.when(kind == "STRING", trimmed(text))
        .when(is_integer, text)
        .when(kind.rlike("^(DOUBLE|DECIMAL)") & whole, number.cast("long").cast("string"))
    )


def _number(name: str) -> Column:
    return number_in(F.col(f"given_{name}"))


def _time() -> Column:
    text = trimmed(F.col("given_timestamp"))
    iso = F.when(text.rlike(f"^{contract.TIME_PATTERN}$"), text.try_cast("timestamp"))
    milliseconds = F.floor(_number("timestamp")).cast("long")
    number = F.when(milliseconds.between(0, _END_OF_TIME_MS - 1), F.timestamp_millis(milliseconds))
    return F.coalesce(iso, number)


def _position() -> Column:
    number = _number("position")
    return F.when((number == F.floor(number)) & (F.abs(number) < 2**31), number.cast("int"))


def _context() -> Column:
    values = F.from_json("given_context", "map<string,string>", _STRICT)
    return F.coalesce(
        F.map_filter(values, lambda _, value: value.isNotNull()), F.create_map().cast("map<string,string>")
    )


def _first_problem() -> Column:
    """The first broken rule in the order of `Reason`, as `parse_event` has it; null where none is broken."""
    rules = [
        *_form_rules(),
        *_who_and_what_rules(),
        *_time_rules(),
        *_value_rules("value"),
        *_value_rules("price"),
        *_text_rules(),
    ]
    (broken, *refused), *others = rules
    problem = F.when(broken, refusal(*refused))
    for broken, *refused in others:
        problem = problem.when(broken, refusal(*refused))
    return problem


Rule = tuple[Column, Reason, str, Column]


def _form_rules() -> list[Rule]:
    size = F.concat(F.octet_length("raw"), F.lit(f" bytes, at most {contract.MAX_EVENT_BYTES}"))
    return [
        (~_fits(), Reason.TOO_LARGE, "", size),
        (~F.col("is_object"), Reason.MALFORMED, "", F.lit("not a JSON object")),
        (F.col("event_id").isNull(), Reason.MISSING_EVENT_ID, "event_id", F.lit("every event needs a unique id")),
    ]


def _who_and_what_rules() -> list[Rule]:
    kind = F.col("event_type")
    unknown = F.concat(_shown("event_type"), F.lit(f" is none of {', '.join(_KNOWN_TYPES)}"))
    needs_item = F.concat(F.lit("a "), kind, F.lit(" needs an item_id"))
    nobody = F.col("user_id").isNull() & F.col("session_id").isNull()
    no_item = (kind != EventType.SEARCH.value) & F.col("item_id").isNull()
    return [
        (kind.isNull() | ~kind.isin(*_KNOWN_TYPES), Reason.UNKNOWN_EVENT_TYPE, "event_type", unknown),
        (nobody, Reason.MISSING_SUBJECT, "user_id", F.lit("give a user_id or a session_id")),
        (no_item, Reason.MISSING_ITEM, "item_id", needs_item),
    ]


def _time_rules() -> list[Rule]:
    time, given = F.col("timestamp"), F.col("given_timestamp")
    latest = F.col("received_at") + F.make_dt_interval(secs=F.lit(contract.CLOCK_SKEW.total_seconds()))
    bad = F.concat(_shown("given_timestamp"), F.lit(" is no ISO 8601 time and no milliseconds since 1970"))
    future = F.concat(_iso("timestamp"), F.lit(" is after "), _iso("received_at"))
    no_time = F.lit("give the time of the event in UTC")
    return [
        (given.isNull() | (given == ""), Reason.MISSING_TIMESTAMP, "timestamp", no_time),
        (time.isNull() | (time < F.lit(contract.EARLIEST_TIMESTAMP)), Reason.BAD_TIMESTAMP, "timestamp", bad),
        (time > latest, Reason.FUTURE_TIMESTAMP, "timestamp", future),
    ]


def _value_rules(name: str) -> list[Rule]:
    number, given, kind = F.col(name), F.col(f"given_{name}"), F.col("event_type")
    missing = given.isNull() | (given == "")
    shown = number.cast("string")

    def rule(broken: Column, message: Column) -> Rule:
        return broken, Reason.BAD_VALUE, name, message

    general = [
        rule(~missing & number.isNull(), F.concat(_shown(f"given_{name}"), F.lit(" is no number"))),
        rule(
            ~number.between(0, contract.MAX_VALUE), F.concat(shown, F.lit(f" is outside 0 to {contract.MAX_VALUE:g}"))
        ),
    ]
    if name == "price":
        return general
    rating = kind == EventType.RATING.value
    quantity = kind.isin(EventType.PURCHASE.value, EventType.ADD_TO_CART.value)
    scale = f"0 to {contract.MAX_RATING:g}"
    return [
        rule(missing & rating, F.lit(f"a rating needs a value from {scale}")),
        rule(quantity & (number <= 0), F.concat(shown, F.lit(" is no quantity: expected a number > 0"))),
        rule(rating & ~number.between(0, contract.MAX_RATING), F.concat(shown, F.lit(f" is outside {scale}"))),
        *general,
    ]


def _text_rules() -> list[Rule]:
    no_words = (F.col("event_type") == EventType.SEARCH.value) & F.col("query").isNull()
    limits = {**dict.fromkeys(IDS, contract.MAX_ID_LENGTH), "query": contract.MAX_QUERY_LENGTH}
    return [
        (no_words, Reason.MISSING_QUERY, "query", F.lit("a search needs its words in query")),
        *(
            (
                F.length(name) > limit,
                Reason.ID_TOO_LONG,
                name,
                F.concat(F.length(name), F.lit(f" characters, at most {limit}")),
            )
            for name, limit in limits.items()
        ),
    ]


def _shown(name: str) -> Column:
    return F.coalesce(F.concat(F.lit("'"), F.substring(name, 1, 78), F.lit("'")), F.lit("None"))


def _iso(name: str) -> Column:
    return F.date_format(name, "yyyy-MM-dd'T'HH:mm:ssXXX")
