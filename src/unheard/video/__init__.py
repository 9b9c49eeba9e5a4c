"""The picture of videos: frames in time with the sound, and the faces in them (extra ``video``)."""
