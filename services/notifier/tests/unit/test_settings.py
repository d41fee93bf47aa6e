"""What settings refuse at the start."""

from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from notifier.settings import Settings

SECRET = "whsec_" + "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
CRM = {"url": "https://crm.example.org/hooks", "secret": SECRET, "name": "crm"}
DUTY = {"url": "https://telegram.example.org/bot/sendMessage", "format": "telegram", "name": "duty"}


def settings(*webhooks: dict[str, Any]) -> Settings:
    fields: dict[str, Any] = {"database_url": SecretStr("postgresql://localhost/x"), "webhooks": webhooks}
    return Settings(**fields)


def test_chats_of_one_bot_share_its_address() -> None:
    made = settings(CRM, {**DUTY, "chat_id": "1"}, {**DUTY, "chat_id": "2", "name": "team"})
    assert [each.name for each in made.webhooks] == ["crm", "duty", "team"]


@pytest.mark.parametrize(
    ("other", "what"),
    [({**CRM, "name": "other"}, "url"), ({**DUTY, "chat_id": "1", "name": "crm"}, "name")],
)
def test_two_endpoints_alike_are_refused(other: dict[str, Any], what: str) -> None:
    """One would be posted with the signature of the other, or in its place."""
    with pytest.raises(ValidationError, match=f"must have a {what} of their own each"):
        settings(CRM, other)
