"""The kinds of value that the configuration's fields are made of."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr
from pydantic_core import PydanticCustomError

from shared.config.versions import is_api_version

SECONDS_MAX = 86_400
WAIT_MS_MAX = 60_000


class Section(BaseModel):
    """A frozen part of the file. Keys it has no field for are reported by `support.complaint`, not kept here."""

    model_config = ConfigDict(frozen=True, extra="ignore", str_strip_whitespace=True, hide_input_in_errors=True)


def _not_bool(value: Any) -> Any:
    """YAML's `yes` is a bool, and a bool would pass for the number 1."""
    if isinstance(value, bool):
        raise PydanticCustomError("float_type", "a number")
    return value


def _api_version(value: str) -> str:
    if not is_api_version(value):
        raise ValueError
    return value


def _printable(value: str) -> str:
    if not value.isprintable():
        raise ValueError
    return value


def _header_safe(value: SecretStr) -> SecretStr:
    """Keys and tokens travel in a header: printable ASCII without spaces."""
    text = value.get_secret_value()
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError
    return value


def _name(value: Any) -> Any:
    """An id may be written as a number."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _moment(value: Any) -> Any:
    """A day or a moment, in UTC unless it says otherwise, as seconds since 1970. YAML reads most of them itself."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value.strip())
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if not isinstance(value, datetime):
        raise ValueError
    return (value if value.tzinfo is not None else value.replace(tzinfo=UTC)).timestamp()


Text = Annotated[str, Field(min_length=1, max_length=2048), AfterValidator(_printable)]
Name = Annotated[str, BeforeValidator(_name), Field(min_length=1, max_length=128, pattern=r"^[ -~]+$")]
ResourceName = Annotated[str, BeforeValidator(_name), Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Names = Annotated[list[Text], Field(max_length=64)]
Models = Annotated[tuple[Text, ...], Field(max_length=64)]
Secret = Annotated[SecretStr, Field(min_length=1)]
HeaderSecret = Annotated[SecretStr, Field(min_length=1), AfterValidator(_header_safe)]
ApiVersion = Annotated[str, AfterValidator(_api_version)]
Seconds = Annotated[float, BeforeValidator(_not_bool), Field(gt=0, le=SECONDS_MAX, allow_inf_nan=False)]
SecondsOrZero = Annotated[float, BeforeValidator(_not_bool), Field(ge=0, le=SECONDS_MAX, allow_inf_nan=False)]
Amount = Annotated[float, BeforeValidator(_not_bool), Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[int, BeforeValidator(_not_bool), Field(gt=0, le=10**12)]
Count = Annotated[int, BeforeValidator(_not_bool), Field(ge=0, le=100)]
Fails = Annotated[int, BeforeValidator(_not_bool), Field(ge=0, le=10**6)]
Milliseconds = Annotated[int, BeforeValidator(_not_bool), Field(ge=0, le=WAIT_MS_MAX)]
Ratio = Annotated[float, BeforeValidator(_not_bool), Field(ge=0, le=1, allow_inf_nan=False)]
Moment = Annotated[float, BeforeValidator(_moment)]
Days = Annotated[int, BeforeValidator(_not_bool), Field(ge=0, le=3650)]
Rank = Annotated[int, BeforeValidator(_not_bool), Field(ge=-(10**6), le=10**6)]
