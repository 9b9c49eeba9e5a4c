"""Recipes: what a run does, read from a YAML file (the package's own are here) and checked before any work."""
