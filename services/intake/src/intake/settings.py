"""Every knob of intake."""

from pathlib import Path

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from chassis.settings import ChassisSettings


class Settings(ChassisSettings):
    """Settings of intake, read from TICKDESK_INTAKE_<FIELD>."""

    model_config = SettingsConfigDict(env_prefix="TICKDESK_INTAKE_")

    lmtp_port: int = Field(2424, ge=0, le=65535, description="Port of the LMTP listener; 0 picks a free one.")
    smtp_port: int = Field(2525, ge=0, le=65535, description="Port of the SMTP listener; 0 picks a free one.")
    mailboxes: str = Field(
        "",
        description="Addresses and domains mail is taken for, by commas: 'support@x.example, y.example'. "
        "Empty takes mail for any address; then let only the own mail server reach the listeners.",
    )
    objects: str = Field(
        "data/objects",
        description="Where raw messages and files are kept: a folder, or an URL such as s3://bucket/prefix.",
    )
    reply_keys: SecretStr = Field(
        SecretStr(""),
        description="Key that signs reply addresses, the same as notifier's; 'new,old' to rotate.",
    )
    reply_keys_file: Path | None = Field(None, description="File that holds reply_keys.")
    mail_max_bytes: int = Field(25 * 1024 * 1024, gt=0, description="Largest mail taken.")
    mail_max_headers: int = Field(1000, gt=0, description="Most header lines of a mail that is taken.")
    mail_max_recipients: int = Field(50, gt=0, description="Most recipients of one delivery.")
    parse_workers: int = Field(2, ge=1, le=32, description="Processes that read mail.")
    parse_seconds: float = Field(
        10, gt=0, description="Seconds to read one mail; then it is stored unread, as a file."
    )
    parse_memory_mb: int = Field(1024, ge=256, description="Address space of a process that reads mail, MiB.")
    connections: int = Field(100, gt=0, description="Mail connections served at once, per listener.")
    idle_seconds: float = Field(120, gt=0, description="Seconds a mail connection may be silent.")
    peer_per_minute: int = Field(
        300, gt=0, description="Mails a minute taken over SMTP from one address; more get 451 and come later."
    )
    duplicate_hours: float = Field(
        24, gt=0, description="Hours in which equal mails without a Message-ID are one."
    )

    @field_validator("mailboxes")
    @classmethod
    def _check_mailboxes(cls, value: str) -> str:
        for one in split_list(value):
            if one.count("@") > 1 or " " in one or one.startswith("@") or one.endswith("@"):
                raise ValueError(f"{one!r} is neither an address nor a domain")
        return value


def split_list(value: str) -> tuple[str, ...]:
    """A comma-separated setting in lower case."""
    return tuple(one.strip().lower() for one in value.split(",") if one.strip())
