"""Training of networks: examples, batches, schedules and the loop; it knows no head."""
