// Mean and sum of squared deviations of every channel.
//
// Each tile is summed about a pivot, the mean of its own first values, and tiles are merged by
// Chan's rule in double. The pivot need not be close: since the first values belong to the tile,
// n values of which n1 made the pivot lose at most a factor n / n1 (16 in rows, 64 in planes) of
// float's precision, and none where the tile's values are alike.
#pragma once
#include "reduce.h"

namespace ek::EK_ISA {

constexpr int64_t PIVOT_ROWS = 16, PIVOT_VALUES = 128;

// u = v = x - pivot.
template <class T>
struct Deviations {
    using A = Compute<T>;
    static constexpr int COEFS = 1;
    const T *x;
    template <class Coef, class L>
    inline void terms(int64_t at, int64_t i, const Coef &coef, L lanes, Vec<A> &u,
                      Vec<A> &v) const {
        u = v = load(x + at, lanes) - coef.get(0, i);
    }
};

struct Moment {
    double count, mean, m2;
};

// Chan's rule for n parts at once.
template <class Item>
inline Moment merge(int64_t n, const Item &item) {
    if (n == 1) return item(0);
    Moment all{};
    for (int64_t k = 0; k < n; ++k) {
        Moment part = item(k);
        all.count += part.count;
        all.mean += part.count * part.mean;
    }
    all.mean /= all.count;
    for (int64_t k = 0; k < n; ++k) {
        Moment part = item(k);
        double off = part.mean - all.mean;
        all.m2 += part.m2 + part.count * off * off;
    }
    return all;
}

template <class T>
struct Moments {
    using A = Compute<T>;
    const Grid &grid;
    Deviations<T> deviations;
    Partials partials;

    // Leaves the mean and the sum of squared deviations of each channel in the tile's partials.
    void reduce(int64_t g, int64_t p) const {
        alignas(64) A pivots[MAX_GROUP + LANES<A>];
        int64_t columns = grid.rows ? grid.group_end(g) - g * grid.group : 1;
        for (int64_t j = 0; j < columns + LANES<A>; ++j) pivots[j] = 0;
        Coefs<A> coefs{pivots, 0};
        int64_t c = grid.first_channel(g), end = grid.end_channel(g);
        int64_t head = grid.rows ? PIVOT_ROWS : PIVOT_VALUES;
        Sums sums = partials.sums(p, c);
        reduce_tile(deviations, grid, coefs, g, p, head, sums);
        double share = 1 / (double)grid.values(p, head);
        for (int64_t k = 0; k < end - c; ++k) {
            A mean = (A)(sums.u[k] * share);
            if (mean - mean != 0) mean = 0;  // lets an infinite mean come out as one
            set_columns(grid, k, end - c, mean, pivots);
        }
        reduce_tile(deviations, grid, coefs, g, p, grid.piece, sums);
        center(grid, p, end - c, pivots, sums.u, sums.uv);
    }

    // From sums about a pivot to mean and sum of squared deviations.
    static void center(const Grid &grid, int64_t p, int64_t channels, const A *__restrict pivots,
                       double *__restrict u, double *__restrict uv) {
        double share = 1 / (double)grid.values(p, grid.piece);
        for (int64_t k = 0; k < channels; ++k) {
            double mean = u[k] * share, m2 = uv[k] - u[k] * mean;
            u[k] = pivots[k * grid.step()] + mean;
            uv[k] = m2 < 0 ? 0 : m2;
        }
    }

    Moment channel(int64_t c) const {
        return merge(grid.pieces, [&](int64_t p) {
            Sums sums = partials.sums(p, c);
            return Moment{(double)grid.values(p, grid.piece), *sums.u, *sums.uv};
        });
    }
};

}  // namespace ek::EK_ISA
