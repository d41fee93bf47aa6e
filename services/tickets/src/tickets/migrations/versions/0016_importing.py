"""Names that imported tickets had elsewhere."""

from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.execute(
        """
        create table imported_ticket (
            external_id text not null,
            ticket_id uuid not null,
            primary key (external_id)
        )
        """
    )


def downgrade() -> None:
    op.drop_table("imported_ticket")
