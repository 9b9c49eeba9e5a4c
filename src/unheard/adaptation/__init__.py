"""Adaptation to a voice from clips without labels: features are standardised by what is usual of their speaker."""
