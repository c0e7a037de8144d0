"""Where uploaded bytes are parsed: a zygote without secrets and its children, one per worker thread.

``zygote`` and ``child`` run inside; ``client``, ``runner`` and ``outcome`` are the worker's side. The two sides
exchange length-limited JSON over pipes, never pickle. No Django and no Celery here.
"""
