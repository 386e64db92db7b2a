"""What a recording says, in figures of ours: a JSON-able dictionary, with what it cannot say and where tools disagree.

Ratios are 0…1, delays in milliseconds. A figure that the packets cannot carry is None.
"""

import math
from typing import Any, Final

import numpy as np

from pipeline.kpis import latency
from pipeline.kpis.service import judge
from pipeline.kpis.use_cases import USE_CASES
from pipeline.recordings.recording import ANSWERED, LOST, LOST_DOWN, LOST_UP, Floats, Recording

PERCENTILES: Final = {
    "p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99_9": 0.999, "p99_99": 0.9999, "p99_999": 0.99999,
}  # fmt: skip


def report(recording: Recording) -> dict[str, Any]:
    """The figures of one recording. Percentiles are of the packets that arrived, and say how many samples they need."""
    fate = recording.fate
    sent = int(fate.size)
    lost = int((fate != ANSWERED).sum())
    pattern = latency.loss_pattern(fate != ANSWERED)
    unsynchronised = _clocks_disagree(recording)
    notes = [*recording.notes, *([unsynchronised] if unsynchronised else [])]
    delays = {
        "rtt": recording.rtt_ms,
        "delay_up": recording.up_ms if not unsynchronised else recording.up_ms * np.nan,
        "delay_down": recording.down_ms if not unsynchronised else recording.down_ms * np.nan,
    }
    needed = ((name, latency.samples_needed(q)) for name, q in PERCENTILES.items())
    for name, samples in needed:
        if sent - lost < samples:
            notes.append(f"{name.replace('_', '.')} and beyond: not enough samples, {sent - lost:,} of {samples:,}")
            break
    found: dict[str, Any] = {
        "tool": recording.tool,
        "name": recording.name,
        "sent": sent,
        "received": sent - lost,
        "lost": lost,
        "loss_ratio": lost / sent if sent else None,
        **_loss_by_direction(recording),
        "lost_sequence": (np.flatnonzero(fate != ANSWERED)[:1000] + recording.first).tolist(),
        "loss_runs": int(pattern.lengths.size),
        "longest_loss_run": pattern.longest,
        "duplicates": recording.duplicates,
        "reordered": int(latency.reordered(recording.arrived).sum()),
        **{f"{name}_ms": _spread(delay) for name, delay in delays.items()},
        "jitter_rfc3550_ms": _jitter(recording),
        "ipdv_mean_abs_ms": _mean(np.abs(latency.ipdv(_best(recording)))),
        "pdv_ms": _spread(latency.pdv(_best(recording))),
        "clock_error_ms": recording.error_ms,
        "said": recording.said,
        "disagreements": _disagreements(recording, lost),
        "cannot_tell": notes,
    }
    return found


def use_cases(recording: Recording) -> list[dict[str, Any]] | None:
    """A verdict on every use case of TS 22.104, by the round trips; None when the file has no times of sending."""
    if recording.sent_ns is None or recording.sent_ns.size < 2:
        return None
    found = []
    for case in USE_CASES.values():
        judged = judge(case, recording.sent_ns, recording.rtt_ms)
        seen = judged.service
        found.append(
            {
                "key": case.key,
                "name": case.name,
                "verified": case.verified,
                "availability": case.availability,
                "latency_ms": case.latency_ms,
                "survival_ms": case.survival_ms,
                "verdict": judged.verdict.value,
                "reason": judged.reason,
                "unavailability_bound": judged.unavailability,
                "hours_more": None if math.isnan(judged.hours_more) else judged.hours_more,
                "measured_availability": None if math.isnan(seen.availability.value) else seen.availability.value,
                "failures": seen.failures,
                "mtbf_s": seen.mtbf_s if math.isfinite(seen.mtbf_s) else None,
                "longest_down_s": seen.longest_down_s,
            }
        )
    return found


