"""One bounded reader for each format: what it refuses is an error that names the file, and sizes come first."""
