"""What may be asked: strict query models. An unknown parameter is an error, not a silent default."""

from typing import Annotated, Final, Literal
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, Field, model_validator

from dashboards.web.history import DAY_NS
from dashboards.web.models import PATH
from dashboards.web.times import QueryTime, iso
from telemetry.plant import AssetPath
from telemetry.samples import Window

MAX_SAMPLES: Final = 10_000
MAX_VALUES: Final = 10_000
MAX_LETTERS: Final = 500

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]


class Query(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Interval(Query):
    """A half-open interval; without `from`, the 24 h before `to`; without `to`, now."""

    start: QueryTime | None = Field(None, alias="from", description="first instant; default: 24 h before `to`")
    end: QueryTime | None = Field(None, alias="to", description="first instant after; default: now")

    @model_validator(mode="after")
    def _forward(self) -> "Interval":
        if self.start is not None and self.end is not None and self.end < self.start:
            raise ValueError("`to` is before `from`: swap them")
        return self

    def window(self, now_ns: int, kind: str = "interval") -> Window:
        """The interval asked for; empty when `from` lies in the future and no `to` was given."""
        end = now_ns if self.end is None else self.end
        start = end - DAY_NS if self.start is None else self.start
        return Window(start, max(start, end), kind)


class SamplesQuery(Interval):
    asset: AssetPath = Field(examples=[PATH])
    metric: Name = Field(examples=["state"])
    limit: int = Field(1000, ge=1, le=MAX_SAMPLES, description="most samples in one answer")
    order: Literal["oldest", "newest"] = Field("oldest", description="which end of the interval comes first")


class FiguresQuery(Interval):
    asset: AssetPath = Field(examples=[PATH])
    kpi: Name = Field(examples=["trs"])
    kind: Name | None = Field(
        None, description='only windows of this kind: "hour", "shift", "day" …', examples=["hour"]
    )
    limit: int = Field(1000, ge=1, le=MAX_VALUES, description="most values in one answer")


class StatesQuery(Interval):
    asset: AssetPath = Field(examples=[PATH])
    limit: int = Field(1000, ge=1, le=MAX_VALUES, description="most stretches in one answer")


class AssetsQuery(Query):
    kind: Literal["machine", "link", "platform"] | None = Field(None, description="only assets of this kind")


class LettersQuery(Query):
    limit: int = Field(100, ge=1, le=MAX_LETTERS)
    before: int | None = Field(None, ge=0, le=2**63 - 1, description="only letters with an `id` below this one")


def following(path: str, query: BaseModel, **changed: int) -> str:
    """The address of the next page: the same question with `changed` parameters; from and to are instants [ns]."""
    asked = query.model_dump(by_alias=True, exclude_none=True) | changed
    return f"{path}?{urlencode({key: iso(value) if key in ('from', 'to') else value for key, value in asked.items()})}"
