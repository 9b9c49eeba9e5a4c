"""Calibrated late fusion of finished runs."""
