"""The French catalogue: `python -m tests.dashboards.catalogue` takes in new messages, drops old ones and compiles it.

A development tool, beside the test that uses it: what is installed reads the compiled file only.
"""

import io
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from dashboards.web.texts import CATALOGUES, DOMAIN

ROOT = Path(__file__).parents[2]
FOLDER = CATALOGUES / "fr" / "LC_MESSAGES"
PO, MO = FOLDER / f"{DOMAIN}.po", FOLDER / f"{DOMAIN}.mo"
KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "mark": None}


def extracted() -> Catalog:
    """Every message of templates and code, with where it stands."""
    mappings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["babel"]["mappings"]
    methods = [(one["pattern"], one["method"]) for one in mappings]
    options = {
        one["pattern"]: {key: str(one[key]) for key in one.keys() & {"extensions", "trimmed"}} for one in mappings
    }
    found = Catalog()
    for name, _, message, _, context in extract_from_dir(
        ROOT / "dashboards", [(pattern.removeprefix("dashboards/"), method) for pattern, method in methods],
        {pattern.removeprefix("dashboards/"): chosen for pattern, chosen in options.items()}, KEYWORDS,
    ):  # fmt: skip
        found.add(message, locations=[(f"dashboards/{name}", 0)], context=context)
    return found


def catalogue() -> Catalog:
    """The French catalogue as it is checked in."""
    with PO.open("rb") as file:
        return read_po(file, locale="fr", domain=DOMAIN)


def compiled(of: Catalog) -> bytes:
    """What the .mo file of a catalogue holds."""
    file = io.BytesIO()
    write_mo(file, of)
    return file.getvalue()


def messages(of: Catalog) -> Iterator[Message]:
    """The messages, without the header."""
    return (message for message in of if message.id)


def main() -> None:
    french = catalogue()
    french.update(extracted(), no_fuzzy_matching=True)
    french.obsolete.clear()
    with PO.open("wb") as file:
        write_po(file, french, width=120, omit_header=False, no_location=True, sort_output=True, ignore_obsolete=True)
    again = catalogue()
    MO.write_bytes(compiled(again))
    empty = [
        message.id
        for message in messages(again)
        if not all(message.string if message.pluralizable else [message.string])
    ]
    for one in empty:
        sys.stdout.write(f"to be translated: {one}\n")


if __name__ == "__main__":
    main()
