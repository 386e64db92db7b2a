"""The MQTT collector: messages that gathered are decoded, put, and only then acknowledged.

Invariants:
- Every message ends in one of three ways, and is acknowledged after it: its samples are put; it is set aside with its
  reason; or it is counted as not subscribed to, because the plant file no longer asks for its topic.
- Of a message of which only some readings are good, the good ones are put and the whole is set aside.
- What gathered while the sink was committing goes in one `put`.
- Of a retained message without a time of its own, only what holds is news: that it is in force now, UNCERTAIN.
"""

import asyncio
import math
import ssl
from collections import Counter
from contextlib import suppress
from functools import partial
from time import monotonic, time_ns
from typing import Final

from collectors.mqtt.config import MqttConfig, Tls
from collectors.mqtt.connecting import SessionSettings
from collectors.mqtt.decoder import Decoder, Fault, Host, Message, MessageError
from collectors.mqtt.framing import Batch
from collectors.mqtt.session import Session
from telemetry.errors import ConfigError, SourceError
from telemetry.glossary import holds
from telemetry.health import Component
from telemetry.plant import Plant
from telemetry.protocols import Sink
from telemetry.samples import SECOND_NS, Sample
from telemetry.validity import Gate

_ROUTES: Final = 20_000
"""Topics whose decoder is remembered; beyond that all are forgotten, so that made-up topics fill no memory."""

_SET_ASIDE_AT_ONCE: Final = 256
"""Dead letters in hand together: enough to share one commit of the spool."""

_FORGET_EVERY_S: Final = 1.0
"""At most so often [s] the broker is asked to drop a subscription: its queued messages still come after that."""


_SLICE: Final = 500
"""Messages decoded before other tasks of the process have their turn: about 3 ms."""

_TICK_S: Final = 0.25
"""How often [s] a host dialect is asked what came too late."""

_FAREWELL_S: Final = 0.5
"""How long [s] a collector that is cancelled may take to put what it no longer knows."""


