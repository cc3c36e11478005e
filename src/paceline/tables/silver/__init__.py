"""Recipes of the schema silver."""
