"""What a finished run loses in noise on its own test clips; nothing is trained."""
