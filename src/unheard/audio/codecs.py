"""Recordings that went through a telephone or a codec: coded, decoded, and back at their rate and length.

A codec is run, not imitated: G.711, MP3 and Opus by libsndfile, AMR by FFmpeg (PyAV). MP3 and Opus code 16 kHz,
G.711 and AMR 8 kHz, as telephones do. The delay of a codec is measured against the recording and taken away.
"""

from __future__ import annotations

import io
from typing import Any, Literal

import numpy as np
import soundfile
from numpy.typing import NDArray

from unheard.audio.resample import to_rate
from unheard.errors import MachineError, need

TELEPHONE, WIDEBAND = 8_000, 16_000  # Hz
#: Bit rates in kbps between which libsndfile maps its compression level, at 16 kHz and one channel.
MP3_RATES, OPUS_RATES = (8, 160), (6, 256)
AMR = "libopencore_amrnb"  # FFmpeg's name of the encoder

Wave = NDArray[np.float32]


def telephone(wave: Wave, rate: int) -> Wave:
    """Return what 8,000 samples a second keep of a recording: nothing from 4 kHz on."""
    return _fitted(to_rate(to_rate(wave, rate, TELEPHONE), TELEPHONE, rate), wave)


def g711(wave: Wave, rate: int, law: Literal["mu", "a"]) -> Wave:
    """Return a recording as a telephone line with 8 bits a sample carries it (ITU-T G.711), at 8 kHz."""
    subtype = {"mu": "ULAW", "a": "ALAW"}[law]
    narrow = np.clip(to_rate(wave, rate, TELEPHONE), -1, 1)
    return _fitted(to_rate(_through(narrow, TELEPHONE, "WAV", subtype), TELEPHONE, rate), wave)


def mp3(wave: Wave, rate: int, kbps: float) -> Wave:
    """Return a recording coded as MP3 at a constant bit rate.

    Raises
    ------
    MachineError
        libsndfile of this machine writes no MP3.
    """
    low, high = MP3_RATES
    level = (high - kbps) / (high - low)
    return _coded(wave, rate, "MP3", "MPEG_LAYER_III", compression_level=level, bitrate_mode="CONSTANT")


def opus(wave: Wave, rate: int, kbps: float) -> Wave:
    """Return a recording coded as Opus at a bit rate.

    Raises
    ------
    MachineError
        libsndfile of this machine writes no Opus.
    """
    low, high = OPUS_RATES
    return _coded(wave, rate, "OGG", "OPUS", compression_level=(high - kbps) / (high - low))


def amr(wave: Wave, rate: int, kbps: float) -> Wave:
    """Return a recording coded as narrowband AMR, the codec of mobile telephones, at one of its bit rates.

    Raises
    ------
    MachineError
        PyAV is missing, or its FFmpeg has no encoder of AMR.
    """
    av = need("av", "media")
    try:
        av.codec.Codec(AMR, "w")
    except ValueError as error:
        raise MachineError(
            f"FFmpeg of this machine was built without {AMR}, which codes AMR; leave the condition amr out"
        ) from error
    narrow = np.clip(to_rate(wave, rate, TELEPHONE), -1, 1)
    file = io.BytesIO()
    with av.open(file, "w", format="amr") as container:
        stream = container.add_stream(AMR, rate=TELEPHONE, layout="mono")
        stream.bit_rate = round(1000 * kbps)
        samples = np.round(narrow[np.newaxis] * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = TELEPHONE
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    file.seek(0)
    with av.open(file, format="amr") as container:
        decoded = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
    heard = in_time(np.concatenate(decoded).astype(np.float32), narrow)
    return _fitted(to_rate(heard, TELEPHONE, rate), wave)


def in_time(late: Wave, wave: Wave) -> Wave:
    """Return a waveform shifted to where its correlation with another is largest, and as long as that one."""
    length = 1 << (len(late) + len(wave)).bit_length()
    correlation = np.fft.irfft(np.fft.rfft(late, length) * np.conj(np.fft.rfft(wave, length)), length)
    delay = int(np.argmax(correlation))
    delay -= length if delay > length // 2 else 0
    shifted = late[delay:] if delay >= 0 else np.concatenate([np.zeros(-delay, np.float32), late])
    return _fitted(shifted, wave)


def _coded(wave: Wave, rate: int, container: str, subtype: str, **how: Any) -> Wave:
    if not soundfile.check_format(container, subtype):
        raise MachineError(
            f"libsndfile {soundfile.__libsndfile_version__} of this machine writes no {subtype}; "
            "leave that condition out, or update soundfile"
        )
    wide = np.clip(to_rate(wave, rate, WIDEBAND), -1, 1)
    heard = in_time(_through(wide, WIDEBAND, container, subtype, **how), wide)
    return _fitted(to_rate(heard, WIDEBAND, rate), wave)


def _through(wave: Wave, rate: int, container: str, subtype: str, **how: Any) -> Wave:
    """Write and read a file in memory."""
    file = io.BytesIO()
    soundfile.write(file, wave, rate, format=container, subtype=subtype, **how)
    file.seek(0)
    read: Wave = soundfile.read(file, dtype="float32")[0]
    return read


def _fitted(wave: Wave, other: Wave) -> Wave:
    """Return a waveform cut, or filled with silence, to the length of another."""
    return np.pad(wave[: len(other)], (0, max(0, len(other) - len(wave)))).astype(np.float32, copy=False)
