"""Real messages of other projects' corpora: each becomes a ticket, joins one, or is refused with a reason."""

import os
from pathlib import Path

import pytest

from tests.desks import ROOT, a_desk, deliver_mailbox

FOLDER = Path(os.environ.get("TICKDESK_CORPORA", ROOT.parent / "shared" / "data" / "mail"))

pytestmark = [pytest.mark.timeout(240), pytest.mark.xdist_group("desk")]


async def test_every_real_message_is_a_ticket_or_joined_or_refused_with_a_reason(tmp_path: Path) -> None:
    """YT-05, KT-01, KT-03: nothing that a real mail program wrote is dropped in silence."""
    files = sorted(FOLDER.rglob("*.eml")) if FOLDER.is_dir() else []
    if not files:
        pytest.skip(
            f"the corpora are not here: {FOLDER.name} has no messages; TICKDESK_CORPORA names a folder"
        )
    async with a_desk(tmp_path) as (desk, client):
        report = await deliver_mailbox(desk, client, files)
        for service in desk.services:
            assert await service.unready() == ""
    assert len(report.results) == len(files)
    assert report.counts["pending"] == 0, [each for each in report.results if each.outcome == "pending"]
    silent = [each for each in report.results if each.outcome == "rejected" and not each.reason]
    assert silent == []
    assert report.counts["created"] >= len(files) // 2, report.results
