"""The figures of a network link: rows of the catalogue, taken from the Probes of a window.

To add one, add a row. Those of a minute are few, because every minute of every link has them; what only a longer
stretch can carry (runs of losses, service availability, histograms) is kept per hour and day. Each row says twice what
it is: of the packets of a minute or an hour, and of the hours of a day.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import isnan, nan
from typing import Final

from pipeline.kpis.figure import Amount, Figure
from pipeline.kpis.histogram import Histogram
from pipeline.kpis.latency import deadline_misses as missed
from pipeline.kpis.link import LOST_DOWN, LOST_UP, Delays, Probes
from pipeline.kpis.link_hours import AVAILABILITY, FAILURES, NOTHING, PERIODS, RTT, Hours
from pipeline.kpis.service import Decision, Periods, Verdict, decide, periods
from telemetry.samples import Ratio

MINUTES: Final = ("minute", "hour", "day")
HOURS: Final = ("hour", "day")

HISTOGRAM: Final = RTT
UP: Final = "delay_up_histogram"
DOWN: Final = "delay_down_histogram"


@dataclass(frozen=True, slots=True)
class Row:
    """As a row of the catalogue. `of_day`: the same figure from the hours of a day. `adds`: days are made of the hours'
    values of this row; False where they are made of others', of histograms or periods."""

    name: str
    unit: str
    per: tuple[str, ...]
    compute: Callable[[Probes], Figure]
    of_day: Callable[[Hours], Figure]
    reference: str
    meaning: str
    name_fr: str
    meaning_fr: str
    reference_fr: str = ""
    adds: bool = True


def _amount(figure: Callable[[Probes], float]) -> Callable[[Probes], Figure]:
    return lambda probes: Amount(figure(probes), probes.coverage, probes.sent)


def _count(figure: Callable[[Probes], float]) -> Callable[[Probes], Figure]:
    """An amount that may be added over windows."""

    def compute(probes: Probes) -> Figure:
        number = figure(probes)
        known = probes.coverage > 0 and not isnan(number)
        return Amount(number, probes.coverage, probes.sent, number) if known else Amount(nan, 0.0, probes.sent)

    return compute


def _one_way(way: str, figure: Callable[[Delays], float]) -> Callable[[Probes], Figure]:
    def compute(probes: Probes) -> Figure:
        delays, known = (probes.up, probes.up_ms) if way == "up" else (probes.down, probes.down_ms)
        return Amount(figure(delays), probes.one_way_coverage(known), known.size)

    return compute


def _clock_error(probes: Probes) -> Figure:
    told = not isnan(probes.clock_error_ms)
    return Amount(probes.clock_error_ms, probes.coverage if told else 0.0, probes.sent if told else 0)


def _deadline_misses(probes: Probes) -> Figure:
    if probes.use_case is None:
        return Ratio(nan, 0.0, 0.0)
    late = missed(probes.delay_ms, probes.use_case.latency_ms)
    return Ratio(late.numerator, late.denominator, probes.coverage, probes.sent)


def _availability(probes: Probes) -> Figure:
    seen = probes.service
    if seen is None:
        return Ratio(nan, 0.0, 0.0)
    up = seen.availability
    return Ratio(up.numerator, up.denominator, probes.coverage, probes.sent)


def _periods(probes: Probes) -> Periods | None:
    seen, case = probes.service, probes.use_case
    return None if seen is None or case is None else periods(case, probes.times_ns, seen)


def _failed(probes: Probes) -> Figure:
    seen = _periods(probes)
    if seen is None:
        return Ratio(nan, 0.0, 0.0)
    return Ratio(float(seen.failed), float(seen.trials), probes.coverage, probes.sent)


SHOWN: Final = {Verdict.MET: 1.0, Verdict.NOT_SHOWN: 0.0, Verdict.NOT_MET: -1.0}
"""A verdict as a number that can be drawn."""


def _verdict(part: Callable[[Decision], float]) -> Callable[[Probes], Figure]:
    def compute(probes: Probes) -> Figure:
        seen, case = _periods(probes), probes.use_case
        if seen is None or case is None:
            return Amount(nan, 0.0, 0)
        return Amount(part(decide(case, seen)), probes.coverage, probes.sent)

    return compute


def _verdict_of_day(part: Callable[[Decision], float]) -> Callable[[Hours], Figure]:
    return lambda hours: NOTHING if hours.decision is None else hours.decided(part(hours.decision))


def _sums(name: str) -> Callable[[Hours], Figure]:
    return lambda hours: hours.ratio(name)


def _counts(name: str) -> Callable[[Hours], Figure]:
    return lambda hours: hours.count(name)


def _largest(name: str) -> Callable[[Hours], Figure]:
    return lambda hours: hours.largest(name)


def _histogram(probes: Probes) -> Figure:
    found = probes.histogram()
    return Amount(float(found.size), probes.coverage, probes.sent, float(found.size), detail=found.encode())


