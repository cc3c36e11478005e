"""The tables: one module each, a recipe of `touched` and `rows`."""
