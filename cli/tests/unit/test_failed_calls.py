"""A call that fails is told in words, and none is given up while its turn may still come."""

import grpc
import grpc.aio

from sla_clock.handlers.checking import WAITING
from sla_clock.settings import Settings
from tickdesk_cli.client import CHECK_SECONDS
from tickdesk_cli.terminal import describe


def failed(code: grpc.StatusCode, details: str) -> tuple[str, str]:
    return describe(grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details))


def test_a_policy_is_waited_for_until_all_before_it_have_been_checked() -> None:
    check_seconds = Settings.model_fields["check_seconds"].default
    assert (WAITING + 1) * check_seconds < CHECK_SECONDS


def test_a_desk_that_has_too_much_to_do_says_so_in_its_own_words() -> None:
    told = "one check is being made and 4 wait: ask again in a minute"
    assert failed(grpc.StatusCode.RESOURCE_EXHAUSTED, told) == (told, "Nothing was changed.")


def test_other_failures_name_their_kind_and_a_remedy() -> None:
    message, remedy = failed(grpc.StatusCode.UNAVAILABLE, "failed to connect")
    assert message == "unavailable: failed to connect"
    assert "tickdesk up" in remedy
