"""The prediction table, which metrics, comparisons and reports are made from."""
