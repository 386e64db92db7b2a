"""`km0 init influxdb` on 2.x: organisation, buckets, mappings and tokens, through influxdb-client's administration."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from km0.init_influxdb import ROLES, Role, Step, held_token, keep_token, token_file
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
        """Raises ConfigError, and so does what a step does, with the server's own words."""
        with _said(), self._client:
            for step in self._steps(days):
                yield Step(step.words, _said()(step.do))

    def _steps(self, days: dict[str, int]) -> Iterator[Step]:
        yield from self._organisation()
        for bucket, kept in days.items():
            yield from self._bucket(getattr(self._config, bucket), kept)
        for role in self._roles:
            yield from self._token(role, ROLES[role])

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

    def _found(self, name: str) -> Any | None:
        """The bucket of that name in this organisation: another one may have one of the same name."""
        org_id = self._org_id()
        if org_id is None:
            return None
        found = self._client.buckets_api().find_buckets(name=name, org_id=org_id).buckets
        return next((one for one in found if one.name == name), None)

    def _bucket(self, name: str, days: int) -> Iterator[Step]:
        api = self._client.buckets_api()
        for_days = f"{days} days" if days else "for ever"
        found = self._found(name)
        if found is None:
            rules = [_rule(days)] if days else []
            yield Step(
                f"make the bucket {name}: {for_days}",
                lambda: _ignore(api.create_bucket(bucket_name=name, org_id=self._org_id(), retention_rules=rules)),
            )
        elif sum(rule.every_seconds for rule in found.retention_rules or ()) != days * _DAY_S:

            def keep(found: Any = found) -> None:
                found.retention_rules = [_rule(days)]  # the server takes an empty list for "as it is"
                api.update_bucket(found)

            yield Step(f"keep what is in {name} {for_days}", keep)
        yield from self._mapping(name)

    def _mapping(self, name: str) -> Iterator[Step]:
        """InfluxQL, which reads on every version, finds a bucket by its database and retention policy."""
        database, _, policy = name.partition("/")
        policy = policy or "autogen"
        service = dbrps.DBRPsService(self._client.api_client)
        org_id, bucket = self._org_id(), self._found(name)
        held = service.get_dbr_ps(org_id=org_id).content or [] if org_id else []
        ours = [one for one in held if (one.database, one.retention_policy) == (database, policy)]
        if bucket is None or not any(one.bucket_id == bucket.id for one in ours):

            def do() -> None:
                bucket = self._found(name)
                assert bucket is not None  # the step before has made it
                for one in ours:  # of a bucket that is no more, or has another name
                    service.delete_dbrpid(one.id, org_id=org_id)
                wanted = influxdb_client.DBRPCreate(
                    org_id=self._org_id(), bucket_id=bucket.id, database=database, retention_policy=policy, default=True
                )
                service.post_dbrp(wanted)

            yield Step(f"map the database {database} and policy {policy} to the bucket {name}", do)

    def _token(self, role: str, rights: dict[str, str]) -> Iterator[Step]:
        """A token has the rights of its role, exactly, on the buckets that are there now, and lies in its file."""
        org_id, description = self._org_id(), f"km0 {role}"
        every = self._client.authorizations_api().find_authorizations(org_id=org_id) if org_id else []
        held = [one for one in every if one.description == description]
        kept = held_token(self._tokens, role)
        wanted = self._wanted(rights)
        for one in held:
            # a server that hashes its tokens shows none
            if kept and one.status == "active" and one.token in (None, "", "REDACTED", kept) and _rights(one) == wanted:
                return
        again = " anew, for its rights are others" if held and kept else ""
        yield Step(
            f"make the token {description!r}{again} and write {token_file(self._tokens, role)}",
            self._maker(role, rights, held),
        )

    def _wanted(self, rights: dict[str, str]) -> set[tuple[str, str]] | None:
        """(action, id of a bucket); None when a bucket is still to be made."""
        wanted = set()
        for bucket, right in rights.items():
            found = self._found(getattr(self._config, bucket))
            if found is None:
                return None
            wanted |= {(action, str(found.id)) for action in (("read", "write") if right == "rw" else ("read",))}
        return wanted

    def _maker(self, role: str, rights: dict[str, str], held: Sequence[Any]) -> Callable[[], None]:
        def do() -> None:
            org_id, wanted = self._org_id(), self._wanted(rights)
            assert wanted is not None  # the steps before have made them
            permissions = [
                influxdb_client.Permission(
                    action=action,
                    resource=influxdb_client.PermissionResource(type="buckets", id=bucket, org_id=org_id),
                )
                for action, bucket in sorted(wanted)
            ]
            api = self._client.authorizations_api()
            made = api.create_authorization(
                authorization=influxdb_client.Authorization(
                    org_id=org_id, permissions=permissions, description=f"km0 {role}"
                )
            )
            keep_token(self._tokens, role, made.token)
            for one in held:  # last: until the file has the new one somebody may need it
                api.delete_authorization(one.id)

        return do


@contextmanager
def _said() -> Iterator[None]:
    try:
        yield
    except rest.ApiException as error:
        hint = "; is the token that of an operator?" if error.status in (401, 403) else ""
        raise ConfigError(f"InfluxDB answers {error.status} ({error.message or error.reason}){hint}") from error


def _rule(days: int) -> Any:
    """A server refuses to keep less than one of its shards, of 7 days if nothing is said."""
    shard = {"shard_group_duration_seconds": _DAY_S} if 0 < days < 7 else {}
    return influxdb_client.BucketRetentionRules(type="expire", every_seconds=days * _DAY_S, **shard)


def _rights(authorization: Any) -> set[tuple[str, str]]:
    return {(one.action, str(one.resource.id)) for one in authorization.permissions or ()}


def _ignore(_: object) -> None:
    """The answer is not needed."""
