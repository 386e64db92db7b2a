"""A diagnosis of the plant itself: any of its machines and links over any interval that can be read again."""

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from dashboards.web import problems
from dashboards.web.accounts.identity import Identity
from dashboards.web.context import WebContext
from dashboards.web.diagnoses.desk import Desk
from dashboards.web.diagnoses.shelf import Diagnosis
from dashboards.web.diagnoses.upload import take
from dashboards.web.times import iso
from pipeline.diagnosis.diagnosis import of_store
from telemetry.samples import SECOND_NS, Window

LONGEST_NS: Final = 35 * 24 * 3600 * SECOND_NS
"""It is read from samples, so over no more than this [ns]."""


def begin(desk: Desk, context: WebContext, who: Identity, assets: Sequence[str], window: Window) -> Diagnosis:
    """Put it on the shelf and run it. Raises ProblemError for assets that are not there, or no or too long a time."""
    chosen = list(dict.fromkeys(assets))
    for path in chosen:
        if path not in context.plant or context.plant.asset(path).kind not in ("machine", "link"):
            raise problems.unknown("machine or link", path, "/api/v1/assets")
    window = Window(window.start_ns, max(window.start_ns, min(window.end_ns, context.now_ns())))
    if not chosen or not 0 < window.end_ns - window.start_ns <= LONGEST_NS:
        raise problems.ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "no-interval",
            "Choose at least one machine or link, and an interval of the past of at most 35 days.",
        )
    name = ", ".join(context.plant.asset(path).name for path in chosen)[:200]
    number = desk.shelf.room(who.organisation)
    try:
        take(desk.shelf, desk.config, number, 0)
    except problems.ProblemError:
        desk.shelf.clear(number)
        raise
    found = desk.shelf.add(number, who.name, name, 0, "plant")
    asked = json.dumps({"assets": chosen, "from": iso(window.start_ns), "to": iso(window.end_ns)})
    desk.work.start_plant(
        found, asked, lambda: of_store(context.store, context.plant, chosen, window, context.now_ns())
    )
    return desk.find(who, number)
