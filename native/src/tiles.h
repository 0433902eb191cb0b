// From a grid of tiles to vectors: coefficients of columns, jobs, threads.
//
// A job is what an operation does to a tile:
//     prepare(b)      coefficients of a batch of channels, before their sums, if PREPARES
//     reduce(g, p)    sums over tile (group g, piece p), kept under (p, g)
//     finish(b)       the sums of all pieces become results and coefficients of a batch of channels
//     apply(g, p)     write the tile's outputs
#pragma once
#include <omp.h>

#include "kernels.h"
#include "storage.h"

namespace ek::EK_ISA {

// Whether outputs are written with the coefficients of channels, so that they need not be spread over
// the columns. Runs must be at least a vector long: then none touches more than two channels. Short
// ones are as fast by columns where many rows share the spreading.
inline bool applied_by_channel(const Grid &grid) {
    int64_t shortest = grid.outer < 32 ? PADDING : 2 * PADDING;
    return !grid.rows || grid.inner >= shortest;
}
static_assert(PADDING >= EK_VECTOR_BYTES / sizeof(float), "see applied_by_channel");

// Coefficients: the k-th of channel j, or of column j where they are spread. Rows load them a vector
// at a time, so each array is longer than its columns by one vector.
template <class A>
struct Coefs {
    A *base;
    int64_t stride;
    bool spread;
    A &at(int k, int64_t j) const { return base[k * stride + j]; }
};

template <class A>
inline void fill(A *p, int64_t n, A value) {
    constexpr int64_t L = LANES<A>;
    if (n < L)
        for (int64_t i = 0; i < n; ++i) p[i] = value;
    for (int64_t i = 0; i + L <= n; i += L) store(p + i, all(value), Full{});
    if (n > L) store(p + n - L, all(value), Full{});  // over the last whole one
}

// Gives all columns of a batch, of `channels` side by side, their values.
template <class A>
inline void set_columns(const Grid &grid, Batch batch, int64_t channels, const A *__restrict values,
                        A *__restrict columns) {
    int64_t inner = grid.step();
    columns += batch.first * inner;
    for (int64_t f = 0; f < grid.fold; ++f, columns += channels * inner)
        if (inner == 1)
            for (int64_t j = 0; j < batch.size; ++j) columns[j] = values[j];
        else
            for (int64_t j = 0; j < batch.size; ++j) fill(columns + j * inner, inner, values[j]);
}

// Gives a batch of all channels its values.
template <class A>
EK_APART void set_batch(const Coefs<A> &coefs, const Grid &grid, int k, Batch batch,
                        const A *__restrict values) {
    A *__restrict to = &coefs.at(k, 0);
    if (coefs.spread) return set_columns(grid, batch, grid.channels, values, to);
    for (int64_t j = 0; j < batch.size; ++j) to[batch.first + j] = values[j];
}

// The same coefficients for whole vectors.
template <class A, int K>
struct Constant {
    Vec<A> value[K];
    Vec<A> get(int k, int64_t) const { return value[k]; }
};

// Those of channel c (planes: of group c).
template <int K, class A>
inline Constant<A, K> constant(const Coefs<A> &coefs, int64_t c) {
    Constant<A, K> coef;
    for (int k = 0; k < K; ++k) coef.value[k] = all(coefs.at(k, c));
    return coef;
}

// Coefficients that change along the run (rows): those of column j at its start.
template <class A, int K>
struct Varying {
    const A *first;
    int64_t stride;
    Varying(const Coefs<A> &coefs, int64_t j) : first(&coefs.at(0, j)), stride(coefs.stride) {}
    Vec<A> get(int k, int64_t i) const { return load(first + k * stride + i, Full{}); }
    Constant<A, K> vector(int64_t i) const {
        Constant<A, K> coef;
        for (int k = 0; k < K; ++k) coef.value[k] = get(k, i);
        return coef;
    }
};

// fn(at, n) for every run of memory in values [begin, end) of channel c.
template <class Fn>
inline void each_run(const Grid &grid, int64_t c, int64_t begin, int64_t end, Fn fn) {
    int64_t outer = begin / grid.inner, i = begin - outer * grid.inner;
    while (begin < end) {
        int64_t n = Grid::least(grid.inner - i, end - begin);
        fn((outer * grid.channels + c) * grid.inner + i, n);
        begin += n, outer += 1, i = 0;
    }
}

// Tensors smaller than this are done before a second thread would have woken up.
constexpr int64_t WORTH_A_THREAD = 65536;

template <class Job>
void run_groups(const Grid &grid, int threads, const Job &job) {
    auto prepare = [&](Batch batch) { job.prepare(batch); };
    auto finish = [&](Batch batch) { job.finish(batch); };
    auto whole = [&](int64_t g) {
        int64_t begin = grid.first_channel(g), end = grid.end_channel(g);
        if (Job::PREPARES) each_batch(begin, end, prepare);
        for (int64_t p = 0; p < grid.pieces; ++p) job.reduce(g, p);
        each_batch(begin, end, finish);
        for (int64_t p = grid.pieces; p-- > 0;) job.apply(g, p);
    };
    if (threads <= 1) {
        for (int64_t g = 0; g < grid.groups; ++g) whole(g);
        return;
    }
    int64_t chunk = grid.groups / (8 * threads) + 1;
#pragma omp parallel for num_threads(threads) schedule(dynamic, chunk)
    for (int64_t g = 0; g < grid.groups; ++g) whole(g);
}

template <class Job>
void run_tiles(const Grid &grid, int threads, const Job &job) {
    int64_t tiles = grid.groups * grid.pieces;
#pragma omp parallel num_threads(threads)
    {
        int64_t me = omp_get_thread_num(), all = omp_get_num_threads();
        int64_t begin = tiles * me / all, end = tiles * (me + 1) / all;
        int64_t first = grid.channels * me / all, last = grid.channels * (me + 1) / all;
        if (Job::PREPARES) {
            each_batch(first, last, [&](Batch batch) { job.prepare(batch); });
#pragma omp barrier
        }
        for (int64_t t = begin; t < end; ++t) job.reduce(t % grid.groups, t / grid.groups);
#pragma omp barrier
        each_batch(first, last, [&](Batch batch) { job.finish(batch); });
#pragma omp barrier
        // From the end: what this thread read last is what its cache still holds.
        for (int64_t t = end; t-- > begin;) job.apply(t % grid.groups, t / grid.groups);
    }
}

// All four steps over all tiles. How they are shared among threads does not change a bit of the
// results: every tile is summed on its own and every group is finished in the order of its pieces.
template <class Job>
void run(const Grid &grid, int threads, const Job &job) {
    if (grid.size() < WORTH_A_THREAD) threads = 1;
    // Where rows are few groups wide, threads take whole rows: long stretches of memory.
    bool enough = grid.groups >= 4 * threads || (!grid.rows && grid.groups % threads == 0);
    if (threads <= 1 || enough || grid.pieces == 1)
        run_groups(grid, threads, job);
    else
        run_tiles(grid, threads, job);
}

}  // namespace ek::EK_ISA
