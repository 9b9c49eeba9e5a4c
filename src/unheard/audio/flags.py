"""What is wrong with a recording, as short names that travel with it.

==================== ========================================================================================
``clipped``          at least ``CLIPPED_RUNS`` times three neighbouring samples at full scale
``dc_offset``        the mean is off zero by more than 1 % of full scale and 5 % of the RMS
``narrowband``       next to nothing above 4.4 kHz (a telephone): the mean spectrum there is 44 dB below that of
                     0.2-3.4 kHz, and 30 dB below that of 2.8-3.4 kHz
``several_channels`` the file has more than one channel, and their mean was taken
``one_of_channels``  the file has more than one channel, and the one that was asked for was taken
``rescaled``         floats reached 1.5 to 100 where full scale is 1; they were divided by the largest
``truncated``        the file ends before its header says so
``non_finite``       NaN or infinity among the samples; they were set to 0
``silent``           nothing above one step of 16 bits (−90 dB of full scale)
``constant``         the same value throughout, other than 0
``cancelled``        channels cancel each other: their mean has less than a tenth of the power that the mean of
                     unrelated channels has
``too_short``        shorter than 0.1 s
==================== ========================================================================================

The last five make a recording ``UNUSABLE``: it teaches nothing, and no label can be given to it.

Floats on another scale (whole numbers beyond ±2, or anything beyond ±100) are refused.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unheard.audio.resample import RATE
from unheard.errors import AudioError

UNUSABLE = ("non_finite", "cancelled", "silent", "constant", "too_short")
SHORTEST = 0.1  # seconds
STEP = 2.0**-15  # one step of 16 bits
CLIPPED_RUNS = 2
FULL_SCALE = 1.0 - 2 * STEP
#: Largest values that samples of few bits reach, where that is less than ``FULL_SCALE``.
FULL_SCALE_OF = {"PCM_S8": 127 / 128, "PCM_U8": 127 / 128, "ALAW": 32256 / 32768, "ULAW": 32124 / 32768}
CANCELLED = 0.1  # of the power that the mean of unrelated channels has
LOUDEST, WHOLE, LARGEST = 1.5, 2.0, 100.0  # of floats: taken as they are; as whole numbers; at all
INTEGERS = (2**15, 2**23, 2**31)  # full scale of 16, 24 and 32 bits
NARROW, NARROW_STEP = 10**-4.4, 10**-3.0

Wave = NDArray[np.float32]


class Meter:
    """Measures a recording block by block as it is decoded, before anything is done to it.

    Parameters
    ----------
    subtype : libsndfile's name for the form of the samples, which says what full scale is.
    """

    def __init__(self, subtype: str = "FLOAT") -> None:
        self._full_scale = FULL_SCALE_OF.get(subtype, FULL_SCALE)
        self._floats = subtype in ("FLOAT", "DOUBLE")
        self._runs = 0
        self._bad = 0
        self._low = np.inf
        self._high = -np.inf
        self._peak = 0.0
        self._whole = True
        self._count = 0
        self._channels: NDArray[np.float64] = np.zeros((2, 0))  # sums and sums of squares
        self._mono: NDArray[np.float64] = np.zeros(2)

    def clean(self, block: Wave) -> Wave:
        """Measure the channels in use, (n, channels), and return them with 0 for what is not finite."""
        if len(block) == 0:
            return block
        # Far beyond full scale is as good as infinite: its square is.
        bad = ~(np.abs(block) < 1e9)
        if bad.any():
            self._bad += int(bad.sum())
            block = np.where(bad, np.float32(0), block)
        peak = max(float(block.max()), -float(block.min()))
        self._peak = max(self._peak, peak)
        if self._floats and self._whole:
            self._whole = not (block % 1).any()
        if block.shape[1] > 1:
            self._count += len(block)
            self._channels = self._channels + _sums(block) if self._channels.size else _sums(block)
        if peak >= self._full_scale:
            # Floats may pass 1; where they do, only their own peak can be a ceiling.
            self._runs += _runs(block, max(1.0, peak) * FULL_SCALE if self._floats else self._full_scale)
        return block

    def mono(self, block: Wave) -> None:
        """Measure the mono signal, (n,)."""
        if len(block):
            self._low = min(self._low, float(block.min()))
            self._high = max(self._high, float(block.max()))
            if self._count:
                self._mono += _sums(block[:, None])[:, 0]

    @property
    def scale(self) -> float:
        """What the samples are divided by: the largest of floats that go well beyond full scale, else 1."""
        return self._peak if self._floats and LOUDEST < self._peak <= LARGEST else 1.0

    def check_scale(self) -> None:
        """Refuse floats of which not even the scale is known.

        Raises
        ------
        AudioError
            They are whole numbers beyond ±2, or reach beyond ±100.
        """
        if self._floats and (self._peak > LARGEST or (self._whole and self._peak > WHOLE)):
            full = next((each for each in INTEGERS if self._peak <= each), INTEGERS[-1])
            raise AudioError(
                f"its samples reach ±{self._peak:g}, and full scale of floats is ±1: divide by {full} "
                "(they look like integers that were never scaled)"
            )

    def flags(self, wave: Wave, seconds: float, rate: int = RATE) -> tuple[str, ...]:
        """Return the flags of all blocks together.

        Parameters
        ----------
        wave : (n,) the whole at ``rate`` Hz.
        seconds : length in the file.
        """
        silent = max(abs(self._low), abs(self._high)) <= STEP if np.isfinite(self._low) else True
        constant = not silent and self._high - self._low <= STEP
        found = {
            "clipped": self._runs >= CLIPPED_RUNS,
            "dc_offset": not constant and _off_zero(wave),
            "narrowband": not silent and not constant and _narrow(wave, rate),
            "rescaled": self.scale != 1.0,
            "non_finite": self._bad > 0,
            "cancelled": self._cancelled(),
            "silent": silent,
            "constant": constant,
            "too_short": seconds < SHORTEST,
        }
        return tuple(name for name, true in found.items() if true)

    def _cancelled(self) -> bool:
        """Return whether the mean of the channels has next to none of their power; offsets have no part in it."""
        if not self._count:
            return False
        of_channels, of_mean = (
            squares / self._count - (total / self._count) ** 2
            for total, squares in (self._channels, self._mono)
        )
        unrelated = of_channels.mean() / len(of_channels)
        return bool(unrelated > STEP**2 and of_mean < CANCELLED * unrelated)


def _sums(block: Wave) -> NDArray[np.float64]:
    """Return sums and sums of squares of each channel, (2, channels)."""
    exact = block.astype(np.float64)
    return np.stack([exact.sum(axis=0), np.square(exact).sum(axis=0)])


def _runs(block: Wave, level: float) -> int:
    """Count runs of three samples and more beyond a level on one side, over all channels."""
    count = 0
    for side in (block >= level, block <= -level):
        three = side[2:] & side[1:-1] & side[:-2]
        count += int(three[:1].sum() + (three[1:] & ~three[:-1]).sum())
    return count


def _off_zero(wave: Wave) -> bool:
    if len(wave) == 0:
        return False
    mean = abs(float(wave.mean(dtype=np.float64)))
    return mean > 0.01 and mean > 0.05 * float(np.sqrt(np.mean(np.square(wave, dtype=np.float64))))


def _narrow(wave: Wave, rate: int) -> bool:
    length = 512
    count = len(wave) // length
    if count < 2 or rate < RATE:  # below 16 kHz there is nothing to look for up there
        return False
    power = np.zeros(length // 2 + 1)
    window = np.hanning(length).astype(np.float32)
    for first in range(0, count, 4096):
        frames = wave[first * length : min(first + 4096, count) * length].reshape(-1, length)
        spectrum = np.fft.rfft(frames * window)
        power += (spectrum.real**2 + spectrum.imag**2).sum(axis=0)
    hertz = np.arange(len(power)) * rate / length
    above = power[(hertz > 4400) & (hertz < 7600)].mean()
    speech = power[(hertz > 200) & (hertz < 3400)].mean()
    edge = power[(hertz > 2800) & (hertz < 3400)].mean()
    return bool(above < NARROW * speech and above < NARROW_STEP * edge)
