"""Readable titles of the retailer's products: product, package size and brand.

`LEAN` below `BEEF` is "Lean Beef", `APPLES GALA (BULK&BAG)` is "Gala Apples", `L     8 OZ` is "8 oz", and the brand
`Private` is the store's own. Titles are for display: models read the source's words (`complete_journey.items`).
"""

from __future__ import annotations

import re

import pandas as pd

from jobs.batch.sources.complete_journey_words import HEADS, KINDS, NAMES, NOUNS, UNITS, WAYS, WORDS

CASE_POUNDS = 10
"""From this weight on, the size of fruit and vegetables of no store brand is that of the case that they came in."""
_SIZE = re.compile(
    r"(?<![\d./-])(\d{1,3}(?:\.\d+)?(?: \d/\d)?(?:/\d+(?:\.\d+)?)?) *"
    rf"({'|'.join(sorted(UNITS, key=len, reverse=True))})\b"
)
_ASIDE = re.compile(r"\s*\([^)]*\)?")
"""In brackets, of which the source cuts off the second: how it is packed, examples, exceptions."""
_COLUMNS = ["department", "product_category", "product_type", "brand", "package_size"]


def titles(products: pd.DataFrame) -> pd.Series[str]:
    """A title for each row of the package's `products`."""
    known = products[_COLUMNS].astype(object)
    rows = known.where(known.notna(), "").itertuples(index=False)
    return pd.Series([title(*row) for row in rows], products.index, dtype="string")


def title(department: str, category: str, kind: str, brand: str, package: str) -> str:
    """The title from the source's texts, which are empty where they are missing."""
    named = _name(department, category, kind) or _readable(category) or _readable(department) or "Unnamed Product"
    loose = department == "PRODUCE" and brand != "Private"
    size = _size(package, loose)
    return f"{named}{f', {size}' if size else ''}{' (store brand)' if brand == 'Private' else ''}"


def _name(department: str, category: str, kind: str) -> str:
    """The product: its type in readable words, with its category where needed."""
    if kind in NAMES:
        return NAMES[kind]
    words = KINDS.get(kind) or _readable(kind)
    noun = NOUNS.get(category, "")
    if noun and noun.split()[-1].rstrip("s").lower() not in words.lower():
        return f"{words} {noun}".strip()
    first, _, rest = words.partition(" ")
    if (department == "PRODUCE" or category == "EGGS") and first.upper() == re.split("[ /-]", category)[0]:
        return f"{rest} {first}".strip(" &")
    way = WAYS.get(category, "")
    return words if words.startswith(way) else f"{way} {words}"


def _size(package: str, loose: bool) -> str:
    """The package size; empty where the source has none, or something else."""
    found = _SIZE.search(package.upper())
    if not found:
        return ""
    number, unit = found.groups()
    pounds = float(re.split("[ /]", number)[0]) if unit == "LB" else 0
    of_a_case = loose and (unit == "CT" or pounds >= CASE_POUNDS)
    return "" if of_a_case else f"{number} {UNITS[unit]}"


def _readable(text: str) -> str:
    head, mark, kind = _ASIDE.sub("", text).partition(":")
    if mark and kind.strip():
        return f"{_spelt(kind)} {HEADS.get(head.strip(), _spelt(head))}".strip()
    return _spelt(head)


def _spelt(text: str) -> str:
    plain = re.sub(r"\s*&\s*", " & ", re.sub(r"\s+-\s+|,", " ", text))
    spelt = re.sub(r"[A-Z]+(?:'S)?", lambda word: WORDS.get(word[0], word[0].capitalize()), plain)
    return re.sub(r"\s+", " ", spelt).strip(" /&-")
