"""Every knob of sla-clock."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from chassis.settings import ChassisSettings


class Settings(ChassisSettings):
    """Settings of sla-clock, read from TICKDESK_SLA_CLOCK_<FIELD>."""

    model_config = SettingsConfigDict(env_prefix="TICKDESK_SLA_CLOCK_")

    redis_url: SecretStr = Field(
        SecretStr("redis://127.0.0.1:6379/0"),
        description="Redis or Valkey that holds the timers: redis://..., for a cluster redis+cluster://....",
    )
    redis_url_file: Path | None = Field(None, description="File that holds redis_url.")
    policy_path: Path | None = Field(
        None, description="Policy to put in force at start, when this file's text was not in force before."
    )
    tickets_target: str = Field(
        "", description="gRPC of tickets, host:port, to compare open tickets with; empty: no comparing."
    )
    tickets_token: SecretStr | None = Field(
        None, description="Token to call tickets with; none: that of service:sla-clock in tokens."
    )
    tickets_token_file: Path | None = Field(None, description="File that holds tickets_token.")
    tickets_ca: Path | None = Field(
        None, description="Certificates that tickets' own is checked by, PEM; none: no TLS."
    )
    compare_seconds: float = Field(
        3600, gt=0, description="How often open tickets are compared with tickets."
    )
    lease_seconds: float = Field(
        10, gt=0.1, le=600, description="After how long another worker takes over a claimed timer."
    )
    poll_seconds: float = Field(1, gt=0, le=5, description="Longest sleep between two looks at the timers.")
    lanes: int = Field(
        2, ge=1, le=16, description="How many parts of the timers are fired at once by one process."
    )
    batch: int = Field(
        1000, ge=1, le=2000, description="About how many tickets' marks are fired at once by a lane."
    )
    reconcile_seconds: float = Field(
        60,
        gt=0,
        description="Rest between two comparisons of all timers with the database; each is done slowly.",
    )
    sweep_seconds: float = Field(
        5, gt=0, description="How often overdue marks and unpublished events are looked for in the database."
    )
    keep_marks_days: float = Field(
        90,
        ge=14,
        description="How long marks of tickets that are over stay in the ledger; those of open ones stay.",
    )
    max_watches: int = Field(
        64,
        ge=1,
        description="Watches served at once; more get RESOURCE_EXHAUSTED. At most half of max_calls.",
    )
    check_seconds: float = Field(
        10,
        gt=0,
        le=60,
        description="Longest check of a policy sent by a caller; a plan then reads it again beside marks.",
    )

    @model_validator(mode="after")
    def _leave_calls(self) -> Settings:
        # A watch is a call that does not end: other calls need room beside all of them.
        if self.max_watches > self.max_calls // 2:
            raise ValueError(
                f"max_watches must be at most half of max_calls ({self.max_calls}): lower it, "
                "or raise max_calls"
            )
        return self