def _best(recording: Recording) -> Floats:
    """The delay that variation is taken of: the round trip, or the one direction there is. An offset cancels out."""
    for delay in (recording.rtt_ms, recording.up_ms, recording.down_ms):
        if not np.isnan(delay).all():
            return delay
    return recording.rtt_ms


def _clocks_disagree(recording: Recording) -> str | None:
    for way, delay in (("up", recording.up_ms), ("down", recording.down_ms)):
        if delay.size and np.isfinite(delay).any() and float(np.nanmin(delay)) < -(recording.error_ms or 0.0):
            return (
                f"one-way delays are left out: {way} a packet would have arrived {-float(np.nanmin(delay)):.3g} ms "
                "before it was sent, so the clocks disagree"
            )
    if recording.error_ms is None and recording.tool == "owping":
        return "one-way delays are left out: not both clocks were synchronised"
    return None


def _loss_by_direction(recording: Recording) -> dict[str, float | None]:
    """Lost up ÷ sent, and lost down ÷ what reached the other end; None when the direction of a loss is not known."""
    fate = recording.fate
    up, down, unknown = (int((fate == kind).sum()) for kind in (LOST_UP, LOST_DOWN, LOST))
    reached = fate.size - up if recording.directions == "both" else fate.size
    known = recording.directions != "unknown" and not unknown
    return {
        "loss_up_ratio": up / fate.size if known and recording.directions != "down" and fate.size else None,
        "loss_down_ratio": down / reached if known and recording.directions != "up" and reached else None,
    }


def _spread(delay: Floats) -> dict[str, float | None] | None:
    known = delay[~np.isnan(delay)]
    if known.size == 0:
        return None
    figures: dict[str, float | None] = {
        "min": float(known.min()),
        "mean": float(known.mean()),
        "max": float(known.max()),
        "stddev": float(known.std()),
    }
    for name, q in PERCENTILES.items():
        value = latency.percentile(known, q)
        figures[name] = None if math.isnan(value) else value
    return figures


def _mean(values: Floats) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else None


def _jitter(recording: Recording) -> float | None:
    delay = _best(recording)
    answered = np.flatnonzero(~np.isnan(delay))
    if recording.sent_ns is not None:
        jitter = latency.jitter_rfc3550(recording.sent_ns[answered], delay[answered])
    else:  # in the order in which the answers came, which is all that the times of sending are needed for
        series = latency.jitter_rfc3550_series(np.arange(recording.arrived.size) * 10**15, delay[recording.arrived])
        jitter = float(series[-1]) if series.size > 1 else math.nan
    return None if math.isnan(jitter) else jitter


def _disagreements(recording: Recording, lost: int) -> list[str]:
    """Where the tool's own summary says something else than its packets, allowing for how it rounds."""
    said, tool, found = recording.said, recording.tool, []
    sent = int(recording.fate.size)
    if "received" in said and int(said["received"]) != sent - lost:
        found.append(f"{tool} says {int(said['received'])} packets were received, {sent - lost} are recorded")
    if "sent" in said and int(said["sent"]) != sent:
        found.append(f"{tool} says {int(said['sent'])} packets were sent, the numbers recorded go up to {sent}")
    if "loss_ratio" in said and sent and abs(said["loss_ratio"] - lost / sent) > 5e-6:
        found.append(
            f"{tool} prints {said['loss_ratio'] * 100:g} % loss; {lost} of {sent} were lost, {lost / sent * 100:.4g} %"
        )
    times = recording.rtt_ms[~np.isnan(recording.rtt_ms)]
    if "rtt_mean_ms" in said and times.size:
        coarse = recording.resolution_ms
        cut = 0.0 if coarse is None else float(coarse[~np.isnan(recording.rtt_ms)].mean())
        difference = said["rtt_mean_ms"] - float(times.mean())
        if not -0.0006 <= difference <= cut + 0.0006:  # lines are cut, never rounded up; means have 3 decimals
            found.append(
                f"{tool} prints a mean of {said['rtt_mean_ms']:g} ms; that of its packets is {times.mean():.4g}"
            )
    return found
