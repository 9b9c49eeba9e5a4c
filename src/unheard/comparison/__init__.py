"""Two systems on the same clips: paired tests over speakers, intervals of the difference, and their wording."""
