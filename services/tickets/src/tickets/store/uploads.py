"""Files that the desk uploaded; their bytes are with intake."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from chassis.db import Tx
from tickets.domain.model import Attachment
from tickets.store import tables

_u = tables.upload


async def add(tx: Tx, file: Attachment, uploader: str) -> None:
    """Remember a file."""
    row = {
        "id": file.id,
        "filename": file.filename,
        "media_type": file.media_type,
        "size_bytes": file.size_bytes,
        "sha256": file.sha256,
        "uploader": uploader,
    }
    await tx.execute(insert(_u).values(row).on_conflict_do_nothing())


async def find(tx: Tx, ids: Sequence[str]) -> list[Attachment]:
    """Those of the files that the desk uploaded."""
    rows = await tx.execute(sa.select(_u).where(_u.c.id.in_(list(ids))))
    return [Attachment(row.id, row.filename, row.media_type, row.size_bytes, row.sha256) for row in rows]
