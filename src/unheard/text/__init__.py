"""What was said, opened for extractors."""
