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

from headrace.errors import BadInputError, reporting_errors
from jobs.batch.sources.contract_files import numbered, write_files

COLUMNS = (
    *("InvoiceNo", "StockCode", "Description", "Quantity"),
    *("InvoiceDate", "UnitPrice", "CustomerID", "Country"),
)
PRODUCT = r"\d{5}[A-Za-z]*"
"""Stock codes of goods; others (POST, M, BANK CHARGES, …) are services and corrections."""


def read_lines(folder: Path) -> pd.DataFrame:
    """All invoice lines of the folder's Parquet and CSV files, ids as text.

    Raises BadInputError where there is no file or a column is missing.
    """
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".parquet", ".csv"))
    if not files:
        raise BadInputError(f"{folder} holds no Parquet or CSV", "Name the folder that holds the invoice lines")
    return pd.concat([_read(path) for path in files], ignore_index=True)


def events(lines: pd.DataFrame) -> pd.DataFrame:
    """One event per line: a purchase, or a return where the invoice is a cancellation (`C…`).

    A negative quantity of a known customer is a return too. Without customer and cancellation it is a correction of
    the stock: it stays a purchase with its negative quantity, which the contract refuses.
    """
    invoice, customer, quantity = lines["InvoiceNo"], lines["CustomerID"], lines["Quantity"]
    cancelled = invoice.str.upper().str.startswith("C").fillna(False)
    returned = (quantity < 0) & (cancelled | customer.notna())
    return pd.DataFrame(
        {
            "event_id": numbered("or-" + invoice.fillna("") + "-" + lines["StockCode"].fillna("")),
            "event_type": np.where(returned, "return", "purchase"),
            "user_id": customer,
            "session_id": invoice.where(customer.isna()),
            "item_id": lines["StockCode"],
            "timestamp": lines["InvoiceDate"].dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "value": quantity.where(~returned, -quantity),
            "price": lines["UnitPrice"],
            "invoice": invoice,
            "country": lines["Country"],
        }
    )


def items(lines: pd.DataFrame) -> pd.DataFrame:
    """One row per stock code, titled as it is most often described; what is no good is not available."""
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


def write(folder: Path, output: Path) -> dict[str, Any]:
    """Write the files below `output` and return what is in `meta.json`."""
    lines = read_lines(folder)
    tables = {"events": events(lines), "items": items(lines)}
    meta = {
        "events": len(lines),
        "returns": int((tables["events"]["event_type"] == "return").sum()),
        "without_customer": int(lines["CustomerID"].isna().sum()),
        "items": len(tables["items"]),
    }
    write_files(output, tables, meta)
    return meta


def _read(path: Path) -> pd.DataFrame:
    if path.suffix.lower() == ".parquet":
        table = pd.read_parquet(path)
    else:
        texts = dict.fromkeys(("InvoiceNo", "StockCode", "Description", "CustomerID", "Country"), "string")
        try:
            table = pd.read_csv(path, dtype=texts)
        except UnicodeDecodeError:
            table = pd.read_csv(path, dtype=texts, encoding="latin-1")
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise BadInputError(f"{path.name} has no column '{missing[0]}'", f"Needed: {', '.join(COLUMNS)}")
    made = {
        name: table[name].astype("string").str.strip() for name in ("InvoiceNo", "StockCode", "Description", "Country")
    }
    return pd.DataFrame(
        {
            **made,
            "Quantity": pd.to_numeric(table["Quantity"], errors="coerce"),
            "UnitPrice": pd.to_numeric(table["UnitPrice"], errors="coerce"),
            "InvoiceDate": pd.to_datetime(table["InvoiceDate"], errors="coerce"),
            "CustomerID": table["CustomerID"].astype("string").str.strip().str.removesuffix(".0"),
        }
    )


def main(arguments: list[str] | None = None) -> int:
    """Command line; says in one line what was written."""
    parser = argparse.ArgumentParser(prog="python -m jobs.batch.sources.online_retail", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="folder with the invoice lines")
    parser.add_argument("--output", type=Path, required=True, help="folder for the files")
    given = parser.parse_args(arguments)
    return reporting_errors(lambda: _write(given))


def _write(given: argparse.Namespace) -> None:
    meta = write(given.folder, given.output)
    print(
        f"{meta['events']:,} lines, {meta['returns']:,} of them returns, "
        f"{meta['without_customer']:,} without customer, {meta['items']:,} items"
    )


if __name__ == "__main__":
    sys.exit(main())
