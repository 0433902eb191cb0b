// The one formula of the forward pass, which the backward pass repeats bit for bit:
//     fma(x - center, scale, shift),  scale = weight * rstd,  shift = bias + (center - mean) * scale
// The center is the mean, or 0 where the mean is small: x - 0 is exact, one rounding less.
// Coefficients are worked out in double, so that what rounding the saved statistics left over (low)
// is not lost.
#pragma once
#include "../include/evenkeel.h"
#include "apply.h"
#include "reduce.h"

namespace ek::EK_ISA {

// The coefficients of a column; a backward pass has all five.
enum { CENTER, SCALE, SHIFT, SLOPE, LEVEL };

// Statistics of a batch of channels: as they are saved, and what they stand for.
template <class A>
struct Statistics {
    alignas(64) A mean[BATCH], rstd[BATCH], mean_low[BATCH], rstd_low[BATCH], center[BATCH];
    alignas(64) double exact_mean[BATCH], exact_rstd[BATCH];
    alignas(64) A scale[BATCH], shift[BATCH];

    // From statistics in double, of which `low` may be kept.
    EK_APART void round(Batch batch, const double *__restrict means,
                        const double *__restrict rstds, bool low) {
        for (int64_t k = 0; k < batch.size; ++k) {
            mean[k] = (A)means[k], rstd[k] = (A)rstds[k];
            bool kept = low & (mean[k] - mean[k] == 0) & (rstd[k] - rstd[k] == 0);
            mean_low[k] = kept ? (A)(means[k] - mean[k]) : A(0);
            rstd_low[k] = kept ? (A)(rstds[k] - rstd[k]) : A(0);
        }
        derive(batch);
    }
    EK_APART void read(Batch batch, int64_t channels, const void *means, const void *rstds,
                       const void *lows) {
        auto low = (const A *)lows;
        for (int64_t k = 0; k < batch.size; ++k) {
            mean[k] = ((const A *)means)[batch.first + k];
            rstd[k] = ((const A *)rstds)[batch.first + k];
            mean_low[k] = low ? low[batch.first + k] : A(0);
            rstd_low[k] = low ? low[channels + batch.first + k] : A(0);
        }
        derive(batch);
    }
    void derive(Batch batch) {
        for (int64_t k = 0; k < batch.size; ++k) {
            exact_mean[k] = (double)mean[k] + mean_low[k];
            exact_rstd[k] = (double)rstd[k] + rstd_low[k];
            A size = mean[k] < 0 ? -mean[k] : mean[k];
            center[k] = size * rstd[k] < A(0.5) ? A(0) : mean[k];
        }
    }
    // Scale and shift.
    EK_APART void weigh(Batch batch, const void *weight, const void *bias, Dtype parameters) {
        alignas(64) double w[BATCH], b[BATCH];
        get_batch(weight, parameters, batch, 1, w);
        get_batch(bias, parameters, batch, 0, b);
        for (int64_t k = 0; k < batch.size; ++k) {
            scale[k] = (A)(w[k] * exact_rstd[k]);
            shift[k] = (A)((center[k] - exact_mean[k]) * scale[k] + b[k]);
        }
    }
};

template <class A>
inline void copy_batch(void *to, Batch batch, const A *__restrict values) {
    for (int64_t k = 0; k < batch.size; ++k) ((A *)to)[batch.first + k] = values[k];
}

// CENTER, SCALE and SHIFT of a batch whose statistics were weighed.
template <class A>
inline void set_normalization(const Coefs<A> &coefs, const Grid &grid, Batch batch,
                              const Statistics<A> &s) {
    set_batch(coefs, grid, CENTER, batch, s.center);
    set_batch(coefs, grid, SCALE, batch, s.scale);
    set_batch(coefs, grid, SHIFT, batch, s.shift);
}

// Workspace: sums, then coefficients: those to apply, five, and those to reduce by, three, which are
// spread over the columns of rows. Where the former are spread too, they are the same numbers.
// (There is room for both: 5 channels and 3 columns are less than 5 columns where runs are long.)
struct Workspace {
    double *base;
    Workspace(void *p) : base((double *)p) {}

    Partials partials(const Grid &grid) const { return Partials(base, grid); }
    template <class A>
    Coefs<A> spread(const Grid &grid) const {
        return {(A *)(base + Partials::doubles(grid)), grid.columns + PADDING, grid.rows};
    }
    template <class A>
    Coefs<A> coefs(const Grid &grid) const {
        Coefs<A> columns = spread<A>(grid);
        if (!grid.rows || !applied_by_channel(grid)) return columns;
        return {&columns.at(SHIFT + 1, 0), grid.channels, false};
    }
};

}  // namespace ek::EK_ISA
