"""Heads that are networks: settings in one file (``tcgru``), the torch module in another (``tcgru_network``)."""