def _histogram_of(way: str) -> Row:
    name = UP if way == "up" else DOWN

    def compute(probes: Probes) -> Figure:
        delays, known = (probes.up, probes.up_ms) if way == "up" else (probes.down, probes.down_ms)
        found, coverage = Histogram.of(delays.values), probes.one_way_coverage(known)
        return Amount(float(found.size), coverage, known.size, float(found.size), detail=found.encode())

    return Row(
        name, "packet", HOURS, compute, lambda hours: hours.histogram(name), "pipeline/kpis/histogram.py",
        f"packets with a delay {'away from us' if way == 'up' else 'towards us'}; the detail is their histogram",
        f"histogramme du délai {'aller' if way == 'up' else 'retour'}",
        f"paquets dont on a le délai {'aller' if way == 'up' else 'retour'} ; le détail est leur histogramme",
    )  # fmt: skip


def _rtt(name: str, q: float, share: str, per: tuple[str, ...] = MINUTES) -> Row:
    return Row(
        f"rtt_{name}", "ms", per, _amount(lambda probes: probes.rtt.percentile(q)),
        lambda hours: hours.percentile(RTT, q), "RFC 2681, RFC 7679 4.2",
        "median round-trip time" if q == 0.5 else f"{share} % of the packets came back faster",
        "RTT médian" if q == 0.5 else f"RTT, {share.replace('.', ',')}e centile",
        "temps aller-retour médian" if q == 0.5 else f"{share.replace('.', ',')} % des paquets sont revenus plus vite",
        adds=False,
    )  # fmt: skip


def _delay(way: str, name: str, q: float, share: str, per: tuple[str, ...] = MINUTES) -> Row:
    towards, vers = ("away from us", "aller") if way == "up" else ("towards us", "retour")
    return Row(
        f"delay_{way}_{name}", "ms", per, _one_way(way, lambda delays: delays.percentile(q)),
        lambda hours: hours.percentile(UP if way == "up" else DOWN, q), "RFC 7679 4.2",
        f"one-way delay {towards}, {share} %; only with clocks that are good enough, ± clock_error",
        f"délai {vers}, {share.replace('.', ',')} %",
        f"délai dans un sens, {vers}, {share.replace('.', ',')} % ; seulement si les horloges le permettent, "
        "± clock_error",
        adds=False,
    )  # fmt: skip


