"""The lines that people work on: a mark may name the line."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("agent", sa.Column("lines", ARRAY(sa.SmallInteger), nullable=False, server_default="{}"))


def downgrade() -> None:
    op.drop_column("agent", "lines")
