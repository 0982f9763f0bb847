"""Numbers between integers, without floats: how TFLite's int8 kernels multiply by a scale.

A scale such as 0.0037 becomes an int32 multiplier and a shift: multiplier / 2^31 * 2^shift. To be
bit-exact, roundings must come in the same order and send ties the same way, so each rounding here
is a function that says which way its ties go. Sources: TFLite's internal/quantization_util.cc and
internal/common.cc, and fixedpoint/fixedpoint.h of gemmlowp, which they build on.

Q m.n is a number with m bits before the point and n after it, stored as an integer: Q0.31 counts in
steps of 2^-31. Arguments and results are int32 values held in int64, so that nothing overflows
unseen; where C's int32 does wrap around, ``wrap`` says so.
"""

from __future__ import annotations

import math

from minicnn.kernels.jit import jit

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1
# gemmlowp's constants, Q0.31 and, the last two, Q2.29
EXP_OF_MINUS_POWERS = tuple(round(math.exp(-(2.0**k)) * 2**31) for k in range(-2, 5))
EXP_OF_MINUS_EIGHTH = round(math.exp(-1 / 8) * 2**31)
THIRD = round(2**31 / 3)
NEWTON_START, NEWTON_SLOPE = round(48 / 17 * 2**29), round(-32 / 17 * 2**29)


def quantize_multiplier(scale: float) -> tuple[int, int]:
    """(multiplier, shift) with scale = multiplier / 2^31 * 2^shift, to 31 bits.

    multiplier is 0 or in [2^30, 2^31), shift in [-31, ...): a scale below 2^-32 becomes 0.
    QuantizeMultiplier of quantization_util.cc.
    """
    fraction, shift = math.frexp(scale)  # fraction in [0.5, 1), or 0
    multiplier = math.floor(fraction * 2**31 + 0.5)
    if multiplier == 2**31:  # it was rounded up to 1
        multiplier, shift = 2**30, shift + 1
    return (0, 0) if shift < -31 else (multiplier, shift)


@jit
def round_half_away(x):
    """The integer nearest to a float; of two, the one further from zero. C's round()."""
    size = math.floor(abs(x))
    if abs(x) - size >= 0.5:  # not floor(x + 0.5): for the last float below 0.5 that is 1
        size += 1
    return int(size) if x >= 0 else -int(size)


@jit
def wrap(x):
    """x modulo 2^32, in [-2^31, 2^31): what a C int32 keeps of it."""
    return ((x + 0x80000000) & 0xFFFFFFFF) - 0x80000000


@jit
def saturate(x, low, high):
    """The number in [low, high] nearest to x."""
    return max(low, min(high, x))


@jit
def high_mul(a, b):
    """a * b / 2^31, the product of two Q0.31; ties go up. SaturatingRoundingDoublingHighMul."""
    if a == INT32_MIN and b == INT32_MIN:
        return INT32_MAX
    return (a * b + (1 << 30)) >> 31


@jit
def divide_by_power_of_two(x, exponent):
    """x / 2^exponent; ties go away from zero. gemmlowp's RoundingDivideByPOT."""
    half = (1 << exponent) >> 1
    return (x + half) >> exponent if x >= 0 else -((half - x) >> exponent)


@jit
def multiply(x, multiplier, shift):
    """x times the scale that quantize_multiplier took apart.

    Rounded twice, first to an integer of up to 32 bits, then to the result: where the first
    rounding makes a tie, the result may be 1 off the nearest integer.
    MultiplyByQuantizedMultiplier of common.cc.
    """
    left, right = max(shift, 0), max(-shift, 0)
    return divide_by_power_of_two(high_mul(wrap(x << left), multiplier), right)


@jit
def shift_left(x, places):
    """x * 2^places, held within int32."""
    return saturate(x << places, INT32_MIN, INT32_MAX)


@jit
def leading_zeros(x):
    """How many of the 32 bits come before the first 1; x in [1, 2^32)."""
    count = 0
    while (x << count) < (1 << 31):
        count += 1
    return count


@jit
def exp_of_negative(x):
    """exp(x) as Q0.31 for x <= 0 as Q5.26. gemmlowp's exp_on_negative_values.

    x = -quarter + rest - k / 4: a polynomial gives exp(rest - quarter), then each binary digit of k
    multiplies by its own exp(-1/4), exp(-1/2), exp(-1), ... exp(-16).
    """
    if x == 0:
        return INT32_MAX
    quarter = 1 << 24
    rest = (x & (quarter - 1)) - quarter  # in [-1/4, 0)
    result = _exp_of_quarter(rest << 5)
    digits = rest - x
    for place in range(len(EXP_OF_MINUS_POWERS)):
        if digits & (quarter << place):
            result = high_mul(result, EXP_OF_MINUS_POWERS[place])
    return result


@jit
def _exp_of_quarter(x):
    """exp(x) as Q0.31 for x in [-1/4, 0) as Q0.31: four terms of Taylor's series around -1/8."""
    x = x + (1 << 28)
    x2 = high_mul(x, x)
    x3, x4 = high_mul(x2, x), high_mul(x2, x2)
    # x^2 / 2 + x^3 / 6 + x^4 / 24
    sixth = high_mul(divide_by_power_of_two(x4, 2) + x3, THIRD)
    terms = divide_by_power_of_two(sixth + x2, 1)
    return EXP_OF_MINUS_EIGHTH + high_mul(EXP_OF_MINUS_EIGHTH, x + terms)


@jit
def reciprocal(x):
    """1 / (1 + x) as Q0.31 for x in [0, 1) as Q0.31. one_over_one_plus_x_for_x_in_0_1.

    Newton's method for 1 / d, d = (1 + x) / 2, from the usual 48/17 - 32/17 d; in Q2.29.
    """
    d = (x + (1 << 31)) >> 1
    y = NEWTON_START + high_mul(d, NEWTON_SLOPE)
    for _ in range(3):
        y += shift_left(high_mul(y, (1 << 29) - high_mul(d, y)), 2)
    return shift_left(y, 1)
