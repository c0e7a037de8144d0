"""Large tables for tests on PostgreSQL, made in the database: Django takes a minute for what this does in a second."""

from django.db import connection, models
from psycopg.sql import SQL, Identifier

COPY = """
    CREATE TEMP TABLE more AS SELECT * FROM {table}, generate_series(1, {count}) AS number WHERE id = {id};
    UPDATE more SET id = gen_random_uuid();
    ALTER TABLE more DROP COLUMN number;
    INSERT INTO {table} SELECT * FROM more;
    DROP TABLE more;
"""


def multiply(row: models.Model, count: int) -> None:
    """Insert ``count`` copies of ``row``, whose key is a UUID, beside it."""
    table = Identifier(row._meta.db_table)
    with connection.cursor() as cursor:
        for statement in COPY.strip().split(";\n"):
            cursor.execute(SQL(statement).format(table=table, count=count, id=row.pk).as_string())
