"""Alembic's entry point: runs the migrations on the connection that `evaluation.database` gives.

A new migration, from a checkout:

    from alembic import command
    from evaluation.database import create_database, migration_config

    create_database("scratch.db").close()
    with create_engine("sqlite:///scratch.db").connect() as connection:
        command.revision(migration_config(connection), "what changes", autogenerate=True)

Read what it wrote: a migration must not import `evaluation.schema`, which will have moved on.
"""

from alembic import context

from evaluation.schema import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite changes a table by copying it
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
