"""The French catalogue: complete, current, compiled. English is what templates and code say themselves."""

import re

import pytest
from babel.messages.catalog import Message

from dashboards.web.texts import translations
from tests.dashboards import catalogue

FRENCH = {message.id: message for message in catalogue.messages(catalogue.catalogue())}


def _ids(message: Message) -> list[str]:
    return list(message.id) if isinstance(message.id, tuple) else [message.id]


def _strings(message: Message) -> list[str]:
    return list(message.string) if isinstance(message.string, tuple | list) else [message.string]


def test_every_message_of_pages_and_code_is_in_the_catalogue_and_no_other() -> None:
    """What the templates and the code say is what the catalogue translates (`make texts` renews it)."""
    said = {message.id for message in catalogue.messages(catalogue.extracted())}
    assert len(said) > 80
    assert said == set(FRENCH)


@pytest.mark.parametrize("message", FRENCH.values(), ids=str)
def test_every_message_has_its_french_with_the_same_places_for_values(message: Message) -> None:
    """No translation is empty or unsure, and none forgets or invents a value such as %(count)s."""
    assert not message.fuzzy
    wanted = {place for text in _ids(message) for place in re.findall(r"%\(\w+\)\w", text)}
    for string in _strings(message):
        assert string
        assert set(re.findall(r"%\(\w+\)\w", string)) == wanted


def test_the_compiled_catalogue_is_the_one_that_people_read() -> None:
    """The .mo file that is installed is made from the .po file beside it."""
    assert catalogue.MO.read_bytes() == catalogue.compiled(catalogue.catalogue())


def test_english_is_what_is_written_and_french_what_the_catalogue_says() -> None:
    """The two languages differ where they should."""
    assert translations("en").gettext("Switched off") == "Switched off"
    assert translations("fr").gettext("Switched off") == "Hors tension"
