"""Getting a corpus from where its owner keeps it: what there is, fetching it, unpacking it."""
