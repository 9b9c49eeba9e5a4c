"""Predictions and bundles that were made elsewhere, scored as our own are."""
