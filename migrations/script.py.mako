"""${message}"""

from migrations.steps import atomically

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    ${upgrades if upgrades else "atomically(\"\")"}


def downgrade() -> None:
    ${downgrades if downgrades else "atomically(\"\")"}
