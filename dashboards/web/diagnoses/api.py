"""/api/v1/diagnoses and /api/v1/mappings: bring a file, say what it means, run, fetch what came out."""

import asyncio
import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BeforeValidator, ConfigDict, Field, ValidationError

from dashboards.web import problems
from dashboards.web.accounts.identity import Identity
from dashboards.web.accounts.walls import Who
from dashboards.web.context import WebContext
from dashboards.web.diagnoses import desk as making
from dashboards.web.diagnoses import plant, report
from dashboards.web.diagnoses.desk import Desk
from dashboards.web.diagnoses.result import ResultOut, SaidOut
from dashboards.web.diagnoses.shelf import ID, MAPPING_NAME, Diagnosis, State
from dashboards.web.models import Model
from dashboards.web.texts import Language
from dashboards.web.times import Instant
from pipeline.files.mapping import EventLogConfig
from pipeline.said import Said
from telemetry.plant import AssetPath
from telemetry.samples import Window

MOST: Final = 200

Number = Annotated[str, Path(pattern=ID, description="of a diagnosis", examples=["0f" * 16])]
MappingName = Annotated[str, Path(pattern=MAPPING_NAME, max_length=100)]
Lang = Annotated[Literal["fr", "en"], Query(description="language of sentences")]


async def _spoken(
    request: Request,
    lang: Annotated[Language | None, Query(description="language of sentences; else by Accept-Language")] = None,
) -> Language:
    return lang or problems.spoken(request)  # async: as that of pages


Spoken = Annotated[Language, Depends(_spoken)]

MachineNumber = Annotated[int, Query(ge=0, le=99, description="of several machines in the file, which: from 0")]

FileName = Annotated[str, Query(min_length=1, max_length=200, examples=["presse.csv"])]
CASE: Final = "mobile-robots"
BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


def _as_json(said: object) -> object:
    """A list of JSON is a tuple, and a text a date: what is a mapping as JSON is one here; else its faults are told."""
    try:
        return EventLogConfig.model_validate_json(json.dumps(said))
    except (ValidationError, TypeError, ValueError, RecursionError):
        return said


