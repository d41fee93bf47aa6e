"""Custom fields in a column of their own, so that they can be searched."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("alter table ticket add column fields jsonb default '{}' not null")
    op.execute(
        "update ticket set fields = body -> 'fields', body = body - 'fields'"
        " where body -> 'fields' is not null"
    )
    op.execute("create index ticket_fields on ticket using gin (fields jsonb_path_ops)")


def downgrade() -> None:
    op.execute(
        "update ticket set body = body || jsonb_build_object('fields', fields) where fields <> '{}'::jsonb"
    )
    op.drop_column("ticket", "fields")
