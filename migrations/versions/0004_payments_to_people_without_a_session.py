"""The ledger has what a platform paid to people who found nothing left."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_KIND = "ck_payment_payment_kind"


def upgrade() -> None:
    op.add_column("payment", sa.Column("hit_id", sa.Integer(), nullable=True))
    op.execute(
        "UPDATE payment SET hit_id = "
        "(SELECT hit_id FROM assignment WHERE assignment.id = payment.assignment_id)"
    )
    with op.batch_alter_table("payment") as batch:
        batch.alter_column("assignment_id", existing_type=sa.Integer(), nullable=True)
        batch.alter_column("hit_id", existing_type=sa.Integer(), nullable=False)
        batch.create_foreign_key(op.f("fk_payment_hit_id_hit"), "hit", ["hit_id"], ["id"])
        batch.drop_constraint(op.f(_KIND), type_="check")
        batch.create_check_constraint(
            op.f(_KIND), "kind IN ('reward', 'bonus', 'fee', 'screen-out')"
        )


def downgrade() -> None:
    op.execute("DELETE FROM payment WHERE assignment_id IS NULL")  # there was no place for them
    with op.batch_alter_table("payment") as batch:
        batch.drop_constraint(op.f("fk_payment_hit_id_hit"), type_="foreignkey")
        batch.drop_constraint(op.f(_KIND), type_="check")
        batch.create_check_constraint(op.f(_KIND), "kind IN ('reward', 'bonus', 'fee')")
        batch.alter_column("assignment_id", existing_type=sa.Integer(), nullable=False)
        batch.drop_column("hit_id")
