"""The migrations are the only way the schema is built, and they build exactly the model."""

from datetime import UTC, datetime

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, create_engine, insert, inspect, select

from evaluation.database import (
    create_database,
    migration_config,
    migrations_folder,
    open_database,
)
from evaluation.schema import Base, Payment
from evaluation.upgrading import upgrade_database


def _index(index):
    options = sorted((key, str(value)) for key, value in index["dialect_options"].items())
    return index["name"], tuple(index["column_names"]), bool(index["unique"]), options


def _shape(url):
    """Everything the database says about its tables, in one comparable value."""
    engine = create_engine(url)
    inspector = inspect(engine)
    shape = {}
    for table in inspector.get_table_names():
        if table == "alembic_version":
            continue
        shape[table] = {
            "columns": [
                (c["name"], str(c["type"]), c["nullable"]) for c in inspector.get_columns(table)
            ],
            "primary key": inspector.get_pk_constraint(table)["name"],
            "foreign keys": sorted(
                (k["name"], tuple(k["constrained_columns"]), k["referred_table"])
                for k in inspector.get_foreign_keys(table)
            ),
            "unique": sorted(
                (u["name"], tuple(u["column_names"]))
                for u in inspector.get_unique_constraints(table)
            ),
            "checks": sorted(
                (c["name"], c["sqltext"]) for c in inspector.get_check_constraints(table)
            ),
            "indexes": sorted(_index(i) for i in inspector.get_indexes(table)),
        }
    engine.dispose()
    return shape


def test_the_history_has_a_single_head():
    scripts = ScriptDirectory.from_config(migration_config())

    assert len(scripts.get_heads()) == 1
    assert scripts.get_bases() == ["0001"]


def test_upgrade_from_empty_leaves_no_difference_to_the_model(empty_database_url):
    create_database(empty_database_url).close()

    engine = create_engine(empty_database_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_migrated_constraints_indexes_and_checks_equal_the_models(empty_database_url):
    engine = create_engine(empty_database_url)
    Base.metadata.create_all(engine)
    expected = _shape(empty_database_url)
    Base.metadata.drop_all(engine)
    engine.dispose()

    create_database(empty_database_url).close()

    assert len(expected) == len(Base.metadata.tables)
    assert _shape(empty_database_url) == expected


def test_downgrade_to_base_removes_every_table(empty_database_url):
    create_database(empty_database_url).close()
    engine = create_engine(empty_database_url)
    with engine.begin() as connection:
        command.downgrade(migration_config(connection), "base")
    with engine.connect() as connection:
        assert inspect(connection).get_table_names() == ["alembic_version"]
    engine.dispose()


def test_payments_of_an_older_database_find_their_hits(empty_database_url):
    engine = create_engine(empty_database_url)
    at = datetime(2026, 5, 1, 9, tzinfo=UTC)
    with engine.begin() as connection:
        command.upgrade(migration_config(connection), "0003")
        tables = MetaData()
        tables.reflect(connection)
        place = {"crowd": "mturk", "environment": "sandbox", "created_at": at, "details": {}}
        design = {"design": {}, "settings": {}, "study_file": "", "design_hash": "", "secret": ""}
        session = {"accepted_at": at, "lease_until": at, "environment_details": {}, "survey": {}}
        hit = {"max_assignments": 1, "reward_cents": 50, "currency": "USD", "state": "done"}
        paid = {"kind": "reward", "cents": 50, "currency": "USD", "state": "done", "reason": ""}
        for table, row in (
            ("study", {"id": 1, "name": "a", "title": "", "seed": 1, "paused": False, **design}),
            ("worker", {"id": 3, "external_id": "A1", **place}),
            ("hit", {"id": 7, "study_id": 1, "token": "t", **hit, **place}),
            (
                "assignment",
                {"id": 5, "study_id": 1, "hit_id": 7, "worker_id": 3, "external_id": "3A"}
                | {"status": "approved", "completion_code": "", **session, **place},
            ),
            ("payment", {"id": 9, "study_id": 1, "assignment_id": 5, "token": "p", **paid}),
        ):
            columns = tables.tables[table].c.keys()
            known = {name: v for name, v in ({"created_at": at} | row).items() if name in columns}
            connection.execute(insert(tables.tables[table]), known)
    engine.dispose()

    upgrade_database(empty_database_url)

    with open_database(empty_database_url) as database, database.read() as session:
        (payment,) = session.scalars(select(Payment))
        assert (payment.hit_id, payment.assignment_id, payment.cents) == (7, 5, 50)


def test_migrations_import_nothing_of_the_program():
    for path in (migrations_folder() / "versions").glob("*.py"):
        lines = path.read_text(encoding="utf-8").splitlines()
        imported = [line for line in lines if line.startswith(("import ", "from "))]
        assert not [line for line in imported if "evaluation" in line]
