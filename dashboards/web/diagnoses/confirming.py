"""The page on which what was recognised of a file is confirmed: a proposal, or a mapping that was kept, as a form.

Every guess is shown with why, and as one to confirm where it is not sure. The form carries the mapping that it shows
along (`base`): what it has no field for stays as it was.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from fastapi import Response

from dashboards.web.accounts.identity import Identity, Role
from dashboards.web.diagnoses import form
from dashboards.web.diagnoses.desk import Desk
from dashboards.web.diagnoses.preview import ROWS, Preview
from dashboards.web.diagnoses.shelf import Diagnosis
from dashboards.web.problems import ProblemError
from dashboards.web.rendering import Page, Renderer
from dashboards.web.texts import Language, mark
from pipeline.files.guard import why
from pipeline.files.mapping import EventLogConfig
from pipeline.files.meanings import MOST_PRODUCTS, Word
from pipeline.files.propose import LAYOUT, Proposal
from pipeline.files.recognise import Column, is_bit
from pipeline.files.times import order_of
from pipeline.kpis.use_cases import USE_CASES
from pipeline.said import Said
from telemetry.errors import DecodeError

ZONE: Final = "Europe/Paris"
_QUICK_SHEET_BYTES: Final = 2_000_000
"""A workbook is read whole for its first rows too: previews of larger ones are made only when asked for."""
_MOST_COLUMNS: Final = 60
"""Columns that are offered as bits, or as lengths, beside those that were recognised."""

DAY_NAMES: Final = {
    "mon": mark("Mon"), "tue": mark("Tue"), "wed": mark("Wed"), "thu": mark("Thu"), "fri": mark("Fri"),
    "sat": mark("Sat"), "sun": mark("Sun"),
}  # fmt: skip
ORDERS: Final = {"day": mark("day first"), "month": mark("month first"), "year": mark("year first")}
SEPARATORS: Final = {";": ";", ",": ",", "\t": "⇥", "|": "|", " ": "␣"}
ENCODINGS: Final = ("utf-8", "cp1252", "cp850", "mac_roman", "iso-8859-15", "utf-16")
_REREAD: Final = Said(
    "these are the columns of the table as it is read now: check them",
    "voici les colonnes du tableau tel qu'il est lu maintenant : vérifiez-les",
)


@dataclass(frozen=True)
class Filled:
    """A form: the mapping that it says (or the last that was one), what is wrong with it, what stands in its fields
    again, right or wrong; words and products of columns that had to be read for it."""

    proposal: Proposal
    mapping: EventLogConfig
    fault: Said | None = None
    said: Mapping[str, str] = field(default_factory=dict)
    days: Sequence[str] = ()
    words: Sequence[Word] | None = None


def page_of(desk: Desk, renderer: Renderer, page: Page, who: Identity, found: Diagnosis, saved: str | None) -> Response:
    """The form of a file as nobody filled it in yet: by the saved mapping, the last that was run, or the proposal."""
    fault = None
    before = None
    if saved:
        text = desk.shelf.mappings(who.organisation).get(saved)
        before = desk.kept(text)
        if before is None:
            fault = Said(f"there is no mapping {saved!r}", f"il n'y a pas de correspondance « {saved} »") if (
                text is None) else Said(
                f"the mapping {saved!r} was saved by an earlier version and cannot be used: save it again",
                f"la correspondance « {saved} » a été enregistrée par une version antérieure et ne peut plus servir : "
                "enregistrez-la à nouveau",
            )  # fmt: skip
    before = before or desk.kept(found.mapping)
    zone = before.timezone if before is not None and before.timezone else ZONE
    try:
        proposal, wrong = _proposed(desk, found, zone, before)
    except ProblemError as error:
        if error.kind != "file-refused":
            raise
        told = error.detail.in_(page.language) if isinstance(error.detail, Said) else error.detail
        return renderer.page(page, "unread.html", found=found, fault=told, may=who.role >= Role.ENGINEER)
    mapping = before or proposal.mapping
    if wrong is not None:  # of another workbook, say: its columns may be those of this one all the same
        mapping = mapping.model_copy(update=dict.fromkeys(("sheet", "header_lines", "separator", "encoding")))
    return form_page(desk, renderer, page, who, found, Filled(proposal, mapping, fault or wrong), fault=fault or wrong)


def _proposed(desk: Desk, found: Diagnosis, zone: str, layout: EventLogConfig | None) -> tuple[Proposal, Said | None]:
    """What the file probably says; as its table is found where it cannot be read as somebody says, with why. Raises
    ProblemError where it cannot be read at all."""
    try:
        return desk.propose(found, zone, layout), None
    except ProblemError as error:
        if layout is None or error.kind != "file-refused":
            raise
        detail = error.detail if isinstance(error.detail, Said) else Said(error.detail, error.detail)
        return desk.propose(found, zone), detail


def filled_in(desk: Desk, found: Diagnosis, said: Mapping[str, str], days: Sequence[str]) -> Filled:
    """What a form says. Where it says that the table is written in another way, its columns are proposed anew."""
    zone = said.get("timezone", "").strip()
    zone = zone if zone in form.zones() else ZONE
    fault, carried, layout = None, None, None
    try:
        carried = form.base(said)
        layout = form.layout(said, carried or EventLogConfig())
    except form.FormError as error:
        fault, layout = error.said, carried
    proposal, wrong = _proposed(desk, found, zone, layout)
    base = carried or proposal.mapping
    fault = fault or wrong
    if fault is not None:
        return Filled(proposal, base, fault, said, days)
    if carried is not None and layout is not None and not form.same_layout(layout, carried):
        said, fault = form.without_columns(said), _REREAD
        base = proposal.mapping.model_copy(update={"machine": carried.machine, "calendar": carried.calendar})
    try:
        mapping = form.read(said, days, base)
    except form.FormError as error:
        return Filled(proposal, base, error.said, said, days)
    column = mapping.columns.get("state")
    words = None
    if fault is None and column and column != said.get("words_of", column):
        words = desk.words(found, mapping)
        if words:
            fault = Said("say what the words of its states mean", "dites ce que signifient les mots de ses états")
    return Filled(proposal, mapping, fault, said, days, words)


def previewed(desk: Desk, found: Diagnosis, filled: Filled, language: Language) -> Preview | Said:
    """What a form makes of the first rows, or why it cannot."""
    if filled.fault not in (None, _REREAD):
        assert filled.fault is not None
        return filled.fault
    try:
        return desk.preview(found, filled.mapping, language)
    except DecodeError as error:
        return why(error)


def form_page(
    desk: Desk, renderer: Renderer, page: Page, who: Identity, found: Diagnosis, filled: Filled, *,
    fault: Said | None = None, code: int = 200, preview: Preview | Said | None = None,
) -> Response:  # fmt: skip
    """The form, with what was recognised beside it."""
    proposal, mapping, said = filled.proposal, filled.mapping, filled.said
    given = said.get
    names = [column.name for column in proposal.columns]
    words, column = filled.words, given("metric:state", mapping.columns.get("state", ""))
    if words is None:
        words = proposal.words
        if mapping.name is None and column in names and column != proposal.mapping.columns.get("state"):
            chosen = mapping.model_copy(update={"columns": {**mapping.columns, "state": column}})
            words = desk.words(found, chosen)
    proposed = mapping == proposal.mapping
    states = {one.word: form.meaning(one.word, mapping) or (one.state if proposed else "") for one in words}
    plain = mapping.model_copy(update={"states": {}})
    shown = frozenset({*form.COLUMNS, *form.METRICS, *form.CHOICES, *LAYOUT, "timezone", "bits", "lengths"})
    return renderer.page(
        page,
        "mapping.html",
        code,
        found=found,
        proposal=proposal,
        mapping=mapping,
        base=mapping.model_dump_json(exclude_unset=True),
        guesses={guess.field: guess for guess in proposal.guesses},
        others=[guess for guess in proposal.guesses if guess.field not in shown],
        given=given,
        written=form.written,
        words_of=column or "",
        words=words,
        word_states=states,
        fixed={one.word for one in words if form.meaning(one.word, plain)},
        columns=names,
        metric_names=names
        if mapping.name is None
        else list(dict.fromkeys((*proposal.names, *mapping.columns.values()))),
        chosen=form.chosen(mapping, names),
        bits=_offered(mapping.bits, proposal.columns, bits=True) if mapping.bits or not (column or words) else {},
        lengths=_offered(mapping.lengths, proposal.columns, bits=False) if mapping.lengths else {},
        products=_products(desk, found, filled, names),
        orders=ORDERS,
        order=ORDERS.get(order_of(proposal.form) or "", ""),
        separators=SEPARATORS,
        encodings=ENCODINGS,
        fields=form.COLUMNS,
        metrics_of_form=form.METRICS,
        state_names=form.STATES,
        dialects=form.DIALECTS,
        zones=form.zones(),
        shifts=form.turns(mapping.calendar.shifts) if mapping.calendar else "",
        breaks=form.turns(mapping.calendar.breaks) if mapping.calendar else "",
        days=filled.days if said else form.days_of(mapping.calendar),
        all_days=DAY_NAMES,
        saved=desk.shelf.mappings(who.organisation),
        fault=told.in_(page.language) if (told := fault or found.fault) else None,
        preview=preview if isinstance(preview, Preview) else None,
        preview_fault=preview.in_(page.language) if isinstance(preview, Said) else None,
        reread=filled.fault is _REREAD,
        preview_rows=ROWS,
        live=proposal.layout.kind != "xlsx" or found.bytes < _QUICK_SHEET_BYTES,
        nan=math.nan,
        may=who.role >= Role.ENGINEER,
        cases=USE_CASES,
    )


def _offered(told: Mapping[str, str], columns: Sequence[Column], *, bits: bool) -> dict[str, str]:
    """Columns that may each stand for a state, with the one they do ("": none)."""
    free = [one.name for one in columns if (is_bit(one) if bits else one.kind == "number") and one.name not in told]
    return {**told, **dict.fromkeys(free[:_MOST_COLUMNS], "")}


def _products(desk: Desk, found: Diagnosis, filled: Filled, columns: Sequence[str]) -> dict[str, float | None]:
    """Products that may each have a cycle [s], those that have one first."""
    mapping = filled.mapping
    column = filled.said.get("metric:product", mapping.columns.get("product"))
    told: Sequence[str] = filled.proposal.products
    if column != filled.proposal.mapping.columns.get("product"):
        told = ()
        if mapping.name is None and column in columns:
            chosen = mapping.model_copy(update={"columns": {**mapping.columns, "product": column}})
            told = desk.products(found, chosen)
    cycles = {product: cycle for product, cycle in mapping.machine.cycle_s.items() if product != "*"}
    return {**cycles, **{one: None for one in told[:MOST_PRODUCTS] if one not in cycles}}
