"""The index of the search: a tsvector with GIN on PostgreSQL, a table of FTS5 beside it on SQLite."""

import django.contrib.postgres.search
import django.db.models.deletion
from django.db import migrations, models

WORDS = {
    "postgresql": ["CREATE INDEX entry_words ON picasso_entry USING gin (words)"],
    "sqlite": [
        "CREATE VIRTUAL TABLE picasso_words USING fts5(name, found, tokenize = 'unicode61 remove_diacritics 2')",
        "CREATE TRIGGER entry_gone AFTER DELETE ON picasso_entry "
        "BEGIN DELETE FROM picasso_words WHERE rowid = old.id; END",
    ],
}


def make_words(apps, schema_editor):
    """Make what Django has no model for."""
    for statement in WORDS[schema_editor.connection.vendor]:
        schema_editor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [
        ("picasso", "0007_webhooks"),
    ]

    operations = [
        migrations.CreateModel(
            name="Entry",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("texts", models.JSONField(default=dict, help_text="Each text by who found it; the name by nobody.")),
                ("words", django.contrib.postgres.search.SearchVectorField(null=True)),
                (
                    "file",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE, related_name="entry", to="picasso.file"
                    ),
                ),
            ],
        ),
        migrations.RunPython(make_words, migrations.RunPython.noop),
    ]
