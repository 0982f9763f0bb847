"""The processor itself as a contestant: sgemm, FMA in registers, memory triad. See ``limit.py``.

Each class takes (variant, threads, size) as every contestant does, and ``run`` is what is timed.
"""
# mypy: disable-error-code="no-untyped-def"
# compiled: Numba reads no hints

from __future__ import annotations

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import njit, prange, types
from numba.core import cgutils
from numba.extending import intrinsic

_features = llvm.get_host_cpu_features()
LANES = 16 if _features.get("avx512f") else 8 if _features.get("avx2") else 4
CHAINS = 12  # independent sums: more than a multiply-add's latency times its units


class Sgemm:
    """C = A B, (size, size) float32 each, by NumPy's BLAS: the limit of a training step."""

    def __init__(self, variant: str, threads: int, size: int) -> None:
        rng = np.random.default_rng(0)
        self.a, self.b = (rng.standard_normal((size, size), np.float32) for _ in range(2))
        self.c = np.empty_like(self.a)
        self.work = 2 * size**3

    def run(self) -> float:
        np.matmul(self.a, self.b, out=self.c)
        return float(self.c[0, 0])


class Fma:
    """Vector multiply-adds that touch no memory, ``size`` for each chain and thread."""

    def __init__(self, variant: str, threads: int, size: int) -> None:
        self.size, self.sums = size, np.empty(threads, np.float32)
        self.work = 2 * LANES * CHAINS * size * threads

    def run(self) -> float:
        _multiply_add(self.sums, self.size, np.float32(0.999))
        return float(self.sums[0])


class Triad:
    """a = b + 3 c over three arrays of ``size`` megabytes each: bytes read and written."""

    def __init__(self, variant: str, threads: int, size: int) -> None:
        self.a, self.b, self.c = (np.ones(size * 250_000, np.float32) for _ in range(3))
        self.work = 3 * self.a.nbytes

    def run(self) -> float:
        _triad(self.a, self.b, self.c, np.float32(3))
        return float(self.a[0])


@intrinsic
def _chains(typing, count, factor):
    """Do CHAINS times sum = sum * factor + factor, ``count`` times over; one of the lanes."""

    def codegen(context, builder, signature, args):
        vector = ir.VectorType(ir.FloatType(), LANES)
        fma = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fma.v{LANES}f32"
        )
        same = ir.Constant(vector, ir.Undefined)
        for lane in range(LANES):
            same = builder.insert_element(same, args[1], ir.IntType(32)(lane))
        sums = [cgutils.alloca_once(builder, vector) for _ in range(CHAINS)]
        for number, total in enumerate(sums):  # all different, or the compiler keeps one
            builder.store(ir.Constant(vector, [float(number)] * LANES), total)
        with cgutils.for_range(builder, args[0]):
            for total in sums:
                builder.store(builder.call(fma, [builder.load(total), same, same]), total)
        result = builder.load(sums[0])
        for total in sums[1:]:
            result = builder.fadd(result, builder.load(total))
        return builder.extract_element(result, ir.IntType(32)(0))

    return types.float32(types.intp, types.float32), codegen


@njit(parallel=True)
def _multiply_add(sums, count, factor):
    for thread in prange(len(sums)):
        sums[thread] = _chains(count, factor)


@njit(parallel=True)
def _triad(a, b, c, factor):
    for i in prange(len(a)):
        a[i] = b[i] + factor * c[i]