MappingIn = Annotated[EventLogConfig, BeforeValidator(_as_json)]
Form = Annotated[Literal["pdf", "html", "json"], Path()]
REPORT: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "content": {
            "application/pdf": {"schema": {"type": "string", "format": "binary"}},
            "text/html": {"schema": {"type": "string"}},
            "application/json": {"schema": {"type": "object"}},
        }
    }
}
CSV: Final[dict[int | str, dict[str, Any]]] = {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}
RESPONSES: Final[dict[int | str, dict[str, Any]]] = problems.RESPONSES | {
    status: {
        "description": text,
        "content": {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for status, text in (
        (400, "The body cannot be read at all"),
        (401, "Log in, or send a token"),
        (403, "Not with this role, scope or organisation"),
        (404, "No such diagnosis or mapping in this organisation"),
        (408, "The body came too slowly"),
        (409, "Not now: it is running, or has no result yet"),
        (413, "The file is too large"),
        (507, "No room is left for it"),
    )
}


class DiagnosisOut(Model):
    """A file that was brought, and how far its diagnosis is."""

    id: str
    kind: Literal["file", "plant"]
    file: str = Field(description="its name; of the plant: what was looked at")
    bytes: int
    by: str = Field(description='who brought it; "" without accounts')
    made: Instant
    state: State = Field(description="mapping: waits for `run`")
    share_read: float = Field(description="of a running one [0…1]")
    fault: str = Field(description="why it failed, in words for its owner")
    link: str = Field(description='name of the network measurement that the next run takes in; "" without')
    use_case: str | None = Field(description="what that is judged by; null: by every application alike")


class PlantIn(Model):
    """What of the plant to look at."""

    model_config = ConfigDict(extra="forbid")
    assets: list[AssetPath] = Field(min_length=1, max_length=100)
    start: Instant = Field(alias="from")
    end: Instant = Field(alias="to", description="later; some 20 million samples between them are the most")


class DiagnosesOut(Model):
    """The newest first; `next` is the address that continues."""

    diagnoses: list[DiagnosisOut]
    next: str | None


class GuessOut(Model):
    field: str
    value: str
    confidence: float
    sure: bool
    why: SaidOut


class WordOut(Model):
    word: str
    times: int
    state: str | None = Field(description="null: nobody knows; say it in `states` of the mapping")
    confidence: float


class ProposalOut(Model):
    """What was recognised of a file, to be confirmed."""

    mapping: EventLogConfig = Field(description="to be sent back, corrected, to `run`; what it leaves out is usual")
    columns: list[str]
    guesses: list[GuessOut]
    words: list[WordOut]
    notes: list[SaidOut]


class MappingOut(Model):
    name: str
    mapping: EventLogConfig


class MappingsOut(Model):
    """In the order of their names; `next` is the address that continues."""

    mappings: list[MappingOut]
    next: str | None


_NO_MAPPING: Final = Said("There is no such mapping here.", "Il n'y a pas de telle correspondance ici.")


def shown(desk: Desk, one: Diagnosis, language: Language) -> DiagnosisOut:
    return DiagnosisOut(
        id=one.id, kind=one.kind, file=one.name, bytes=one.bytes, by=one.who, made=one.made_ns, state=one.state,
        share_read=desk.work.share(one.id) if one.state == "running" else 0.0,
        fault=one.fault.in_(language) if one.fault else "", link=one.recording, use_case=one.use_case or None,
    )  # fmt: skip


def router(desk: Desk, context: WebContext) -> APIRouter:
    """The routes."""
    api = APIRouter(prefix="/api/v1", responses=RESPONSES, tags=["diagnoses"])
    _diagnoses(api, desk, context)
    _results(api, desk)
    _mappings(api, desk)
    return api


def _diagnoses(api: APIRouter, desk: Desk, context: WebContext) -> None:
    @api.get("/diagnoses")
    async def diagnoses(
        who: Who,
        lang: Spoken,
        limit: Annotated[int, Query(ge=1, le=MOST)] = 50,
        before: Annotated[int | None, Query(ge=0, le=2**63 - 1, description="made before this [ns]")] = None,
        state: Annotated[State | None, Query(description="only those in this state")] = None,
    ) -> DiagnosesOut:
        """The diagnoses of your organisation, the newest first."""
        found = await asyncio.to_thread(desk.shelf.list, who.organisation, limit + 1, before, state)
        last = found[limit - 1].made_ns if len(found) > limit else None
        return DiagnosesOut(
            diagnoses=[shown(desk, one, lang) for one in found[:limit]],
            next=None
            if last is None
            else f"/api/v1/diagnoses?limit={limit}&before={last}{f'&state={state}' if state else ''}",
        )

    @api.post(
        "/diagnoses",
        status_code=HTTPStatus.CREATED,
        openapi_extra=BODY,
    )
    async def upload(
        request: Request,
        who: Who,
        name: FileName,
        lang: Spoken,
    ) -> DiagnosisOut:
        """Bring a file: the body is the file itself (CSV, XLSX, Parquet, MTConnect SHDR), `name` its name."""
        return shown(desk, await desk.bring(who, name, request.stream(), _said_bytes(request)), lang)

    @api.post("/diagnoses/plant", status_code=HTTPStatus.ACCEPTED)
    async def of_plant(who: Who, asked: PlantIn, lang: Spoken) -> DiagnosisOut:
        """Diagnose machines and links of the plant over an interval; ask for its state until done, then its report."""
        window = Window(asked.start, max(asked.start, asked.end))
        found = await asyncio.to_thread(plant.begin, desk, context, who, asked.assets, window)
        return shown(desk, found, lang)

    @api.get("/diagnoses/{number}")
    async def diagnosis(who: Who, number: Number, lang: Spoken) -> DiagnosisOut:
        """One diagnosis: its state, and how much of a running one is read."""
        return shown(desk, await asyncio.to_thread(desk.find, who, number), lang)

    @api.delete("/diagnoses/{number}", status_code=HTTPStatus.NO_CONTENT)
    async def remove(who: Who, number: Number) -> None:
        """Take it away, with its file and result."""
        await asyncio.to_thread(lambda: desk.remove(who, desk.find(who, number)))

    @api.get("/diagnoses/{number}/proposal", response_model_exclude_unset=True)
    async def proposal(
        who: Who,
        number: Number,
        timezone: Annotated[str, Query(pattern=r"^[A-Za-z0-9+_/-]{1,64}$")] = "Europe/Paris",
    ) -> ProposalOut:
        """What the columns and words of the file probably mean, how sure that is, and why."""
        found = await asyncio.to_thread(lambda: desk.propose(desk.find(who, number), timezone))
        return ProposalOut(
            mapping=found.mapping,
            columns=[column.name for column in found.columns],
            guesses=[
                GuessOut(
                    field=guess.field, value=guess.value, confidence=guess.confidence, sure=guess.sure,
                    why=SaidOut(en=guess.why.en, fr=guess.why.fr),
                )
                for guess in found.guesses
            ],
            words=[
                WordOut(word=one.word, times=one.times, state=one.state, confidence=one.confidence)
                for one in found.words
            ],
            notes=[SaidOut(en=note.en, fr=note.fr) for note in found.notes],
        )  # fmt: skip

    @api.put("/diagnoses/{number}/link", openapi_extra=BODY)
    async def bring_link(
        request: Request,
        who: Who,
        number: Number,
        name: FileName,
        lang: Spoken,
        use_case: Annotated[
            str, Query(max_length=100, description="one of /api/v1/use-cases; none: judged by each", examples=[CASE])
        ] = "",
    ) -> DiagnosisOut:
        """Bring what ping -D, irtt, owping or a table recorded of the network: the body is the file. `run` takes it in;
        it stands in place of an earlier one."""
        found = await asyncio.to_thread(desk.find, who, number)
        await desk.bring_link(who, found, name, use_case, request.stream(), _said_bytes(request))
        return shown(desk, await asyncio.to_thread(desk.find, who, number), lang)

    @api.delete("/diagnoses/{number}/link", status_code=HTTPStatus.NO_CONTENT)
    async def part(who: Who, number: Number) -> None:
        """Take the network measurement away."""
        await asyncio.to_thread(lambda: desk.part(who, desk.find(who, number)))

    @api.post("/diagnoses/{number}/run", status_code=HTTPStatus.ACCEPTED)
    async def run(who: Who, number: Number, mapping: MappingIn, lang: Spoken) -> DiagnosisOut:
        """Read the file by a mapping (that of the proposal, corrected) and compute; ask for its state until done."""

        def started() -> DiagnosisOut:
            desk.run(desk.find(who, number), mapping)
            return shown(desk, desk.find(who, number), lang)

        return await asyncio.to_thread(started)


def _results(api: APIRouter, desk: Desk) -> None:
    @api.get("/diagnoses/{number}/result")
    async def result(who: Who, number: Number, machine: MachineNumber = 0) -> ResultOut:
        """Times, figures, losses, and what of the file was not used."""
        return await asyncio.to_thread(lambda: desk.result(desk.find(who, number), machine))

    @api.get("/diagnoses/{number}/report.{form}", response_class=Response, responses=REPORT)
    async def the_report(who: Who, number: Number, form: Form, lang: Lang = "en") -> Response:
        """The report to print and to hand on, as PDF, HTML or JSON, with every finding and its evidence."""

        def handed() -> bytes:
            found = desk.find(who, number)
            content = desk.report(found, lang, form).read_bytes()
            desk.handed(who, found, f"report.{form}")
            return content

        content = await asyncio.to_thread(handed)
        headers = {"Content-Disposition": f'attachment; filename="diagnosis-{lang}.{form}"'}
        return Response(content, media_type=report.MEDIA[form], headers=headers)

    @api.get("/diagnoses/{number}/losses.csv", response_class=Response, responses=CSV)
    async def losses(who: Who, number: Number, machine: MachineNumber = 0) -> Response:
        """Lost time by category, reason and product."""

        def made(found: Diagnosis) -> bytes:
            return making.losses_table(desk.result(found, machine))

        return await asyncio.to_thread(_table, desk, who, number, "losses.csv", made)

    @api.get("/diagnoses/{number}/bad-rows.csv", response_class=Response, responses=CSV)
    async def bad_rows(who: Who, number: Number, lang: Lang = "en", machine: MachineNumber = 0) -> Response:
        """The rows of the file that were not used, with line numbers and reasons."""

        def made(found: Diagnosis) -> bytes:
            return making.bad_rows_table(desk.result(found, machine), lang)

        return await asyncio.to_thread(_table, desk, who, number, "bad-rows.csv", made)


def _mappings(api: APIRouter, desk: Desk) -> None:
    def listed(who: Who, after: str, limit: int) -> MappingsOut:
        found = desk.shelf.mappings_after(who.organisation, after, limit + 1)
        kept = [(name, desk.kept(text)) for name, text in found[:limit]]
        last = quote(found[limit - 1][0]) if len(found) > limit else None
        return MappingsOut(
            mappings=[MappingOut(name=name, mapping=mapping) for name, mapping in kept if mapping is not None],
            next=None if last is None else f"/api/v1/mappings?limit={limit}&after={last}",
        )

    @api.get("/mappings", response_model_exclude_unset=True)
    async def mappings(
        who: Who,
        limit: Annotated[int, Query(ge=1, le=MOST)] = 50,
        after: Annotated[str, Query(max_length=100, description="only names after this one")] = "",
    ) -> MappingsOut:
        """The mappings that your organisation saved, by name."""
        return await asyncio.to_thread(listed, who, after, limit)

    @api.put("/mappings/{name}", response_model_exclude_unset=True)
    async def keep(who: Who, name: MappingName, mapping: MappingIn) -> MappingOut:
        """Save one under a name, in place of an earlier one of that name."""
        text = mapping.model_dump_json(exclude_unset=True)
        await asyncio.to_thread(desk.shelf.keep_mapping, who.organisation, name, text)
        return MappingOut(name=name, mapping=mapping)

    @api.delete("/mappings/{name}", status_code=HTTPStatus.NO_CONTENT)
    async def drop(who: Who, name: MappingName) -> None:
        """Forget one."""
        if not await asyncio.to_thread(desk.shelf.drop_mapping, who.organisation, name):
            raise problems.ProblemError(HTTPStatus.NOT_FOUND, "unknown-mapping", _NO_MAPPING)


def _said_bytes(request: Request) -> int | None:
    said = request.headers.get("content-length", "")
    return int(said) if said.isdecimal() else None


def _table(desk: Desk, who: Identity, number: str, name: str, made: Callable[[Diagnosis], bytes]) -> Response:
    found = desk.find(who, number)
    content = made(found)
    desk.handed(who, found, name)
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type="text/csv; charset=utf-8", headers=headers)
