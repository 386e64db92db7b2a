"""The form of a mapping as a browser sends it: every field of the page, as it stands in it."""

from html.parser import HTMLParser


class _Fields(HTMLParser):
    """What a browser would send of the form "mapping"."""

    def __init__(self) -> None:
        super().__init__()
        self.said: dict[str, str | list[str]] = {}
        self._inside = False
        self._select = ""
        self._value: str | None = None
        self._chosen = self._first = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        told = dict(attributes)
        if tag == "form":
            self._inside = told.get("id") == "mapping"
        if tag == "option" and self._select:
            self._settle()
            self._value, self._chosen = told.get("value", ""), "selected" in told
            self._text = "value" not in told
            if self._text:
                self._value = ""
        name = told.get("name")
        if not name or not (self._inside or told.get("form") == "mapping"):
            return
        if tag == "select":
            self._select, self._first = name, True
        elif tag == "input" and told.get("type") == "checkbox":
            if "checked" in told:
                days = self.said.setdefault(name, [])
                assert isinstance(days, list)
                days.append(told.get("value") or "on")
        elif tag == "input":
            self.said[name] = told.get("value") or ""

    def handle_data(self, data: str) -> None:
        if self._value is not None and self._text:
            self._value += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False
        if tag == "select":
            self._settle()
            self._select = ""

    def _settle(self) -> None:
        if self._value is not None and (self._first or self._chosen):
            self.said[self._select] = self._value
        if self._value is not None:
            self._first = False
        self._value = None


def fields(page: str) -> dict[str, str | list[str]]:
    """The fields of the form "mapping" of a page."""
    found = _Fields()
    found.feed(page)
    return found.said
