"""What tells a session from one that gets its id after a restore."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    # Sessions that are under way have none, and their pages go on without one.
    op.add_column("assignment", sa.Column("nonce", sa.String(length=32), nullable=True))


def downgrade() -> None:
    op.drop_column("assignment", "nonce")
