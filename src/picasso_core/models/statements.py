"""Statements that Django makes once: what runs for each file takes longer to make than the database takes to do it."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any, Self

from django.db import connection, models
from django.db.models import Expression
from django.db.models.sql import InsertQuery, UpdateQuery

PLAIN_FIELDS = (models.BooleanField, models.CharField, models.IntegerField, models.TextField)
PLAIN_VALUES = (bool, int, str)


class Parameter(Expression):
    """The place in a statement of a field's value, which comes with each execution under the field's name."""

    def __init__(self, model: type[models.Model], name: str) -> None:
        field: Any = model._meta.get_field(name)
        super().__init__(output_field=field)
        self.name = name
        # What Django makes of these is what they are, and it takes ten times as long to find that out.
        self._plain = PLAIN_VALUES if isinstance(field, PLAIN_FIELDS) else ()

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:  # type: ignore[override]
        """Leave itself among the parameters, for ``Statement`` to find."""
        return "%s", [self]

    def bind(self, values: dict[str, Any]) -> Any:
        """Return its value as the database wants it."""
        value = values[self.name]
        if value is None or type(value) in self._plain:
            return value
        return self.output_field.get_db_prep_save(value, connection)


class Statement:
    """The SQL of a query whose ``Parameter`` are filled in at each execution."""

    def __init__(self, compiler: Any, sql: str, params: Iterable[Any], columns: Iterable[Any]) -> None:
        """Keep what a compiler has made, and how to read the ``columns`` that come back."""
        columns = list(columns)
        self._sql, self._params = sql, tuple(params)
        # What is computed is no attribute of a model.
        self._attributes = [column.target.attname if hasattr(column, "target") else "" for column in columns]
        self._converters = list(compiler.get_converters(columns).items())

    @classmethod
    def select(cls, queryset: models.QuerySet[Any]) -> Self:
        """Return what ``queryset`` asks for."""
        compiler: Any = queryset.query.get_compiler(connection=connection)
        sql, params = compiler.as_sql()
        return cls(compiler, sql, params, (column for column, _, _ in compiler.select))

    @classmethod
    def update(cls, queryset: models.QuerySet[Any], values: dict[str, Any], returning: Iterable[str] = ("id",)) -> Self:
        """Write ``values`` into the rows of ``queryset`` and return these of their fields as they are then."""
        query: Any = queryset.query.chain(UpdateQuery)
        query.add_update_values(values)
        compiler = query.get_compiler(connection=connection)
        sql, params = compiler.as_sql()
        columns = [_column(queryset.model, name) for name in returning]
        return cls(compiler, sql + _returning(columns), params, columns)

    @classmethod
    def insert(
        cls, model: type[models.Model], values: dict[str, Any], returning: Iterable[str], or_ignore: bool = False
    ) -> Self:
        """Insert a row of ``values``, one for each field but those that the database fills in; return these.

        With ``or_ignore`` a row that meets another one's key is left out without an error, and nothing is returned.
        """
        query: Any = InsertQuery(model)
        fields: list[Any] = [model._meta.get_field(name) for name in values]
        row = SimpleNamespace(**{field.attname: values[field.name] for field in fields})
        query.insert_values(fields, [row], raw=True)
        compiler = query.get_compiler(connection=connection)
        ((sql, params),) = compiler.as_sql()
        columns = [_column(model, name) for name in returning]
        ignoring = " ON CONFLICT DO NOTHING" if or_ignore else ""
        return cls(compiler, sql + ignoring + _returning(columns), params, columns)

    def fetch(self, **values: Any) -> tuple[tuple[Any, ...], ...]:
        """Execute it with ``values`` in the places of its parameters; return the rows as the database has them."""
        with connection.cursor() as cursor:
            cursor.execute(self._sql, [at.bind(values) if isinstance(at, Parameter) else at for at in self._params])
            return tuple(cursor.fetchall())

    def convert(self, fetched: Iterable[tuple[Any, ...]]) -> list[list[Any]]:
        """Make of what was fetched the values that models have."""
        rows = [list(row) for row in fetched]
        for position, (converters, column) in self._converters:
            for convert in converters:
                for row in rows:
                    row[position] = convert(row[position], column, connection)
        return rows

    def rows(self, **values: Any) -> list[list[Any]]:
        """Execute it and return the rows."""
        return self.convert(self.fetch(**values))

    def objects(self, model: type[models.Model], **values: Any) -> list[Any]:
        """Execute it and return instances of ``model``."""
        return [model.from_db(connection.alias, self._attributes, row) for row in self.rows(**values)]


def _column(model: type[models.Model], name: str) -> Any:
    field: Any = model._meta.get_field(name)
    return field.get_col(model._meta.db_table)


def _returning(columns: list[Any]) -> str:
    return " RETURNING " + ", ".join(connection.ops.quote_name(column.target.column) for column in columns)
