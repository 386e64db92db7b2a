"""The report of a diagnosis in both languages, as files beside its result: PDF, HTML, and the findings for the page.

PDF and HTML come with the extra `reports`; without it the page has the figures, and says so.
"""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from dashboards.web.texts import LANGUAGES, Language
from pipeline.diagnosis.diagnosis import Diagnosis

AVAILABLE: Final = all(find_spec(one) is not None for one in ("altair", "vl_convert", "typst", "font_source_sans_pro"))
MEDIA: Final = {"pdf": "application/pdf", "html": "text/html; charset=utf-8", "json": "application/json"}


def write(found: Diagnosis, folder: Path) -> None:
    """Into the folder; nothing where reports cannot be made."""
    if not AVAILABLE:
        return
    from dashboards.reports import page, paper
    from dashboards.reports.content import content
    from dashboards.reports.figures import figures

    for language in LANGUAGES:
        said = content(found, language)
        path(folder, language, "pdf").write_bytes(paper.pdf(said))
        path(folder, language, "html").write_text(page.html(said), encoding="utf-8")
        shown = {name: said["summary"][name] for name in ("headlines", "machines", "others", "network")}
        shown["network"] = shown["network"] or [one["told"] for one in said["links"]] or [said["no_link"]]
        shown["findings"] = said["findings"]
        _shown(folder, language).write_text(json.dumps(shown, ensure_ascii=False), "utf-8")
        told = figures(found, language)
        path(folder, language, "json").write_text(json.dumps(told, allow_nan=False, ensure_ascii=False), "utf-8")


def path(folder: Path, language: Language, form: str) -> Path:
    return folder / f"report-{language}.{form}"


def _shown(folder: Path, language: Language) -> Path:
    return folder / f"shown-{language}.json"


def shown(folder: Path, language: Language) -> dict[str, Any] | None:
    """What the page shows of it: `headlines`, where there are many machines the table `machines` and `others`,
    `network`, and `findings` with title, evidence, check, gain, confidence; None where there is no report."""
    try:
        found: dict[str, Any] = json.loads(_shown(folder, language).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return found
