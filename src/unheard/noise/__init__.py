"""A finished run answers for its own test clips in noise; nothing is trained."""
