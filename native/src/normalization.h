// The one formula of the forward pass, which the backward pass repeats bit for bit:
//     fma(x - center, scale, shift),  scale = weight * rstd,  shift = bias + (center - mean) * scale
// The center is the mean, or 0 where the mean is small: x - 0 is exact, one rounding less.
// Coefficients are worked out in double, so that what rounding the saved statistics left over (low)
// is not lost.
#pragma once
#include "../include/evenkeel.h"
#include "kernels.h"
#include "reduce.h"

namespace ek::EK_ISA {

// The coefficients of a column; a backward pass has all five.
enum { CENTER, SCALE, SHIFT, SLOPE, LEVEL };

// Statistics of one channel as they are saved.
template <class A>
struct Saved {
    A mean, rstd, mean_low, rstd_low;

    Saved(double mean_, double rstd_, bool keep_low)
        : mean((A)mean_), rstd((A)rstd_), mean_low(0), rstd_low(0) {
        bool finite = mean - mean == 0 && rstd - rstd == 0;
        if (keep_low && finite) mean_low = (A)(mean_ - mean), rstd_low = (A)(rstd_ - rstd);
    }
    Saved(const void *means, const void *rstds, const void *lows, int64_t c, int64_t channels)
        : mean(((const A *)means)[c]), rstd(((const A *)rstds)[c]), mean_low(0), rstd_low(0) {
        if (!lows) return;
        mean_low = ((const A *)lows)[c], rstd_low = ((const A *)lows)[channels + c];
    }
    double exact_mean() const { return (double)mean + mean_low; }
    double exact_rstd() const { return (double)rstd + rstd_low; }
    A center() const {
        A size = mean < 0 ? -mean : mean;
        return size * rstd < A(0.5) ? A(0) : mean;
    }
};

template <class A>
inline void set_coef(const Coefs<A> &coefs, const Grid &grid, int k, int64_t c, A value) {
    set_columns(grid, c, grid.channels, value, &coefs.at(k, 0));
}

// CENTER, SCALE and SHIFT of channel c.
template <class A>
inline void set_normalization(const Coefs<A> &coefs, const Grid &grid, int64_t c,
                              const Saved<A> &saved, const void *weight, const void *bias,
                              Dtype parameters) {
    A scale = (A)((weight ? get(weight, parameters, c) : 1) * saved.exact_rstd());
    double shift = (saved.center() - saved.exact_mean()) * scale;
    set_coef(coefs, grid, CENTER, c, saved.center());
    set_coef(coefs, grid, SCALE, c, scale);
    set_coef(coefs, grid, SHIFT, c, (A)(shift + (bias ? get(bias, parameters, c) : 0)));
}

// fn(c) for the channels of group g.
template <class Fn>
inline void for_channels(const Grid &grid, int64_t g, Fn fn) {
    for (int64_t c = grid.first_channel(g); c < grid.end_channel(g); ++c) fn(c);
}

// Workspace: sums, then coefficients.
struct Workspace {
    double *base;
    Workspace(void *p) : base((double *)p) {}

    Partials partials(const Grid &grid) const { return Partials(base, grid); }
    template <class A>
    Coefs<A> coefs(const Grid &grid) const {
        return {(A *)(base + Partials::doubles(grid)), grid.columns + PADDING};
    }
};

}  // namespace ek::EK_ISA
