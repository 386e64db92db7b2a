"""Is what I see true? How late, how full, what was set aside, what broke, and how much is known."""

from collections.abc import Iterator

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.models.dashboard import ValueMap, ValueMappingResult

from dashboards.grafana.frame import board
from dashboards.grafana.looks import colour, no_data
from dashboards.grafana.panels import Panel, bars, big, filled, lines, ranked, rows, strip, titled
from dashboards.grafana.queries import INTERVAL, Select, Source, call, held, kpis, name, samples
from dashboards.grafana.texts import Texts
from telemetry.plant import Plant

_ANY = ("asset",)


def data_path(plant: Plant, texts: Texts) -> Dashboard:
    return board(
        "data_path", plant, texts, _panels(texts),
        says="Is what the other boards show true? How late data comes, how much waits on disk, what was set aside or "
        "lost, which sources broke, and what share of required time is known.",
    )  # fmt: skip


def _grown(counter: str) -> Select:
    """How much a counter of a process grew, starts of the process taken out."""
    return Select(
        Source.SAMPLES, {"grown": call("sum", "step")},
        samples("source", {"step": f"non_negative_difference({call('last', counter)})"}, group=("time(1m)", "asset")),
        group=_ANY,
    )  # fmt: skip


def _panels(texts: Texts) -> Iterator[Panel | str]:
    for title, counter, says in (
        ("Lost", "samples_lost", ("Samples that could not be kept: queues that overflowed at the source, messages that "
         "are missing, dead letters dropped for want of room. Must be zero.")),
        ("Dead letters", "dead_letters", ("Messages set aside with their reason because nothing here could read or "
         "keep them. They are on disk and can be put back.")),
        ("Reconnects", "reconnects", "How often a collector had to start again (jittered back-off, for ever)."),
    ):  # fmt: skip
        yield filled(
            big(), texts, title, says, _grown(counter), (5, 5), unit="short",
            steps=((None, "run"), (1, "fault" if counter == "samples_lost" else "stop")),
        ).decimals(0)  # fmt: skip
    yield filled(
        big(), texts, "Spool", "Share of the room on disk that waiting samples fill. Full, collectors wait and nothing "
        "is acknowledged: sources keep what they have.",
        samples("source", {"fill": call("last", "spool_fill")}, group=_ANY), (4, 5), unit="percent",
        steps=((None, "run"), (50, "stop"), (80, "fault")),
    ).decimals(1)  # fmt: skip
    yield filled(
        big(), texts, "Lag", "Source time to stored, the newest figure.",
        samples("source", {"lag": call("last", "lag")}, group=_ANY), (5, 5), unit="ms",
        steps=((None, "run"), (10_000, "stop"), (60_000, "fault")),
    ).decimals(0)  # fmt: skip
    yield filled(
        lines(), texts, "Lag over time", "Source time to stored, the worst of each stretch. After an outage it falls "
        "as the spool empties: late, not lost.",
        samples("source", {"lag": call("max", "lag")}, group=(INTERVAL, "asset")), (12, 8), unit="ms",
    ).min(0)  # fmt: skip
    yield filled(
        lines(), texts, "Samples waiting", "Samples on disk that the store does not have yet, the most of each "
        "stretch.",
        samples("source", {"waiting": call("max", "spooled_samples")}, group=(INTERVAL, "asset")), (12, 8),
        unit="short",
    ).min(0)  # fmt: skip
    yield "Sources"
    online = {"0": ValueMappingResult(text=texts("disconnected"), color=colour("fault")),
              "1": ValueMappingResult(text=texts("connected"), color=colour("run"))}  # fmt: skip
    yield filled(
        strip(), texts, "Connections", "Whether each source was connected, from each change on.",
        held("source", {"online": name("online")}, group=_ANY), (14, 8),
        mappings=[ValueMap(online), *no_data(texts)],
    )  # fmt: skip
    yield titled(filled(
        rows(), texts, "Breaks and repairs", "When the connection to a source broke or came back, and what was said.",
        samples("source", {"break": name("break_text"), "repair": name("repair_text"), "source": name("asset")}),
        (10, 8), table_rows=True,
    ), texts)  # fmt: skip
    yield "Coverage"
    known = kpis({"known": call("mean", "coverage")}, "trs", "hour", group=_ANY, path=_EVERYWHERE)
    yield filled(
        ranked(), texts, "Known share of required time", "Share of required time (NF E60-182 tR) whose state is known, "
        "mean of the hours, by machine. All machines, whatever is chosen above.",
        known, (12, 8), unit="percentunit", steps=((None, "fault"), (0.8, "stop"), (0.95, "run")),
    ).min(0).max(1).decimals(1)  # fmt: skip
    unknown = kpis({"hours": f"{call('sum', 'value')} / 3600"}, "unknown_time", "hour", group=("time(1h)", "asset"),
                   path=_EVERYWHERE)  # fmt: skip
    yield filled(
        bars(), texts, "Unknown time", "Hours of required time in which nobody can tell whether the machine ran: in no "
        "rate, and in the denominator of none.",
        unknown, (12, 8), unit="h",
    ).min(0)  # fmt: skip


_EVERYWHERE = ("\"asset\" != ''",)
