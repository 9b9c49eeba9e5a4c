"""The report: one HTML page over scored systems, and the pages of layers and noise."""
