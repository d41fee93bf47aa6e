"""Every knob of survey."""

from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic_settings import SettingsConfigDict

from chassis.settings import ChassisSettings


class QueuePolicy(BaseModel):
    """What one queue does differently."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    delay_seconds: float | None = Field(None, ge=0, description="Seconds from closing to asking.")
    scale: Literal[3, 5] | None = Field(None, description="Three faces or five points.")
    sample_percent: float | None = Field(
        None, ge=0, le=100, description="Share of closed tickets asked about."
    )
    low_threshold: int | None = Field(None, ge=0, le=100, description="Highest score that counts as low.")


class Settings(ChassisSettings):
    """Settings of survey, read from TICKDESK_SURVEY_<FIELD>."""

    model_config = SettingsConfigDict(env_prefix="TICKDESK_SURVEY_")

    http_port: int = Field(0, ge=0, le=65535, description="Port of the public pages; 0 picks a free one.")
    public_url: str = Field(
        "",
        description="Address of the public pages as customers reach it; empty: this machine and http_port.",
    )
    delay_seconds: float = Field(2 * 86400, ge=0, description="Seconds from closing a ticket to asking.")
    scale: Literal[3, 5] = Field(5, description="Three faces or five points.")
    sample_percent: float = Field(100, ge=0, le=100, description="Share of closed tickets asked about.")
    low_threshold: int | None = Field(
        None,
        ge=0,
        le=100,
        description="Highest score of 0 to 100 that counts as low; none: 50 of five, 25 of three.",
    )
    policies: dict[str, QueuePolicy] = Field(
        default_factory=dict, description="JSON: queue key to what it does differently."
    )
    link_days: float = Field(14, gt=0, le=365, description="Days a link takes an answer.")
    edit_minutes: float = Field(15, ge=0, le=1440, description="Minutes in which an answer can be changed.")
    calls_per_minute: int = Field(
        120, ge=1, description="Requests one address may make to the pages in a minute."
    )
    trusted_proxies: int = Field(
        0, ge=0, le=5, description="Proxies in front whose X-Forwarded-For entries are believed."
    )
    default_language: str = Field(
        "en", pattern="^(ru|en)$", description="Language where none is known: ru, en."
    )

    @field_validator("policies", mode="before")
    @classmethod
    def _parse_policies(cls, value: Any) -> Any:
        return orjson.loads(value) if isinstance(value, str | bytes) else value

    @field_validator("public_url")
    @classmethod
    def _check_url(cls, value: str) -> str:
        if value and not value.startswith(("https://", "http://")):
            raise ValueError("must begin with https:// or http://")
        return value.rstrip("/")
