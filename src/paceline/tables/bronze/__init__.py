"""Recipes of the schema bronze."""
