"""How often a ticket of a bulk was tried: what cannot be done now waits behind the others."""

from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.execute("alter table bulk_item add column attempts smallint not null default 0")
    op.execute("drop index bulk_item_waiting")
    op.execute("create index bulk_item_waiting on bulk_item (attempts, position, bulk_id) where state = 1")


def downgrade() -> None:
    op.execute("drop index bulk_item_waiting")
    op.execute("create index bulk_item_waiting on bulk_item (position, bulk_id) where state = 1")
    op.execute("alter table bulk_item drop column attempts")
