"""Picasso: a file archive whose understanding of its files keeps growing."""
