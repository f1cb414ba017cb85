"""${message}."""
<%text># Rules: import nothing from `evaluation` (it moves on, this file must not); name every
# constraint with op.f(); no nullable column in a unique key; keep the upgrade re-runnable on
# SQLite and PostgreSQL; never drop a column that holds judgments or payments.
</%text>
from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}
revision: str = ${repr(up_revision)}
down_revision: str | None = ${repr(down_revision)}
branch_labels: Sequence[str] | None = ${repr(branch_labels)}
depends_on: Sequence[str] | None = ${repr(depends_on)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