LINK_ROWS: Final[tuple[Row, ...]] = (
    _rtt("p50", 0.5, "50"),
    _rtt("p95", 0.95, "95"),
    _rtt("p99", 0.99, "99"),
    _rtt("p999", 0.999, "99.9"),
    _rtt("p9999", 0.9999, "99.99", HOURS),
    _rtt("p99999", 0.99999, "99.999", HOURS),
    Row("jitter", "ms", MINUTES, _amount(Probes.jitter), lambda hours: hours.last("jitter"),
        "RFC 3550 6.4.1, of the round trip", "how much successive round-trip times differ", "gigue",
        "de combien diffèrent les temps aller-retour successifs", "RFC 3550 6.4.1, de l'aller-retour"),
    Row("loss", "", MINUTES, Probes.loss, _sums("loss"), "RFC 7680", "packets that got no answer in time", "perte",
        "paquets restés sans réponse à temps"),
    Row("loss_up", "", MINUTES, lambda probes: probes.loss_of(LOST_UP), _sums("loss_up"),
        "RFC 7680; RFC 8762 stateful reflector", "packets lost away from us ÷ sent", "perte aller",
        "paquets perdus à l'aller ÷ envoyés", "RFC 7680 ; RFC 8762, réflecteur avec état"),
    Row("loss_down", "", MINUTES, lambda probes: probes.loss_of(LOST_DOWN), _sums("loss_down"),
        "RFC 7680; RFC 8762 stateful reflector", "packets lost towards us ÷ those that arrived there", "perte retour",
        "paquets perdus au retour ÷ ceux qui étaient arrivés là-bas", "RFC 7680 ; RFC 8762, réflecteur avec état"),
    _delay("up", "p50", 0.5, "50"),
    _delay("up", "p99", 0.99, "99"),
    _delay("up", "p999", 0.999, "99.9", HOURS),
    _delay("down", "p50", 0.5, "50"),
    _delay("down", "p99", 0.99, "99"),
    _delay("down", "p999", 0.999, "99.9", HOURS),
    Row("clock_error", "ms", MINUTES, _clock_error, _largest("clock_error"), "RFC 7679 3.7.1: Esync",
        "largest error of both clocks together: the uncertainty of one-way delays", "incertitude des horloges",
        "plus grande erreur des deux horloges ensemble : l'incertitude des délais dans un sens",
        "RFC 7679 3.7.1 : Esync"),
    Row("ipdv", "ms", HOURS, Probes.variation_mean, _sums("ipdv"), "RFC 3393; RFC 5481 4.1",
        "mean difference of the round trips of consecutive packets", "variation entre paquets",
        "écart moyen entre les allers-retours de paquets consécutifs"),
    Row("pdv_p99", "ms", MINUTES, _amount(lambda probes: probes.rtt.variation(0.99)),
        lambda hours: hours.variation(0.99), "RFC 5481 4.2",
        "99 % of the packets were no more than this slower than the fastest", "variation du RTT, 99e centile",
        "99 % des paquets ont eu au plus ce retard sur le plus rapide",
        adds=False),
    Row("pdv_p999", "ms", HOURS, _amount(lambda probes: probes.rtt.variation(0.999)),
        lambda hours: hours.variation(0.999), "RFC 5481 4.2",
        "99.9 % of the packets were no more than this slower than the fastest", "variation du RTT, 99,9e centile",
        "99,9 % des paquets ont eu au plus ce retard sur le plus rapide",
        adds=False),
    Row("loss_runs", "", HOURS, _count(lambda probes: float(probes.loss_runs.lengths.size)),
        _counts("loss_runs"), "RFC 3357",
        "runs of consecutive losses", "séries de pertes",
        "suites de pertes consécutives"),
    Row("loss_run_longest", "packet", HOURS, _amount(lambda probes: float(probes.loss_runs.longest)),
        _largest("loss_run_longest"), "RFC 3357",
        "losses in the longest run", "plus longue série de pertes",
        "pertes dans la suite la plus longue"),
    Row("duplicates", "", HOURS, lambda probes: probes.share(probes.duplicates), _sums("duplicates"), "RFC 5560",
        "answers that came again ÷ packets sent", "doublons",
        "réponses revenues une fois de plus ÷ paquets envoyés"),
    Row("reordering", "", HOURS, lambda probes: probes.share(probes.reordered), _sums("reordering"), "RFC 4737 3.3",
        "answers that came after one to a later packet ÷ packets sent", "désordre",
        "réponses arrivées après celle d'un paquet envoyé plus tard ÷ paquets envoyés"),
    Row("deadline_misses", "", MINUTES, _deadline_misses, _sums("deadline_misses"), "TS 22.261 reliability = 1 − this",
        "packets lost, or slower than the use case of the link allows", "échéances manquées",
        "paquets perdus, ou plus lents que ne le permet le cas d'usage de la liaison",
        "fiabilité de TS 22.261 = 1 − ceci"),
    Row(AVAILABILITY, "", HOURS, _availability, _sums(AVAILABILITY), "TS 22.104 annex C",
        "up time ÷ observed time, by the latency and survival time of the link's use case", "disponibilité du service",
        "temps de service ÷ temps observé, selon la latence et le temps de survie du cas d'usage de la liaison",
        "TS 22.104 annexe C"),
    Row(FAILURES, "", HOURS, _count(lambda probes: float(probes.service.failures) if probes.service else nan),
        _counts(FAILURES), "TS 22.104 annex C", "how often the service went down; observed time ÷ this is its MTBF",
        "défaillances du service",
        "combien de fois le service est tombé ; temps observé ÷ ce nombre : son MTBF", "TS 22.104 annexe C"),
    Row(PERIODS, "", HOURS, _failed, _sums(PERIODS), "TS 22.104 annex C; Clopper and Pearson 1934",
        "periods touched by a time down ÷ periods observed: what a verdict over any stretch is added up from",
        "périodes touchées par une coupure",
        "périodes touchées par une coupure ÷ périodes observées : de quoi additionner un verdict sur toute durée",
        "TS 22.104 annexe C ; Clopper et Pearson 1934"),
    Row("service_verdict", "", HOURS, _verdict(lambda decision: SHOWN[decision.verdict]),
        _verdict_of_day(lambda decision: SHOWN[decision.verdict]),
        "TS 22.104; Clopper and Pearson, 95 %", "1 met, 0 not shown yet, −1 not met, by this window alone",
        "verdict du service",
        "1 tenu, 0 pas encore démontré, −1 non tenu, d'après cette seule fenêtre",
        "TS 22.104 ; Clopper et Pearson, 95 %", adds=False),
    Row("service_unavailability_bound", "", HOURS, _verdict(lambda decision: decision.unavailability),
        _verdict_of_day(lambda decision: decision.unavailability),
        "Clopper and Pearson, 95 %", "what decides the verdict: an upper bound, a lower one when not met",
        "borne de l'indisponibilité",
        "ce qui décide du verdict : une borne supérieure, ou inférieure s'il n'est pas tenu",
        "Clopper et Pearson, 95 %", adds=False),
    Row("service_hours_to_go", "h", HOURS, _verdict(lambda decision: decision.hours_more),
        _verdict_of_day(lambda decision: decision.hours_more),
        "Clopper and Pearson, 95 %", "so much longer without a failure and it could be claimed",
        "heures de mesure restantes",
        "encore autant sans défaillance, et le service pourrait être dit tenu", "Clopper et Pearson, 95 %", adds=False),
    Row(HISTOGRAM, "packet", HOURS, _histogram, lambda hours: hours.histogram(HISTOGRAM), "pipeline/kpis/histogram.py",
        "packets answered; the detail is their histogram, which adds up over windows to 0.4 %", "histogramme du RTT",
        "paquets revenus ; le détail est leur histogramme, qui s'additionne entre fenêtres à 0,4 % près"),
    _histogram_of("up"),
    _histogram_of("down"),
)  # fmt: skip
"""Every figure of a link. The first is one that every window has."""
