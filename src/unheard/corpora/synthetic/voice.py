"""A source-filter synthesiser: glottal pulses and noise through moving formants, in numpy.

The source is the flow derivative of Klatt and Klatt (1990), d/dt (x² − x³) over the open phase, with jitter,
shimmer and aspiration noise in the open phase; its closure is smoothed by a polynomial step (PolyBLEP) against
aliasing. The tract is a cascade of eight resonators (Klatt 1980) with a nasal pole and zero; it is applied as one
response every 10 ms by overlap-add. Rate 16 kHz, waves are float32 around ±0.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unheard.corpora.synthetic.phonemes import Sound

RATE = 16_000
HOP = 80  # samples between the frames of all tracks: 5 ms
_STEP = 2 * HOP  # samples between responses of the tract: 10 ms
_FFT = 800  # 20 ms of source and 30 ms of ringing
_BANDWIDTHS = (70.0, 90.0, 130.0, 200.0, 250.0, 300.0, 350.0, 400.0)
_HIGHER = (3450.0, 4450.0, 5450.0, 6450.0, 7450.0)  # formants 4 to 8, which do not move
_SILENCE = 0.12  # seconds before and after

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Voice:
    """What a person's voice is, whatever the feeling."""

    pitch: float = 150.0  # Hz
    tract: tuple[float, ...] = (1.08,) * 8  # factor on each formant
    openness: float = 0.6  # open quotient
    brightness: float = 0.0  # dB at 4 kHz
    breath: float = -22.0  # aspiration, dB below the pulses
    jitter: float = 0.008  # standard deviation of a period, relative
    shimmer: float = 0.04


@dataclass(frozen=True)
class Manner:
    """How something is said, as offsets from a flat reading; zeros are that reading."""

    pitch: float = 0.0  # semitones
    span: float = 0.0  # octaves on the range of intonation
    rise: float = 0.0  # semitones at the end of the sentence
    rate: float = 0.0  # natural logarithm of the speed
    energy: float = 0.0  # dB
    brightness: float = 0.0  # dB at 4 kHz
    breath: float = 0.0  # dB
    roughness: float = 0.0  # octaves on jitter and shimmer
    opening: float = 0.0  # natural logarithm on the first formant
    tremor: float = 0.0  # semitones of a 6 Hz modulation


