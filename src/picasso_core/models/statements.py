"""Statements that Django makes once: what runs for each file takes longer to make than the database takes to do it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import connection, models
from django.db.models import Expression
from django.db.models.sql import UpdateQuery


class Parameter(Expression):
    """The place in a statement of a field's value, which comes with each execution under the field's name."""

    def __init__(self, model: type[models.Model], name: str) -> None:
        field: Any = model._meta.get_field(name)
        super().__init__(output_field=field)
        self.name = name

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:  # type: ignore[override]
        """Leave itself among the parameters, for ``Statement`` to find."""
        return "%s", [self]

    def bind(self, values: dict[str, Any]) -> Any:
        """Return its value as the database wants it."""
        return self.output_field.get_db_prep_save(values[self.name], connection)


class Statement:
    """The SQL of a query whose ``Parameter`` are filled in at each execution."""

    def __init__(
        self, queryset: models.QuerySet[Any], update: dict[str, Any] | None = None, returning: Iterable[str] = ("pk",)
    ) -> None:
        """Make the SQL of ``queryset``, or that of its UPDATE, which returns these fields as they are then."""
        self._model, options = queryset.model, queryset.model._meta
        query: Any = queryset.query
        if update is not None:
            query = query.chain(UpdateQuery)
            query.add_update_values(update)
        compiler = query.get_compiler(connection=connection)
        self._sql, self._params = compiler.as_sql()
        if update is None:
            columns = [column for column, _, _ in compiler.select]
        else:
            fields = [options.pk if name == "pk" else options.get_field(name) for name in returning]
            columns = [field.get_col(options.db_table) for field in fields]
            names = ", ".join(connection.ops.quote_name(field.column) for field in fields)
            self._sql += f" RETURNING {names}"
        self._attributes = [column.target.attname for column in columns]
        self._converters = list(compiler.get_converters(columns).items())

    def rows(self, **values: Any) -> list[list[Any]]:
        """Execute it with ``values`` in the places of its parameters."""
        with connection.cursor() as cursor:
            cursor.execute(self._sql, [at.bind(values) if isinstance(at, Parameter) else at for at in self._params])
            rows = [list(row) for row in cursor.fetchall()]
        for position, (converters, column) in self._converters:
            for convert in converters:
                for row in rows:
                    row[position] = convert(row[position], column, connection)
        return rows

    def objects(self, **values: Any) -> list[Any]:
        """Execute it and return instances of the model."""
        return [self._model.from_db(connection.alias, self._attributes, row) for row in self.rows(**values)]
