"""Settings of the service, read from TICKDESK_TICKETS_*."""

from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from chassis.settings import ChassisSettings


class Settings(ChassisSettings):
    """What tickets reads beside the settings of every service."""

    model_config = SettingsConfigDict(env_prefix="TICKDESK_TICKETS_")

    default_queue: str = Field(
        "SUP",
        pattern="^[A-Z0-9]{2,10}$",
        description="Queue of messages to an address that no queue has; made when there is no queue at all.",
    )
    confirmation_seconds: float = Field(
        3 * 86400, gt=0, description="Seconds a resolved ticket waits for the customer before it is closed."
    )
    close_poll_seconds: float = Field(
        15, gt=0, le=3600, description="Seconds between looks for resolved tickets to close."
    )
    close_batch: int = Field(100, ge=1, le=1000, description="Tickets closed in one transaction.")
    spread_poll_seconds: float = Field(
        1,
        gt=0,
        le=300,
        description="Seconds between looks for changes of customers that open tickets follow.",
    )
    spread_batch: int = Field(
        100, ge=1, le=1000, description="Tickets or customers that follow such a change in one transaction."
    )
    gauge_seconds: float = Field(15, gt=0, description="Seconds between counts of the open tickets.")
    search_seconds: float = Field(
        3, ge=0.1, le=10, description="Seconds a search may take before it is refused as too costly."
    )
    search_connections: int = Field(
        4, ge=1, le=50, description="Database connections for searches; half as many more when they are busy."
    )
    report_seconds: float = Field(
        12,
        ge=0.1,
        le=14,
        description="Seconds each kind of figure in a report may take before it is refused as too costly; "
        "so long a report waits for a connection, too.",
    )
    report_connections: int = Field(
        2, ge=1, le=50, description="Database connections for reports; half as many more when they are busy."
    )
    incident_poll_seconds: float = Field(
        1,
        gt=0,
        le=300,
        description="Seconds between looks for what children of mass incidents must follow.",
    )
    incident_batch: int = Field(
        50, ge=1, le=500, description="Children of a mass incident changed in one transaction."
    )
    burst_poll_seconds: float = Field(
        5, gt=0, le=300, description="Seconds between looks for many new tickets about one thing."
    )
    bulk_poll_seconds: float = Field(
        1, gt=0, le=300, description="Seconds between looks for tickets that a bulk shall change."
    )
    keep_bulks_days: float = Field(
        90, ge=1, description="Days after its last change that a bulk and its list are kept."
    )
    rule_poll_seconds: float = Field(
        10, gt=0, le=300, description="Seconds between looks for scheduled rules whose time has come."
    )
    rule_batch: int = Field(
        50, ge=1, le=500, description="Tickets that a scheduled rule is tried on in one transaction."
    )
    max_watches: int = Field(
        128,
        ge=1,
        description="Watches served at once, an eighth of them of one person; more get RESOURCE_EXHAUSTED. "
        "At most half of max_calls.",
    )

    @model_validator(mode="after")
    def _leave_calls(self) -> Self:
        # A watch is a call that does not end: other calls need room beside all of them.
        if self.max_watches > self.max_calls // 2:
            raise ValueError(
                f"max_watches must be at most half of max_calls ({self.max_calls}): lower it, "
                "or raise max_calls"
            )
        return self
