"""Every knob of notifier."""

import base64
import binascii
from email.utils import parseaddr
from pathlib import Path
from typing import Any, Literal, Self
from zoneinfo import available_timezones

import orjson
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic_settings import SettingsConfigDict
from yarl import URL

from chassis.settings import ChassisSettings


class Webhook(BaseModel):
    """One endpoint of another system, or a chat that rules of queues write to."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    url: str = Field(description="https address; events are posted there.")
    secret: SecretStr = Field(
        SecretStr(""),
        description="Standard Webhooks secret: whsec_ and base64 of 24 to 64 bytes; chats have none.",
    )
    name: str = Field(
        "", pattern="^([a-z0-9][a-z0-9_-]{0,49})?$", description="What rules of queues call it."
    )
    format: Literal["event", "slack", "telegram"] = Field(
        "event", description="What is posted: signed events, or words to a chat."
    )
    chat_id: str = Field("", max_length=100, description="The chat of a bot of Telegram.")
    events: tuple[str, ...] = Field((), description="Names of events, such as TicketOpened; none means all.")

    @field_validator("url")
    @classmethod
    def _check_url(cls, value: str) -> str:
        parts = URL(value)
        if parts.scheme not in ("http", "https") or not parts.host:
            raise ValueError("must be an http or https address")
        if parts.user or parts.password:
            raise ValueError("must not carry a user name or password: the secret signs")
        return value

    @model_validator(mode="after")
    def _check_format(self) -> Self:
        if self.format == "event" and not 24 <= len(secret_key(self.secret)) <= 64:
            raise ValueError("secret must be whsec_ and the base64 of 24 to 64 bytes")
        if self.format != "event" and not self.name:
            raise ValueError("name must be given to a chat: rules find it by that")
        if self.format == "telegram" and not self.chat_id:
            raise ValueError("chat_id must be given for telegram")
        return self


def secret_key(secret: SecretStr) -> bytes:
    """The bytes that sign, out of `whsec_<base64>`; empty when it is not of that form."""
    try:
        return base64.b64decode(secret.get_secret_value().removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        return b""


class Settings(ChassisSettings):
    """Settings of notifier, read from TICKDESK_NOTIFIER_<FIELD>."""

    model_config = SettingsConfigDict(env_prefix="TICKDESK_NOTIFIER_")

    smtp_url: SecretStr = Field(
        SecretStr("smtp://127.0.0.1:25"),
        description="Mail relay: smtp://user:password@host:port, smtps:// for TLS at once; "
        "?starttls=auto|always|never.",
    )
    smtp_url_file: str | None = Field(None, description="File that holds smtp_url.")
    smtp_connections: int = Field(4, ge=1, le=50, description="Letters sent at the same time.")
    send_seconds: float = Field(30, gt=0, le=300, description="Seconds one attempt to send mail may take.")
    reply_keys: SecretStr = Field(
        SecretStr(""),
        description="Key that signs reply addresses, the same as intake's; 'new,old' to rotate.",
    )
    reply_keys_file: str | None = Field(None, description="File that holds reply_keys.")
    default_from: str = Field(
        "Tickdesk <tickdesk@localhost>",
        description="From of notices to staff, and of queues without an address.",
    )
    default_language: str = Field(
        "en", pattern="^(ru|en)$", description="Language where none is known: ru, en."
    )
    default_timezone: str = Field("UTC", description="IANA zone of times in letters where none is known.")
    intake_target: str = Field(
        "", description="gRPC of intake, host:port, to read files of letters from; empty: none can be sent."
    )
    intake_token: SecretStr | None = Field(
        None, description="Token to call intake with; none: that of service:notifier in tokens."
    )
    intake_token_file: Path | None = Field(None, description="File that holds intake_token.")
    intake_ca: Path | None = Field(
        None, description="Certificates that intake's own is checked by, PEM; none: no TLS."
    )
    files_max_bytes: int = Field(
        20_000_000, ge=0, description="Bytes that the files of one letter may have together."
    )
    promise_wait_seconds: float = Field(
        2, ge=0, le=60, description="How long an auto-reply waits for the promised time."
    )
    auto_replies_per_hour: int = Field(
        5,
        ge=0,
        description="Auto-replies one recipient gets in an hour, letters of rules before an answer included.",
    )
    robot_letters_per_hour: int = Field(
        20, ge=0, description="Letters of rules that one recipient gets in an hour, of all tickets."
    )
    auto_replies_per_minute: int = Field(
        600,
        ge=0,
        description="Auto-replies of the whole desk in a minute, letters of rules before an answer included.",
    )
    own_domains: str = Field(
        "", description="Domains whose addresses get no auto-reply and no letter of a rule, comma separated."
    )
    notices_per_minute: int = Field(
        10,
        ge=1,
        le=1000,
        description="Notices one person of the desk gets in a minute; more become a digest.",
    )
    digest_seconds: float = Field(60, gt=0, le=3600, description="How often a person gets a digest at most.")
    retry_seconds: float = Field(
        15, gt=0, le=600, description="First pause before another attempt; it doubles."
    )
    retry_hours: float = Field(72, gt=0, le=240, description="How long a refused delivery is tried again.")
    keep_days: float = Field(90, ge=1, description="Days after which what a sent letter said is forgotten.")
    webhooks: tuple[Webhook, ...] = Field(
        (), description="JSON list of {url, secret, events, name, format, chat_id}."
    )
    webhooks_file: str | None = Field(None, description="File that holds the JSON of webhooks.")
    webhook_seconds: float = Field(10, gt=0, le=60, description="Seconds one webhook call may take.")
    webhook_connections: int = Field(4, ge=1, le=50, description="Webhook calls made at the same time.")
    webhook_allow_private: bool = Field(
        default=False,
        description="Allow webhooks to private and loopback addresses and any port: one machine, tests.",
    )

    @field_validator("webhooks", mode="before")
    @classmethod
    def _parse_webhooks(cls, value: Any) -> Any:
        return orjson.loads(value) if isinstance(value, str | bytes) else value

    @field_validator("webhooks")
    @classmethod
    def _check_webhooks(cls, value: tuple[Webhook, ...]) -> tuple[Webhook, ...]:
        # An endpoint is found again by its url, a chat by its name: one of two alike signs for the other.
        urls = [each.url for each in value if each.format == "event"]
        names = [each.name for each in value if each.name]
        for what, all_ in (("url", urls), ("name", names)):
            if len(set(all_)) < len(all_):
                raise ValueError(f"must have a {what} of their own each")
        return value

    @field_validator("default_from")
    @classmethod
    def _check_from(cls, value: str) -> str:
        if "@" not in parseaddr(value)[1]:
            raise ValueError("must hold an address, such as Tickdesk <desk@example.org>")
        return value

    @field_validator("default_timezone")
    @classmethod
    def _check_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError(f"{value} is no IANA time zone, such as Europe/Moscow")
        return value