class MqttCollector:
    """Collects from one broker what its MqttConfig describes. Raises ConfigError when a secret cannot be read."""

    def __init__(self, config: MqttConfig, plant: Plant, component: Component) -> None:
        self._config: Final = config
        self._component: Final = component
        self._gate: Final = Gate(frozenset(asset.path for asset in plant.assets))
        self._decoders: Final = [(entry.topic_template, entry.decoder()) for entry in config.topics]
        self._host: Final = next((decoder for _, decoder in self._decoders if isinstance(decoder, Host)), None)
        self._routes: Final[dict[str, Decoder | None]] = {}
        self._forgotten_at = -_FORGET_EVERY_S
        self._had_session = False
        self._settings()  # a secret or certificate that cannot be read stops the start, not the first connection

    @property
    def name(self) -> str:
        return self._config.name

    async def run(self, sink: Sink) -> None:
        """Collect until cancelled. Raises SourceError when the broker cannot be reached, refuses or goes away."""
        try:
            settings = self._settings()
        except ConfigError as error:  # files may be replaced while we run, and be incomplete for a moment
            raise SourceError(str(error)) from error
        try:
            async with Session(settings, self._ready, partial(self._component.gauge, "in_flight")) as session:
                await self._until_over(session, sink)
        finally:
            self._component.gauge("connected_since_s", math.nan)

    def _ready(self, detail: str, resumed: bool) -> None:
        if self._had_session and not resumed:
            self._component.count("sessions_lost")
            detail = "the broker had forgotten our session, with what it kept for us; " + detail
        self._had_session = self._host is None and self._config.session_expiry_s > 0
        self._component.gauge("connected_since_s", time_ns() / SECOND_NS)
        self._component.ok(detail)

    async def _until_over(self, session: Session, sink: Sink) -> None:
        """Collect; at the end, put what a host dialect no longer knows."""
        try:
            await self._collect(session, sink)
        except SourceError:
            await self._put_ended(sink)
            raise
        except asyncio.CancelledError:
            with suppress(TimeoutError):
                async with asyncio.timeout(_FAREWELL_S):
                    await self._put_ended(sink)
            raise

    def again(self, topic: str, payload: bytes, received_ns: int) -> tuple[list[Sample], list[str]]:
        """What a message that was set aside says by the configuration of today: samples, and reasons against it.

        `received_ns` [ns] is when it was set aside. Of a host dialect nothing can be said: its message needs the births
        of that time.
        """
        decoder = self._decoder(topic)
        if self._host is not None:
            return [], ["a Sparkplug message is read by the births of its time, which are gone: drop it"]
        if decoder is None:
            return [], [f"no entry of `topics` matches {topic!r}"]
        samples: list[Sample] = []
        errors = self._decode(decoder, Message(topic, payload, received_ns), samples, Counter())
        return samples, list(dict.fromkeys(map(str, errors)))

    async def _collect(self, session: Session, sink: Sink) -> None:
        host = self._host
        while True:
            batch = await session.batch(None if host is None else _TICK_S)
            await self._keep(batch, sink, session)
            if acknowledged := session.acknowledge(batch):
                self._component.count("acknowledged", acknowledged)
            if host is not None:
                for publication in host.say():
                    session.publish(publication)
                for what, count in host.counts.items():
                    self._component.gauge(what, count)

    async def _put_ended(self, sink: Sink) -> None:
        """Put what a host no longer knows, now that the connection is over."""
        if self._host is not None:
            samples, _ = self._sorted(self._host.ended(time_ns()))
            if samples:
                await sink.put(samples)

    def _settings(self) -> SessionSettings:
        config = self._config
        opening = config.opening(time_ns()) if self._host is None else self._host.opening(time_ns())
        return SessionSettings(
            host=config.host,
            port=config.effective_port,
            client_id=config.effective_client_id,
            subscriptions=config.subscriptions,
            version5=config.protocol == "5",
            username=config.username,
            password=None if config.password is None else config.password.read(),
            tls=None if config.tls is None else _tls_context(config.tls),
            keepalive_s=config.keepalive_s,
            expiry_s=config.session_expiry_s if self._host is None else 0,
            max_in_flight=config.max_in_flight,
            max_in_flight_bytes=config.max_in_flight_bytes,
            websocket=config.websocket,
            clean_start=self._host is not None,
            **({} if opening is None else opening._asdict()),
        )

    async def _keep(self, batch: Batch, sink: Sink, session: Session) -> None:
        """Return once every message of the batch is durable, as samples or as a dead letter."""
        samples: list[Sample] = []
        letters: list[tuple[str, str, bytes]] = []
        counts: Counter[str] = Counter(messages=len(batch.messages), bytes=batch.size, duplicates=batch.duplicates)
        if self._host is not None:
            samples, errors = self._sorted(self._host.expire(time_ns()))
            self._refuse(errors, Message("late", b"", 0), letters, counts)
        for start in range(0, len(batch.messages), _SLICE):
            if start:
                await asyncio.sleep(0)
            for message in batch.messages[start : start + _SLICE]:
                decoder = self._decoder(message.topic)
                if decoder is None:
                    counts["not_subscribed"] += 1
                    self._forget(message.topic, session)
                elif errors := self._decode(decoder, message, samples, counts):
                    self._refuse(errors, message, letters, counts)
        if samples:
            await sink.put(samples)
            self._component.gauge("lag_ms", (time_ns() - samples[-1].time_ns) / 1e6)
        for start in range(0, len(letters), _SET_ASIDE_AT_ONCE):
            async with asyncio.TaskGroup() as group:
                for letter in letters[start : start + _SET_ASIDE_AT_ONCE]:
                    group.create_task(sink.set_aside(*letter))
        counts.update(samples=len(samples), dead_letters=len(letters))
        for name, count in counts.items():
            if count:
                self._component.count(name, count)

    def _refuse(
        self, errors: list[MessageError], message: Message, letters: list[tuple[str, str, bytes]], counts: Counter[str]
    ) -> None:
        if errors:
            counts.update(f"refused_{error.fault.name.lower()}" for error in errors)
            reason = "; ".join(dict.fromkeys(map(str, errors)))
            letters.append((f"{self.name}:{message.topic}", reason[:1000], message.payload))

    def _decode(
        self, decoder: Decoder, message: Message, samples: list[Sample], counts: Counter[str]
    ) -> list[MessageError]:
        """Add the good samples of the message; return why others were refused."""
        try:
            readings = decoder.decode(message)
        except MessageError as error:
            return [error]
        except Exception as error:  # redelivery would turn a decoder's bug into a crash loop
            return [MessageError(Fault.BUG, f"bug in the decoder, please report it: {error!r}")]
        good, errors = self._sorted(readings)
        if message.retained:
            kept = [sample for sample in good if sample.time_ns != sample.received_ns or holds(sample.metric)]
            if old := len(good) - len(kept):
                counts["retained_without_time"] += old
                good = kept
        samples += good
        return errors

    def _sorted(self, readings: list[Sample | MessageError]) -> tuple[list[Sample], list[MessageError]]:
        """The readings that may be kept, and why the others may not."""
        errors = [reading for reading in readings if isinstance(reading, MessageError)]
        samples, reasons = self._gate.sift(
            [reading for reading in readings if not isinstance(reading, MessageError)] if errors else readings  # type: ignore[arg-type]  # without errors all are samples
        )
        return samples, errors + [MessageError(Fault.GATE, reason) for reason in reasons]

    def _decoder(self, topic: str) -> Decoder | None:
        """The decoder of the first entry that matches, or None when none does."""
        if self._host is not None:
            return self._host
        try:
            return self._routes[topic]
        except KeyError:
            if len(self._routes) >= _ROUTES:
                self._routes.clear()
            matching = (decoder for template, decoder in self._decoders if template.match(topic) is not None)
            found = self._routes[topic] = next(matching, None)
            return found

    def _forget(self, topic: str, session: Session) -> None:
        if monotonic() - self._forgotten_at >= _FORGET_EVERY_S:
            self._forgotten_at = monotonic()
            session.forget(topic)


def _tls_context(tls: Tls) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=tls.ca)
        if tls.certificate is not None:
            # without a password OpenSSL would ask the terminal for one, and hold up the whole process until it is typed
            password = "" if tls.key_password is None else tls.key_password.read()
            context.load_cert_chain(tls.certificate, tls.key, password)
    except OSError as error:
        files = ", ".join(str(path) for path in (tls.ca, tls.certificate, tls.key) if path is not None)
        hint = ""
        if tls.key is not None and tls.key_password is None:
            hint = "; if the key is encrypted, say where its password is: key_password"
        raise ConfigError(f"tls: one of {files} cannot be used: {error}{hint}") from error
    return context
