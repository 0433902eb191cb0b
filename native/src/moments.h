// Mean and sum of squared deviations of every channel.
//
// Each tile is summed about a pivot, the mean of its own first values, and tiles are merged by
// Chan's rule in double. The pivot need not be close: since the first values belong to the tile,
// n values of which n1 made the pivot lose at most a factor n / n1 (64) of
// float's precision, and none where the tile's values are alike.
#pragma once
#include "reduce.h"

namespace ek::EK_ISA {

constexpr int64_t PIVOT_VALUES = 128;  // planes
constexpr int64_t PIVOT_ROWS = 16;     // rows, at most

// Of a piece of rows: 32 values of each channel, but a 32nd of the piece at least. (Not fewer: with
// 8 rows of one value each the variance was 1.5e-6 off.)
inline int64_t pivot_rows(const Grid &grid) {
    int64_t values = grid.fold * grid.inner, enough = (32 + values - 1) / values;
    int64_t part = (Grid::least(grid.piece, grid.height) + 31) / 32;
    return Grid::least(enough > part ? enough : part, PIVOT_ROWS);
}

// u = v = x - pivot.
template <class T>
struct Deviations {
    using A = Compute<T>;
    static constexpr int COEFS = 1;
    const T *x;
    template <class Coef, class L>
    inline void terms(int64_t at, int64_t i, const Coef &coef, L lanes, Vec<A> &u,
                      Vec<A> &v) const {
        __builtin_prefetch(x + at + 8 * LANES<A>);  // out of cache: 3 % less time
        u = v = load(x + at, lanes) - coef.get(0, i);
    }
};

// Means and sums of squared deviations of a batch of channels.
struct BatchMoments {
    alignas(64) double mean[BATCH], m2[BATCH];
};

template <class T>
struct Moments {
    using A = Compute<T>;
    const Grid &grid;
    Deviations<T> deviations;
    Partials partials;

    // Leaves the mean and the sum of squared deviations of each channel in the tile's partials.
    EK_APART void reduce(int64_t g, int64_t p) const {
        alignas(64) A pivots[MAX_GROUP + LANES<A>], columns[MAX_GROUP + LANES<A>];
        int64_t c = grid.first_channel(g), channels = grid.end_channel(g) - c;
        bool apart = grid.step() == 1 && grid.fold == 1;  // a channel is a column
        A *spread = apart ? pivots : columns;
        int64_t n = grid.rows ? grid.group_end(g) - g * grid.group : 1;
        for (int64_t j = 0; j < n; ++j) spread[j] = 0;
        for (int64_t j = 0; j < LANES<A>; ++j) spread[n + j] = 0;
        Coefs<A> coefs{spread, 0, grid.rows};
        int64_t head = grid.rows ? pivot_rows(grid) : PIVOT_VALUES;
        Sums sums = partials.sums(p, c);
        reduce_tile(deviations, grid, coefs, g, p, head, sums);
        set_pivots(1 / (double)grid.values(p, head), channels, sums.u, pivots);
        if (!apart) set_columns(grid, Batch{0, channels}, channels, pivots, columns);
        reduce_tile(deviations, grid, coefs, g, p, grid.piece, sums);
        center(1 / (double)grid.values(p, grid.piece), channels, pivots, sums.u, sums.uv);
    }

    static void set_pivots(double share, int64_t channels, const double *__restrict u,
                           A *__restrict pivots) {
        for (int64_t k = 0; k < channels; ++k) {
            A mean = (A)(u[k] * share);
            pivots[k] = mean - mean == 0 ? mean : A(0);  // lets an infinite mean come out as one
        }
    }

    // From sums about a pivot to mean and sum of squared deviations.
    static void center(double share, int64_t channels, const A *__restrict pivots,
                       double *__restrict u, double *__restrict uv) {
        for (int64_t k = 0; k < channels; ++k) {
            double mean = u[k] * share, m2 = uv[k] - u[k] * mean;
            u[k] = pivots[k] + mean;
            uv[k] = m2 < 0 ? 0 : m2;
        }
    }

    // Chan's rule for all pieces at once.
    EK_APART void merge(Batch batch, BatchMoments &all) const {
        int64_t n = batch.size;
        for (int64_t k = 0; k < n; ++k) all.mean[k] = all.m2[k] = 0;
        double total = (double)grid.count();
        for (int64_t p = 0; p < grid.pieces; ++p) {
            double count = (double)grid.values(p, grid.piece);
            const double *__restrict mean = partials.sums(p, batch.first).u;
            for (int64_t k = 0; k < n; ++k) all.mean[k] += count * mean[k];
        }
        const double *only = partials.sums(0, batch.first).u;
        for (int64_t k = 0; k < n; ++k) all.mean[k] = grid.pieces == 1 ? only[k] : all.mean[k] / total;
        for (int64_t p = 0; p < grid.pieces; ++p) add_m2(batch, p, all);
    }

    void add_m2(Batch batch, int64_t p, BatchMoments &all) const {
        Sums sums = partials.sums(p, batch.first);
        const double *__restrict mean = sums.u, *__restrict m2 = sums.uv;
        double count = grid.pieces == 1 ? 0 : (double)grid.values(p, grid.piece);
        for (int64_t k = 0; k < batch.size; ++k) {
            double off = grid.pieces == 1 ? 0 : mean[k] - all.mean[k];
            all.m2[k] += m2[k] + count * off * off;
        }
    }
};

}  // namespace ek::EK_ISA
