"""Invoice lines in the form of Online Retail (Parquet or CSV) as files in the event contract.

    python -m jobs.batch.sources.online_retail FOLDER --output var/import

writes `events.parquet`, `items.parquet` and `meta.json`. The mapping is described in `docs/data-mapping.md`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from headrace.errors import BadInputError
from headrace.events import WHITESPACE
from headrace.events.ids import id_texts
from headrace.machine.last_resort import reporting_errors
from jobs.batch.sources.contract_files import numbered, write_files
from jobs.batch.sources.invoice_texts import ORDERS, Order, dates, numbers

COLUMNS = (
    *("InvoiceNo", "StockCode", "Description", "Quantity"),
    *("InvoiceDate", "UnitPrice", "CustomerID", "Country"),
)
IDS = ("InvoiceNo", "StockCode", "CustomerID")
AMOUNTS = ("Quantity", "UnitPrice")
PRODUCT = r"\d{5}[A-Za-z]*"
"""Stock codes of goods; others (POST, M, BANK CHARGES, …) are services and corrections."""


def read_lines(folder: Path, order: Order | None = None) -> pd.DataFrame:
    """All invoice lines of the folder's Parquet and CSV files as texts, dates in ISO 8601; prints each file's formats.

    Raises BadInputError where there is no file, a column is missing, or dates or numbers can be read in two ways.
    """
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".parquet", ".csv"))
    if not files:
        raise BadInputError(f"{folder} has no Parquet or CSV", "Name the folder with the invoice lines")
    return pd.concat([_read(path, order) for path in files], ignore_index=True)


def events(lines: pd.DataFrame) -> pd.DataFrame:
    """One event per line: a purchase, or a return where the invoice is a cancellation (`C…`).

    A negative quantity with a customer id is a return too. Without customer and cancellation it is a stock
    correction: it stays a purchase with its negative quantity, which the contract refuses.
    """
    invoice, customer = lines["InvoiceNo"], lines["CustomerID"]
    quantity = pd.to_numeric(lines["Quantity"], errors="coerce").astype("Float64")
    cancelled = invoice.str.upper().str.startswith("C").fillna(False)
    returned = (quantity < 0).fillna(False) & (cancelled | customer.notna())
    return pd.DataFrame(
        {
            "event_id": numbered("or-" + invoice.fillna("") + "-" + lines["StockCode"].fillna("")),
            "event_type": np.where(returned, "return", "purchase"),
            "user_id": customer,
            "session_id": invoice.where(customer.isna()),
            "item_id": lines["StockCode"],
            "timestamp": lines["InvoiceDate"],
            "value": (-quantity).astype("string").where(returned, lines["Quantity"]),
            "price": lines["UnitPrice"],
            "invoice": invoice,
            "country": lines["Country"],
        }
    )


def items(lines: pd.DataFrame) -> pd.DataFrame:
    """One row per stock code, its most frequent description as title; services and corrections are not available."""
    named = lines[lines["StockCode"].notna()]
    counted = named.groupby(["StockCode", "Description"], as_index=False).size()
    best = counted.sort_values(["StockCode", "size", "Description"], ascending=[True, False, True])
    title = best.drop_duplicates("StockCode").set_index("StockCode")["Description"]
    codes = pd.Series(np.sort(named["StockCode"].unique()), dtype="string")
    name = codes.map(title).astype("string")
    return pd.DataFrame(
        {
            "item_id": codes,
            "title": name.str.capitalize(),
            "text": name.str.lower(),
            "available": codes.str.fullmatch(PRODUCT),
        }
    )


def write(folder: Path, output: Path, order: Order | None = None) -> dict[str, Any]:
    """Write the files below `output` and return what is in `meta.json`."""
    lines = read_lines(folder, order)
    tables = {"events": events(lines), "items": items(lines)}
    meta = {
        "events": len(lines),
        "returns": int((tables["events"]["event_type"] == "return").sum()),
        "without_customer": int(lines["CustomerID"].isna().sum()),
        "items": len(tables["items"]),
    }
    write_files(output, tables, meta)
    return meta


def _read(path: Path, order: Order | None) -> pd.DataFrame:
    table = pd.read_parquet(path, partitioning=None) if path.suffix.lower() == ".parquet" else _csv(path)
    table.columns = table.columns.str.strip()
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise BadInputError(f"{path.name} has no column '{missing[0]}'", f"Needed: {', '.join(COLUMNS)}")
    columns = {name: _texts(table[name], name, path.name) for name in COLUMNS}
    readings: list[str] = []
    if not pd.api.types.is_datetime64_any_dtype(table["InvoiceDate"]):
        columns["InvoiceDate"], how = dates(columns["InvoiceDate"], path.name, order)
        readings.append(how)
    if typed := {name: columns[name] for name in AMOUNTS if not pd.api.types.is_numeric_dtype(table[name])}:
        amounts, how = numbers(typed, path.name)
        columns |= amounts
        readings.append(how)
    for how in filter(None, readings):
        print(how)
    return pd.DataFrame(columns)


def _csv(path: Path) -> pd.DataFrame:
    """Every value as text, so that a code `NA` is not missing; the most frequent separator in the header is used."""
    with path.open("rb") as file:
        header = file.readline()
    separator = max(",;\t", key=lambda mark: header.count(mark.encode()))
    texts: dict[str, Any] = {"dtype": str, "keep_default_na": False, "na_values": [""], "sep": separator}
    try:
        try:
            return pd.read_csv(path, **texts)
        except UnicodeDecodeError:
            return pd.read_csv(path, **texts, encoding="latin-1")
    except (ValueError, OSError) as error:
        raise BadInputError(f"{path.name} cannot be read ({error})", "Use CSV with a header") from None


def _texts(column: pd.Series[Any], name: str, file: str) -> pd.Series[str]:
    """The column as texts; customer ids that are all written like `17850.0` become integers."""
    if name in IDS and pd.api.types.is_numeric_dtype(column):
        ids = id_texts(pa.chunked_array([pa.Array.from_pandas(column)]), name, file)
        return pd.Series(ids.to_pylist(), index=column.index, dtype="string")
    if pd.api.types.is_datetime64_any_dtype(column):
        return pd.to_datetime(column, utc=True).dt.strftime("%Y-%m-%dT%H:%M:%SZ").astype("string")
    texts = column.astype("string").str.strip(WHITESPACE).replace("", pd.NA)
    if name == "CustomerID" and texts.dropna().str.fullmatch(r"\d+\.0").all():
        return texts.str.removesuffix(".0")
    return texts


def main(arguments: list[str] | None = None) -> int:
    """Command line; prints one line about what was written."""
    parser = argparse.ArgumentParser(prog="python -m jobs.batch.sources.online_retail", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="folder with the invoice lines")
    parser.add_argument("--output", type=Path, required=True, help="folder for the files")
    parser.add_argument("--dates", choices=ORDERS, help="how to read dates that are ambiguous in all rows")
    given = parser.parse_args(arguments)
    return reporting_errors(lambda: _write(given))


def _write(given: argparse.Namespace) -> None:
    meta = write(given.folder, given.output, given.dates)
    print(
        f"{meta['events']:,} lines, {meta['returns']:,} of them returns, "
        f"{meta['without_customer']:,} without customer, {meta['items']:,} items"
    )


if __name__ == "__main__":
    sys.exit(main())
