"""Bytes to records: one module a format, and none of them ever loses, merges or guesses a record."""
