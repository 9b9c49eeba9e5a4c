"""Recordings: what libsndfile reads becomes 16 kHz mono float, with what is wrong with it said."""
