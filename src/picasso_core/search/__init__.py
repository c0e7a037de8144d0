"""Search in the names of files and in the text that processors found.

``words`` knows what a word, a query and a place in a text are; ``index`` keeps the rows and asks the database.
"""
