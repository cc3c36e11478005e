"""Recipes of the schema feature_store."""
