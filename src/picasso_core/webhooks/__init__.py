"""Tell others of events: ``signing`` by Standard Webhooks, ``sending`` to public addresses, ``delivering``."""
