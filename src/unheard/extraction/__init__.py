"""Features and hidden states of many clips, computed once and stored."""
