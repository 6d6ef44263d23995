"""Verdicts as a table, as Markdown and as a web page."""
