"""Extensions of recordings, for finding them in a folder.

A file that is named itself is read whatever its name: its content decides.
"""

LOSSLESS = (".wav", ".flac", ".aif", ".aiff", ".aifc", ".au", ".caf", ".w64", ".rf64", ".snd", ".sph")
LOSSY = (".ogg", ".oga", ".opus", ".mp3")
#: Those that libsndfile reads, and that lose nothing first.
EXTENSIONS = LOSSLESS + LOSSY
#: Those that PyAV reads, which the extra ``media`` installs: compressed audio, and the sound of videos.
MEDIA = (
    ".m4a", ".m4b", ".aac", ".amr", ".3gp", ".mp4", ".m4v", ".mov", ".webm", ".mka", ".mkv", ".flv", ".avi",
)  # fmt: skip
#: Those among them that have a picture, too.
VIDEO = (".3gp", ".mp4", ".m4v", ".mov", ".webm", ".mkv", ".flv", ".avi")
#: Those of recordings that nothing here reads; they are left out of folders, and said.
UNREADABLE = (
    ".wma", ".wmv", ".ra", ".rm", ".ape", ".wv", ".ac3", ".eac3", ".dts", ".spx", ".awb", ".tta", ".mpc",
)  # fmt: skip
CONVERT = "is not read; convert it to FLAC or WAV, for instance by `ffmpeg -i IN OUT.wav`"