def speak(
    sounds: Sequence[Sound], voice: Voice, manner: Manner, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Say a sentence.

    Parameters
    ----------
    sounds
        The targets in order (see phonemes.py).
    voice, manner
        Who speaks, and how.
    rng
        Small variations of timing, pitch and noise.

    Returns
    -------
    (n,) float32 at :data:`RATE`, with 0.12 s of silence on both sides.
    """
    which = _timing(sounds, manner, rng)
    targets = np.array([_targets(sound) for sound in sounds])[which]
    tracks = _smooth(targets, frames=9)
    quick = _smooth(targets, frames=3)
    voicing, aspiration, friction = quick[:, 3], quick[:, 4], quick[:, 5]
    loudness = _loudness(len(which), tracks[:, 9], manner)

    pitch = voice.pitch * 2.0 ** (_intonation(tracks[:, 9], manner, rng) / 12.0)
    pulses, open_phase = _source(pitch, voice, manner, rng)
    noise = rng.standard_normal(len(pulses)).astype(np.float32)
    breath = 10.0 ** ((voice.breath + manner.breath) / 20.0)
    excited = (pulses + breath * (0.3 + 0.7 * open_phase) * noise) * _samples(voicing)
    excited += 0.3 * noise * _samples(aspiration)

    gain = _samples(loudness)
    slow = slice(None, None, _STEP // HOP)
    voiced = _pieces(excited * gain) * _tract(tracks[slow, :3], tracks[slow, 8], voice, manner)
    unvoiced = _pieces(noise * _samples(friction) * gain) * _friction(targets[slow, 6], targets[slow, 7])
    return _joined(voiced + unvoiced)


def _timing(sounds: Sequence[Sound], manner: Manner, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return the index of the sound of every frame; the first and last are held through the silence."""
    seconds = np.array([sound.seconds for sound in sounds])
    seconds = seconds * np.exp(-manner.rate + 0.06 * rng.standard_normal(len(sounds)))
    ends = _SILENCE + np.cumsum(seconds)
    times = np.arange(2 * int((ends[-1] + _SILENCE) * RATE / _STEP)) * HOP / RATE
    return np.minimum(np.searchsorted(ends, times, side="right"), len(sounds) - 1)


def _targets(sound: Sound) -> tuple[float, ...]:
    friction = (sound.friction, sound.friction_centre, sound.friction_width)
    return (*sound.formants, sound.voicing, sound.aspiration, *friction, sound.nasal, sound.accent)


def _smooth(tracks: Array, frames: int) -> Array:
    """Move between targets: average over a raised-cosine window of an odd number of frames."""
    window = np.hanning(frames + 2)[1:-1]
    padded = np.pad(tracks, ((frames // 2, frames // 2), (0, 0)), mode="edge")
    pieces = np.lib.stride_tricks.sliding_window_view(padded, frames, axis=0)
    return np.asarray(pieces @ (window / window.sum()))


def _loudness(frames: int, accent: Array, manner: Manner) -> Array:
    """Return amplitude by frame: silence at both ends, stronger on accents, falling slowly."""
    quiet = int(_SILENCE * RATE / HOP)
    inside = np.zeros(frames)
    inside[quiet : frames - quiet] = 1.0
    inside = _smooth(inside[:, None], 9)[:, 0]
    decibels = manner.energy + 4.0 * accent - 4.0 * np.linspace(0.0, 1.0, frames)
    return inside * 10.0 ** (decibels / 20.0)


def _intonation(accent: Array, manner: Manner, rng: np.random.Generator) -> Array:
    """Return the semitones from the voice's pitch by frame: accents on a falling line, final movement, tremor."""
    place = np.linspace(0.0, 1.0, len(accent))
    line = 3.0 * _smooth(accent[:, None], 21)[:, 0] - 3.0 * place
    final = np.clip((place - 0.75) / 0.2, 0.0, 1.0) ** 2
    seconds = np.arange(len(accent)) * HOP / RATE
    tremor = manner.tremor * np.sin(2 * np.pi * (6.0 * seconds + rng.random()))
    wandering = np.interp(place, np.linspace(0, 1, 6), 0.5 * rng.standard_normal(6))
    moving = 2.0**manner.span * (line + wandering) + (manner.rise - 1.0) * final + tremor
    return np.asarray(manner.pitch + moving)


def _source(
    pitch: Array, voice: Voice, manner: Manner, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the glottal flow derivative by sample, and how open the glottis is (0 to 1)."""
    rough = 2.0**manner.roughness
    step = np.clip(_samples(pitch).astype(np.float64), 50.0, 700.0) / RATE
    cycle = np.cumsum(step).astype(np.intp)
    step *= np.clip(1.0 + voice.jitter * rough * rng.standard_normal(cycle[-1] + 1), 0.8, 1.2)[cycle]
    phase = np.cumsum(step)
    cycle = phase.astype(np.intp)
    phase -= cycle
    width = voice.openness
    x = np.clip((phase - (1.0 - width)) / width, 0.0, 1.0)
    pulses = 2.0 * x - 3.0 * x * x
    before, after = phase > 1.0 - step, phase < step  # one sample on either side of the closure
    t = np.where(before, (phase - 1.0) / step, phase / step)
    pulses = pulses + 0.5 * np.where(before, (t + 1.0) ** 2, np.where(after, -((1.0 - t) ** 2), 0.0))
    strength = np.clip(1.0 + voice.shimmer * rough * rng.standard_normal(cycle[-1] + 1), 0.3, 1.7)[cycle]
    return (pulses * strength).astype(np.float32), np.sin(np.pi * x).astype(np.float32)


def _tract(formants: Array, nasal: Array, voice: Voice, manner: Manner) -> NDArray[np.complex64]:
    """Return the response of source tilt, formants and nose: (steps, bins)."""
    frames = len(formants)
    moving = formants * np.exp(manner.opening * np.array([1.0, 0.25, 0.0]))
    centres = np.concatenate([moving, np.broadcast_to(_HIGHER, (frames, 5))], axis=1) * np.array(voice.tract)
    poles = np.ones((frames, 1))
    level = np.ones(frames)
    for k, width in enumerate(_BANDWIDTHS):
        # A nasal damps the formants above the first; what lies above the band is left out.
        section = _resonator(centres[:, k], width * (1.0 + (1.5 if k else 0.5) * nasal))
        section[centres[:, k] > 0.49 * RATE] = (1.0, 0.0, 0.0)
        poles = _times(poles, section)
        level *= section.sum(axis=1)
    pole, zero = (_resonator(np.full(frames, 270.0), 100.0), _resonator(270.0 + 500.0 * nasal, 100.0))
    poles = _times(poles, pole)
    level *= pole.sum(axis=1) / zero.sum(axis=1)
    response = np.fft.rfft(zero * level[:, None], _FFT) / np.fft.rfft(poles, _FFT)
    return (response * _tilt(voice.brightness + manner.brightness)).astype(np.complex64)


def _resonator(centre: Array, width: Array | float) -> Array:
    """Return the second-order section of a resonance in Hz, as coefficients of 1, z⁻¹, z⁻²: (frames, 3)."""
    radius = np.exp(-np.pi * np.broadcast_to(width, centre.shape) / RATE)
    return np.stack(
        [np.ones_like(centre), -2.0 * radius * np.cos(2 * np.pi * centre / RATE), radius**2], axis=1
    )


def _times(a: Array, b: Array) -> Array:
    """Return the products of polynomials row by row; ``b`` has three coefficients."""
    product = np.zeros((len(a), a.shape[1] + 2))
    for k in range(3):
        product[:, k : k + a.shape[1]] += a * b[:, k : k + 1]
    return product


def _tilt(brightness: float) -> NDArray[np.complex128]:
    """Return one pole that takes 10 dB less ``brightness`` at 4 kHz, where |H|² = 1 − 2a/(1 + a²)."""
    c = 1.0 - 10.0 ** (-max(10.0 - brightness, 0.5) / 10.0)
    a = (1.0 - np.sqrt(1.0 - c * c)) / c
    return np.asarray((1.0 - a) / np.fft.rfft([1.0, -a], _FFT))


def _friction(centre: Array, width: Array) -> NDArray[np.complex64]:
    """Return the band of turbulence noise, 1 at its centre: (steps, bins)."""
    frequency = np.fft.rfftfreq(_FFT, 1.0 / RATE)
    shape = 1.0 / (1.0 + ((frequency - centre[:, None]) / (0.5 * width[:, None])) ** 2)
    return shape.astype(np.complex64)


def _pieces(wave: NDArray[np.float32]) -> NDArray[np.complex64]:
    """Return the spectra of overlapping windows of 20 ms whose sum is the wave: (steps, bins)."""
    window = np.hanning(2 * _STEP + 1)[:-1].astype(np.float32)
    padded = np.pad(wave, (0, _STEP))
    pieces = np.lib.stride_tricks.sliding_window_view(padded, 2 * _STEP)[::_STEP]
    return np.fft.rfft(pieces * window, _FFT).astype(np.complex64)


def _joined(spectra: NDArray[np.complex64]) -> NDArray[np.float32]:
    """Return the waveform from the spectra of :func:`_pieces`, with the ringing of each in the next ones."""
    pieces = np.fft.irfft(spectra, _FFT).reshape(len(spectra), -1, _STEP)
    out = np.zeros((len(spectra) + pieces.shape[1], _STEP), np.float32)
    for k in range(pieces.shape[1]):
        out[k : k + len(spectra)] += pieces[:, k]
    return 0.05 * out[: len(spectra)].reshape(-1)


def _samples(track: Array) -> NDArray[np.float32]:
    """Interpolate a track of frames to samples."""
    places = np.arange(len(track) * HOP) / HOP
    return np.interp(places, np.arange(len(track)), track).astype(np.float32)
