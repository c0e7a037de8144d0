"""What is new, brought to the files that are there.

``archive`` says which Files a backfill is for, ``walking`` takes them up, ``feeder`` sends them on their way;
``progress`` and ``report`` tell of it, and through ``asking`` a person decides.
"""
