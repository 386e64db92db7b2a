"""`km0 init influxdb` on 2.x: organisation, buckets, mappings and tokens, through influxdb-client's administration."""

from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from km0.init_influxdb import ROLES, Role, Step, has_token, keep_token, token_file
from pipeline.stores import InfluxDbConfig
from telemetry.errors import ConfigError

influxdb_client: Final[Any] = import_module("influxdb_client")  # typed in part only, which is worse than not at all
dbrps: Final[Any] = import_module("influxdb_client.service.dbr_ps_service")
rest: Final[Any] = import_module("influxdb_client.rest")

_DAY_S: Final = 24 * 3600


class Buckets:
    """What is missing or different in the organisation that the plant file names."""

    def __init__(self, config: InfluxDbConfig, operator: str, tokens: Path, roles: Sequence[Role]) -> None:
        self._config = config
        self._roles = roles
        self._tokens = tokens
        self._client = influxdb_client.InfluxDBClient(url=config.url, token=operator, org=config.org, timeout=10_000)

    def steps(self, days: dict[str, int]) -> Iterator[Step]:
        try:
            with self._client:
                yield from self._organisation()
                for bucket, kept in days.items():
                    yield from self._bucket(getattr(self._config, bucket), kept)
                for role in self._roles:
                    yield from self._token(role, ROLES[role])
        except rest.ApiException as error:
            raise ConfigError(
                f"InfluxDB answers {error.status} ({error.reason}): is the token that of an operator?"
            ) from error

    def _organisation(self) -> Iterator[Step]:
        if self._org_id() is None:
            api = self._client.organizations_api()
            yield Step(
                f"make the organisation {self._config.org}",
                lambda: _ignore(api.create_organization(name=self._config.org)),
            )

    def _org_id(self) -> str | None:
        found = self._client.organizations_api().find_organizations()
        return next((str(one.id) for one in found if one.name == self._config.org), None)

    def _bucket(self, name: str, days: int) -> Iterator[Step]:
        api = self._client.buckets_api()
        rules = [influxdb_client.BucketRetentionRules(type="expire", every_seconds=days * _DAY_S)] if days else []
        for_days = f"{days} days" if days else "for ever"
        found = api.find_bucket_by_name(name) if self._org_id() else None
        if found is None:
            yield Step(
                f"make the bucket {name}: {for_days}",
                lambda: _ignore(api.create_bucket(bucket_name=name, org_id=self._org_id(), retention_rules=rules)),
            )
        elif sum(rule.every_seconds for rule in found.retention_rules or ()) != days * _DAY_S:

            def keep(found: Any = found) -> None:
                found.retention_rules = rules
                api.update_bucket(found)

            yield Step(f"keep what is in {name} {for_days}", keep)
        yield from self._mapping(name)

    def _mapping(self, name: str) -> Iterator[Step]:
        """InfluxQL, which reads on every version, finds a bucket by its database and retention policy."""
        database, _, policy = name.partition("/")
        policy = policy or "autogen"
        service = dbrps.DBRPsService(self._client.api_client)
        org_id = self._org_id()
        held = service.get_dbr_ps(org_id=org_id).content or [] if org_id else []
        if not any((one.database, one.retention_policy) == (database, policy) for one in held):

            def do() -> None:
                bucket = self._client.buckets_api().find_bucket_by_name(name)
                wanted = influxdb_client.DBRPCreate(
                    org_id=self._org_id(), bucket_id=bucket.id, database=database, retention_policy=policy, default=True
                )
                service.post_dbrp(wanted)

            yield Step(f"map the database {database} and policy {policy} to the bucket {name}", do)

    def _token(self, role: str, rights: dict[str, str]) -> Iterator[Step]:
        description = f"km0 {role}"
        org_id = self._org_id()
        held = self._client.authorizations_api().find_authorizations(org_id=org_id) if org_id else []
        known = any(one.description == description and one.status == "active" for one in held)
        if known and has_token(self._tokens, role):
            return
        yield Step(
            f"make the token {description!r} and write {token_file(self._tokens, role)}", self._maker(role, rights)
        )

    def _maker(self, role: str, rights: dict[str, str]) -> Callable[[], None]:
        def do() -> None:
            org_id = self._org_id()
            permissions = []
            for bucket, right in rights.items():
                found = self._client.buckets_api().find_bucket_by_name(getattr(self._config, bucket))
                resource = influxdb_client.PermissionResource(type="buckets", id=found.id, org_id=org_id)
                actions = ("read", "write") if right == "rw" else ("read",)
                permissions += [influxdb_client.Permission(action=action, resource=resource) for action in actions]
            made = self._client.authorizations_api().create_authorization(
                authorization=influxdb_client.Authorization(
                    org_id=org_id, permissions=permissions, description=f"km0 {role}"
                )
            )
            keep_token(self._tokens, role, made.token)

        return do


def _ignore(_: object) -> None:
    """The answer is not needed."""
