"""Settings out of the environment: one class per service, unknown keys are errors."""

import difflib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NoReturn, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

S = TypeVar("S", bound="ChassisSettings")
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class ChassisSettings(BaseSettings):
    """What every service reads. A subclass sets `env_prefix` and adds its own fields.

    Any field named `<field>_file` is a path whose content becomes `<field>`: for mounted secrets.
    """

    model_config = SettingsConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    database_url: SecretStr = Field(
        default=SecretStr(""), description="PostgreSQL of this service, postgresql://..."
    )
    database_url_file: Path | None = Field(default=None, description="File that holds database_url.")
    nats_url: str = Field(
        default="nats://127.0.0.1:4222", repr=False, description="NATS servers, comma separated."
    )
    nats_url_file: Path | None = Field(default=None, description="File that holds nats_url.")
    stream_replicas: int = Field(
        default=1, ge=1, le=5, description="Copies of a stream this service creates."
    )
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    grpc_port: int = Field(default=0, ge=0, le=65535, description="gRPC port; 0 picks a free one.")
    ops_port: int = Field(
        default=0, ge=0, le=65535, description="Port of health and metrics; 0 picks a free one."
    )
    tokens: dict[str, SecretStr] = Field(
        default_factory=dict, description="JSON: principal name to token; 'new,old' while a token is rotated."
    )
    tokens_file: Path | None = Field(default=None, description="File that holds the JSON of tokens.")
    keys_file: Path | None = Field(default=None, description="File of API keys; read again when it changes.")
    oidc_issuer: str = Field(default="", description="Issuer (`iss`) whose JWTs are taken; empty: none are.")
    oidc_audience: str = Field(default="", description="Audience (`aud`) that its tokens must name.")
    oidc_jwks_url: str = Field(default="", description="Where the issuer publishes its signing keys.")
    oidc_leeway_seconds: float = Field(default=30, ge=0, le=300, description="How far its clock may be off.")
    oidc_name_claim: str = Field(default="sub", description="Claim that names the principal: the agent's id.")
    oidc_roles_claim: str = Field(default="roles", description="Claim that holds groups; a.b is b inside a.")
    oidc_roles: dict[str, Literal["agent", "lead", "admin", "auditor"]] = Field(
        default_factory=dict,
        description="JSON: value of that claim to role; the first that a token has wins.",
    )
    tls_cert: Path | None = Field(default=None, description="Certificate chain of the gRPC server, PEM.")
    tls_key: Path | None = Field(default=None, description="Private key of tls_cert, PEM.")
    tls_client_ca: Path | None = Field(
        default=None, description="If set, callers must show a certificate of these."
    )
    insecure: bool = Field(
        default=False, description="Allow gRPC without TLS on an address other than loopback."
    )
    otlp_endpoint: str | None = Field(
        default=None, description="OTLP/HTTP collector, http://host:4318; none: off."
    )
    log_level: str = Field(default="info", description="Lowest level logged: debug, info, warning or error.")
    drain_seconds: float = Field(
        default=20, ge=0, description="Seconds running calls and events get at shutdown."
    )
    drain_pause_seconds: float = Field(
        default=0.3, ge=0, description="Seconds between reporting not serving and refusing calls."
    )
    startup_seconds: float = Field(
        default=30, gt=0, description="Seconds to wait at start for database and NATS."
    )
    call_seconds: float = Field(
        default=30, gt=0, description="Deadline of a unary call whose client sent none."
    )
    max_message_bytes: int = Field(default=5 * 1024 * 1024, gt=0, description="Largest gRPC message taken.")
    max_calls: int = Field(
        default=256, gt=0, description="Calls served at once; more get RESOURCE_EXHAUSTED."
    )

    @model_validator(mode="before")
    @classmethod
    def _read_files(cls, values: dict[str, Any]) -> dict[str, Any]:
        for name in [key for key in values if key.endswith("_file") and key[:-5] in cls.model_fields]:
            target, path = name[:-5], values[name]
            if not path:
                continue
            if values.get(target):
                raise ValueError(f"{target} and {name} are both set: keep one")
            try:
                values[target] = Path(path).read_text(encoding="utf-8").strip()
            except OSError as error:
                raise ValueError(f"{name}: cannot read {path}: {error.strerror}") from error
        return values

    @model_validator(mode="after")
    def _check_issuer(self) -> Self:
        if self.oidc_issuer and not (self.oidc_audience and self.oidc_jwks_url and self.oidc_roles):
            raise ValueError("oidc_issuer needs oidc_audience, oidc_jwks_url and oidc_roles")
        url = urlsplit(self.oidc_jwks_url or "https://nowhere")
        if not url.hostname or url.scheme not in ("https", "http" if url.hostname in LOOPBACK else "https"):
            raise ValueError("oidc_jwks_url must begin with https: whoever answers it signs in as anybody")
        return self

    @field_validator("tokens", mode="before")
    @classmethod
    def _parse_tokens(cls, value: Any) -> Any:
        import orjson  # noqa: PLC0415

        return orjson.loads(value) if isinstance(value, str | bytes) else value

    @field_validator("tokens")
    @classmethod
    def _check_tokens(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        empty = [name for name, token in value.items() if not token.get_secret_value().strip(" ,")]
        if empty:
            raise ValueError(f"token of {', '.join(empty)} is empty")
        return value


def load_settings(kind: type[S]) -> S:
    """Read the settings, or print what is wrong with which variable and exit with code 2."""
    prefix = kind.model_config.get("env_prefix", "")
    unknown = list(_unknown(kind, prefix))
    if unknown:
        _fail(unknown)
    try:
        return kind()
    except ValidationError as error:
        _fail([_describe(item, prefix) for item in error.errors(include_input=False)])
    except SettingsError as error:
        _fail([str(error)])


def _unknown(kind: type[ChassisSettings], prefix: str) -> Iterator[str]:
    known = [prefix + name.upper() for name in kind.model_fields]
    for key in sorted(os.environ):
        if prefix and key.upper().startswith(prefix.upper()) and key.upper() not in known:
            close = difflib.get_close_matches(key.upper(), known, n=1)
            yield f"{key}: unknown setting" + (f", did you mean {close[0]}?" if close else "")


def _describe(item: Any, prefix: str) -> str:
    where = ".".join(str(part) for part in item["loc"])
    message = str(item["msg"]).removeprefix("Value error, ")
    return f"{prefix}{where.upper()}: {message}" if where else message


def _fail(problems: list[str]) -> NoReturn:
    for problem in problems:
        print(problem, file=sys.stderr)  # noqa: T201
    raise SystemExit(2)
