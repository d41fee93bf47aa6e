"""The tables of the chassis and one for effects."""

import sqlalchemy as sa
from alembic import op

from chassis.schema import create_chassis_tables, drop_chassis_tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_chassis_tables()
    op.create_table("effect", sa.Column("n", sa.BigInteger), sa.Column("id", sa.Text))


def downgrade() -> None:
    op.drop_table("effect")
    drop_chassis_tables()
