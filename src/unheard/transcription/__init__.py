"""What was said, recognised from the sound."""
