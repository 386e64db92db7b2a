"""What pages and API of diagnoses do alike: find, propose, run, hand out. Synchronous; raises ProblemError."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from dashboards.web.accounts.identity import Identity, Told
from dashboards.web.config import WebConfig
from dashboards.web.diagnoses import preview, report, upload
from dashboards.web.diagnoses.preview import Preview
from dashboards.web.diagnoses.proposals import Proposals
from dashboards.web.diagnoses.result import ResultOut
from dashboards.web.diagnoses.shelf import Diagnosis, Shelf
from dashboards.web.diagnoses.work import Work, result_name
from dashboards.web.problems import ProblemError, unknown
from dashboards.web.tables import table
from dashboards.web.texts import Language
from pipeline.files import meanings
from pipeline.files import propose as proposing
from pipeline.files.mapping import EventLogConfig
from pipeline.kpis.use_cases import USE_CASES
from pipeline.said import Said
from telemetry.errors import DecodeError

ZONE: Final = "Europe/Paris"
"""Of times without an offset, until somebody says another."""
_UNKNOWN: Final = Said("There is no such diagnosis here.", "Il n'y a pas de tel diagnostic ici.")
_RUNNING: Final = Said(
    "This diagnosis is running: wait for its end.", "Ce diagnostic est en cours : attendez qu'il soit fini."
)
_NOT_YET: Final = {
    "mapping": Said("There is no result yet: it is mapping.", "Pas encore de résultat : confirmez les colonnes."),
    "running": Said("There is no result yet: it is running.", "Pas encore de résultat : le calcul est en cours."),
    "failed": Said("There is no result yet: it is failed.", "Il n'y a pas de résultat : le calcul a échoué."),
}
_OF_PLANT: Final = Said(
    "This diagnosis is of the plant, and has no file: its report tells all of it.",
    "Ce diagnostic est celui de l'atelier, sans fichier : son rapport dit tout.",
)
_NO_MACHINE: Final = Said(
    "The file has no such machine: they count from 0.",
    "Le fichier n'a pas cette machine : elles comptent à partir de 0.",
)
_NO_RECORDING: Final = Said(
    "There is no network measurement: bring one first.", "Il n'y a pas de mesure réseau : apportez-en une d'abord."
)
_NO_REPORT: Final = Said(
    "There is no report: pip install 'km0-telemetry[reports,files]', then run it again.",
    "Il n'y a pas de rapport : ce serveur n'a pas de quoi en faire. Prévenez son administrateur.",
)


class Desk:
    """Over a shelf and the work on it."""

    def __init__(self, shelf: Shelf, work: Work, config: WebConfig, told: Told) -> None:
        self.shelf = shelf
        self.work = work
        self.config = config
        self._told = told
        self._turn = asyncio.Lock()
        self._proposals = Proposals(config.max_upload_mb * 1_000_000)

    def find(self, who: Identity, number: str) -> Diagnosis:
        """A diagnosis of the asker's organisation; another's is as if it were not there."""
        found = self.shelf.get(who.organisation, number)
        if found is None:
            raise ProblemError(HTTPStatus.NOT_FOUND, "unknown-diagnosis", _UNKNOWN)
        return found

    def propose(self, found: Diagnosis, timezone: str, layout: EventLogConfig | None = None) -> proposing.Proposal:
        """What the file probably says; `layout`: what is known of how it is written."""
        self._of_file(found)
        try:
            if layout is None or all(getattr(layout, key) is None for key in proposing.LAYOUT):
                return self._proposals.of(self.shelf.file(found), timezone)
            return proposing.propose(
                self.shelf.file(found),
                timezone=timezone,
                largest=self.config.max_upload_mb * 1_000_000,
                layout=layout,
            )
        except DecodeError as error:
            raise upload.refused(error) from None

    def words(self, found: Diagnosis, mapping: EventLogConfig) -> tuple[meanings.Word, ...]:
        """The words of the column of states that somebody chose."""
        try:
            largest = self.config.max_upload_mb * 1_000_000
            return meanings.words_in(self.shelf.file(found), mapping, largest=largest)
        except DecodeError as error:
            raise upload.refused(error) from None

    def products(self, found: Diagnosis, mapping: EventLogConfig) -> tuple[str, ...]:
        """The products of the column that somebody chose."""
        try:
            largest = self.config.max_upload_mb * 1_000_000
            return meanings.products_in(self.shelf.file(found), mapping, largest=largest)
        except DecodeError as error:
            raise upload.refused(error) from None

    def preview(self, found: Diagnosis, mapping: EventLogConfig, language: Language) -> Preview:
        """What it makes of the first rows. Raises DecodeError as computing it does."""
        largest = self.config.max_upload_mb * 1_000_000
        return preview.of(self.shelf.file(found), mapping, language, largest=largest)

    def kept(self, text: str | None) -> EventLogConfig | None:
        """A mapping that was kept, where it still is one."""
        if text is None:
            return None
        try:
            return EventLogConfig.model_validate_json(text)
        except ValidationError:  # kept by an earlier version
            return None

    def run(self, found: Diagnosis, mapping: EventLogConfig) -> None:
        self._of_file(found)
        if not self.work.start(found, mapping):
            raise _running()

    def _ended(self, found: Diagnosis) -> None:
        if found.state != "done":
            raise ProblemError(HTTPStatus.CONFLICT, "no-result", _NOT_YET[found.state])

    def _of_file(self, found: Diagnosis) -> None:
        if found.kind != "file":
            raise ProblemError(HTTPStatus.CONFLICT, "no-file", _OF_PLANT)

    def result(self, found: Diagnosis, machine: int = 0) -> ResultOut:
        """The figures of one of the machines in the file, counted from 0."""
        self._of_file(found)
        self._ended(found)
        path = self.shelf.folder(found.id) / result_name(machine)
        if not path.exists():
            raise ProblemError(HTTPStatus.NOT_FOUND, "unknown-machine", _NO_MACHINE)
        return ResultOut.model_validate_json(path.read_bytes(), strict=False)

    async def bring(self, who: Identity, name: str, body: AsyncIterator[bytes], said_bytes: int | None) -> Diagnosis:
        """The diagnosis of a file that came whole, see `upload.bring`; it was looked at, so that its page is
        quick."""
        found = await upload.bring(self.shelf, self.config, who, name, body, said_bytes)
        await asyncio.to_thread(self._told, who, "file brought", name)
        with suppress(DecodeError):  # said where it is asked for
            await asyncio.to_thread(self._proposals.of, self.shelf.file(found), ZONE)
        return found

    def handed(self, who: Identity, found: Diagnosis, file: str) -> None:
        """Log that somebody was given a file of a diagnosis."""
        self._told(who, "downloaded", f"{file}: {found.name}")

    def report(self, found: Diagnosis, language: Language, form: str) -> Path:
        """The file of the report."""
        self._ended(found)
        path = report.path(self.shelf.folder(found.id), language, form)
        if not path.exists():
            raise ProblemError(HTTPStatus.NOT_FOUND, "no-report", _NO_REPORT)
        return path

    def remove(self, who: Identity, found: Diagnosis) -> None:
        if not self.shelf.remove(found):
            raise _running()
        self._proposals.forget(self.shelf.file(found))
        self._told(who, "diagnosis deleted", found.name)

    async def bring_link(
        self, who: Identity, found: Diagnosis, name: str, use_case: str, body: AsyncIterator[bytes],
        said_bytes: int | None,
    ) -> None:  # fmt: skip
        """A network measurement beside the file, in place of an earlier one: for the next run; see `upload`."""
        self._may_change(found)
        self._known(use_case)
        if not await upload.bring_link(
            self.shelf, self.config, who, name, body, said_bytes, found, use_case, self._turn
        ):
            raise _running()
        await asyncio.to_thread(self._told, who, "network measurement brought", f"{name}: {found.name}")

    def judge_by(self, found: Diagnosis, use_case: str) -> None:
        """Another application for its network measurement: for the next run."""
        self._may_change(found)
        self._known(use_case)
        if not found.link:
            raise ProblemError(HTTPStatus.CONFLICT, "no-recording", _NO_RECORDING)
        if not self.shelf.judge_by(found, use_case):
            raise _running()

    def part(self, who: Identity, found: Diagnosis) -> None:
        """Take its network measurement away."""
        self._may_change(found)
        if not self.shelf.part(found):
            raise _running()
        self._told(who, "network measurement deleted", found.name)

    def _may_change(self, found: Diagnosis) -> None:
        self._of_file(found)
        if found.state == "running":
            raise _running()

    def _known(self, use_case: str) -> None:
        if use_case and use_case not in USE_CASES:
            raise unknown("use case", use_case, "/api/v1/use-cases")


def _running() -> ProblemError:
    return ProblemError(HTTPStatus.CONFLICT, "running", _RUNNING)


def losses_table(found: ResultOut) -> bytes:
    """Lost time by category, reason and product."""
    return table(
        ("by", "name", "seconds", "share", "times", "cost"),
        [
            (by, bar.name, bar.seconds, bar.share, bar.times, bar.cost)
            for by, bars in (
                ("category", found.by_category),
                ("reason", found.by_reason),
                ("product", found.by_product),
            )
            for bar in bars
        ],
    )


def bad_rows_table(found: ResultOut, language: Language) -> bytes:
    """The rows that were not used, with why."""
    return table(
        ("line", "column", "reason"),
        [(bad.line, bad.column, getattr(bad.reason, language)) for bad in found.bad_rows_listed],
    )
