"""Extensions of the files that libsndfile reads, for finding recordings in a folder.

A file that is named itself is read whatever its name: its content decides.
"""

LOSSLESS = (".wav", ".flac", ".aif", ".aiff", ".aifc", ".au", ".caf", ".w64", ".rf64", ".snd", ".sph")
LOSSY = (".ogg", ".oga", ".opus", ".mp3")
#: Those that lose nothing first.
EXTENSIONS = LOSSLESS + LOSSY
