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
from dashboards.web.formats import NARROW
from dashboards.web.times import iso
from pipeline.diagnosis.diagnosis import of_store
from pipeline.said import Said
from telemetry.samples import Window

MOST_SAMPLES: Final = 20_000_000
"""It is read from samples, so over no more than so many, about: what is stored of each metric, shared out evenly."""
_NOTHING: Final = Said(
    "Choose at least one machine or link, and an interval of the past.",
    "Choisissez au moins une machine ou un lien, et un intervalle du passé.",
)


def begin(desk: Desk, context: WebContext, who: Identity, assets: Sequence[str], window: Window) -> Diagnosis:
    """Put it on the shelf and run it. Raises ProblemError: no such asset, no time, or too many samples."""
    chosen = list(dict.fromkeys(assets))
    for path in chosen:
        if path not in context.plant or context.plant.asset(path).kind not in ("machine", "link"):
            raise problems.unknown("machine or link", path, "/api/v1/assets")
    window = Window(window.start_ns, max(window.start_ns, min(window.end_ns, context.now_ns())))
    if not chosen or window.end_ns <= window.start_ns:
        raise problems.ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "no-interval", _NOTHING)
    samples = _stored(context, set(chosen), window)
    if samples > MOST_SAMPLES:
        told, most = (f"{number / 1e6:,.0f}" for number in (samples, MOST_SAMPLES))
        raise problems.ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "too-many-samples",
            Said(
                f"About {told} million samples are stored of that, and {most} million are read at most: choose a "
                "shorter interval, or fewer machines and links.",
                f"Environ {told.replace(',', NARROW)} millions d'échantillons en sont conservés, et {most} millions "
                "sont lus au plus : choisissez un intervalle plus court, ou moins de machines et de liens.",
            ),
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


def _stored(context: WebContext, assets: set[str], window: Window) -> float:
    """How many samples of these assets an interval holds, about: of all metrics, any of which ends a silence."""
    found = 0.0
    for one in context.store.inventory():
        if one.asset in assets:
            inside = min(window.end_ns, one.last_ns + 1) - max(window.start_ns, one.first_ns)
            found += one.samples * max(0, inside) / (one.last_ns + 1 - one.first_ns)
    return found
