"""What is known of a speaker's voice: a profile from a file, or from clips named on the command line."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from unheard.cli.terminal import say
from unheard.errors import about

if TYPE_CHECKING:
    from unheard.bundle.runtime import Bundle
    from unheard.bundle.voice import VoiceProfile


def profile_for(
    bundle: Bundle,
    voice: Path | None,
    clips: Iterable[str] | None,
    *,
    channel: int | None,
    allow_truncated: bool,
) -> VoiceProfile | None:
    """Return the profile of a file, or of clips; None where neither is given. What to beware of is said.

    Raises
    ------
    UsageError
        The bundle does not adapt to voices.
    DataError
        The file is no profile, or no clip can be used.
    """
    from unheard.bundle.voice import read_voice

    if voice is not None:
        profile = read_voice(voice)
        with about(voice):
            bundle.check_profile(profile)
    elif clips is not None:
        profile = bundle.enrol(clips, channel=channel, allow_truncated=allow_truncated)
    else:
        return None
    say(f"the voice is known from {told(profile)}")
    say_warnings(profile)
    return profile


def say_warnings(profile: VoiceProfile) -> None:
    """Print what to beware of in a profile."""
    for reason in profile.left_out:
        say(f"left out of the profile: {reason}")
    for warning in profile.warnings:
        say(f"warning: {warning}")


def told(profile: VoiceProfile) -> str:
    """Return how much a profile was made of, in words."""
    many = "" if profile.clips == 1 else "s"
    return f"{profile.clips} clip{many} with {profile.speech:.1f} s of speech"
