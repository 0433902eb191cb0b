// From a grid of tiles to vectors: coefficients of columns, runs of memory, threads.
//
// A job is what an operation does to a tile:
//     prepare(b)      coefficients of a batch of channels, before their sums, if PREPARES
//     reduce(g, p)    sums over tile (group g, piece p), kept under (p, g)
//     finish(b)       the sums of all pieces become results and coefficients of a batch of channels
//     apply(g, p)     write the tile's outputs
#pragma once
#include <omp.h>

#include "grid.h"
#include "storage.h"

namespace ek::EK_ISA {

// Coefficients of the columns: k-th coefficient of column j. Rows load them a vector at a time,
// so each array is longer than its columns by one vector.
template <class A>
struct Coefs {
    A *base;
    int64_t stride;
    A &at(int k, int64_t j) const { return base[k * stride + j]; }
};

// Gives all columns of channel c, of `channels` side by side, a value.
template <class A>
inline void set_columns(const Grid &grid, int64_t c, int64_t channels, A value, A *columns) {
    int64_t inner = grid.step();
    columns += c * inner;
    for (int64_t f = 0; f < grid.fold; ++f, columns += channels * inner)
        for (int64_t i = 0; i < inner; ++i) columns[i] = value;
}

// Gives the columns of a batch of all channels their values.
template <class A>
EK_APART void set_batch(const Coefs<A> &coefs, const Grid &grid, int k, Batch batch,
                      const A *__restrict values) {
    A *__restrict columns = &coefs.at(k, 0);
    if (grid.step() == 1 && grid.fold == 1)
        for (int64_t j = 0; j < batch.size; ++j) columns[batch.first + j] = values[j];
    else
        for (int64_t j = 0; j < batch.size; ++j)
            set_columns(grid, batch.first + j, grid.channels, values[j], columns);
}

// The same coefficients for a whole run (planes).
template <class A, int K>
struct Constant {
    Vec<A> value[K];
    Constant(const Coefs<A> &coefs, int64_t j) {
        for (int k = 0; k < K; ++k) value[k] = all(coefs.at(k, j));
    }
    Vec<A> get(int k, int64_t) const { return value[k]; }
};

// Coefficients that change along the run (rows): those of column j at its start.
template <class A, int K>
struct Varying {
    const A *first;
    int64_t stride;
    Varying(const Coefs<A> &coefs, int64_t j) : first(&coefs.at(0, j)), stride(coefs.stride) {}
    Vec<A> get(int k, int64_t i) const { return load(first + k * stride + i, Full{}); }
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

// One run of outputs: map.step(at, i, coef, lanes) for all its vectors. Streamed stores must be
// aligned.
template <class Map, class Coef>
inline void apply_run(const Map &given, int64_t at, int64_t n, const Coef &given_coef) {
    const Map map = given;  // copies: a store through a Map's pointer cannot change them
    const Coef coef = given_coef;
    constexpr int L = LANES<typename Map::A>;
    int64_t i = 0;
    if (map.stream) {
        i = Grid::least(map.to_alignment(at), n);
        if (i > 0) map.step(at, 0, coef, Part{(int)i});
#pragma GCC unroll 4
        for (; i + L <= n; i += L) map.step(at + i, i, coef, Stream{});
    } else {
#pragma GCC unroll 4
        for (; i + L <= n; i += L) map.step(at + i, i, coef, Full{});
    }
    if (i < n) map.step(at + i, i, coef, Part{(int)(n - i)});
}

// Bytes by which p lies past the alignment of a streamed store, and elements until it is aligned.
template <class T>
inline int64_t past_alignment(const T *p) {
    return (int64_t)((uintptr_t)p % (LANES<Compute<T>> * sizeof(T)));
}
template <class T>
inline int64_t elements_to_alignment(const T *p) {
    int64_t past = past_alignment(p);
    return past == 0 ? 0 : LANES<Compute<T>> - past / (int64_t)sizeof(T);
}

// Columns whose coefficients stay in the first-level cache, for as many rows as a block has.
constexpr int64_t APPLY_COLUMNS = 1280, APPLY_ROWS = 8;

// The full rows of columns [begin, end) in piece p.
template <class Map>
inline void apply_rows(const Map &map, const Grid &grid, const Coefs<typename Map::A> &coefs,
                       int64_t begin, int64_t end, int64_t p) {
    int64_t rows = end - begin <= APPLY_COLUMNS ? grid.piece : APPLY_ROWS;
    for (int64_t r = p * grid.piece, stop; r < grid.piece_end(p); r = stop) {
        stop = Grid::least(r + rows, grid.piece_end(p));
        for (int64_t j = begin; j < end; j += APPLY_COLUMNS) {
            Varying<typename Map::A, Map::COEFS> coef(coefs, j);
            int64_t n = Grid::least(APPLY_COLUMNS, end - j);
            for (int64_t k = r; k < stop; ++k) apply_run(map, k * grid.columns + j, n, coef);
        }
    }
}

template <class T, class Map>
void apply_tile(const Map &map, const Grid &grid, const Coefs<Compute<T>> &coefs, int64_t g,
                int64_t p) {
    using A = Compute<T>;
    int64_t begin = g * grid.group, end = grid.group_end(g);
    if (!grid.rows) {
        Constant<A, Map::COEFS> coef(coefs, g);
        each_run(grid, g, p * grid.piece, grid.piece_end(p),
                 [&](int64_t at, int64_t n) { apply_run(map, at, n, coef); });
    } else {
        apply_rows(map, grid, coefs, begin, end, p);
        Varying<A, Map::COEFS> coef(coefs, begin);
        int64_t rest = p + 1 == grid.pieces ? Grid::least(grid.rest, end) - begin : 0;
        if (rest > 0) apply_run(map, grid.height * grid.columns + begin, rest, coef);
    }
    if (map.stream) stream_fence();
}

// Tensors smaller than this are done before a second thread would have woken up.
constexpr int64_t WORTH_A_THREAD = 65536;

// All runs of a plane grid in the order of memory: run r is the channel r % channels.
template <class Map>
void apply_runs(const Map &map, const Grid &grid, const Coefs<typename Map::A> &coefs,
                int64_t begin, int64_t end) {
    for (int64_t c = begin % grid.channels; begin < end; ++begin, ++c) {
        if (c == grid.channels) c = 0;
        Constant<typename Map::A, Map::COEFS> coef(coefs, c);
        apply_run(map, begin * grid.inner, grid.inner, coef);
    }
}

// Every output, where nothing is summed first.
template <class T, class Map>
void apply_all(const Map &map, const Grid &grid, const Coefs<Compute<T>> &coefs, int threads) {
    if (grid.size() < WORTH_A_THREAD) threads = 1;
    bool by_runs = !grid.rows && grid.outer > 1;
    int64_t runs = grid.outer * grid.channels, tiles = grid.groups * grid.pieces;
    auto share = [&](int64_t me, int64_t shares) {
        int64_t n = by_runs ? runs : tiles, begin = n * me / shares, end = n * (me + 1) / shares;
        if (by_runs)
            apply_runs(map, grid, coefs, begin, end);
        else
            for (int64_t t = begin; t < end; ++t)
                apply_tile<T>(map, grid, coefs, t % grid.groups, t / grid.groups);
        if (map.stream) stream_fence();
    };
    if (threads <= 1) return share(0, 1);
#pragma omp parallel num_threads(threads)
    share(omp_get_thread_num(), omp_get_num_threads());
}

// Outputs larger than this leave the cache before they are read, so they are stored past it.
constexpr int64_t WORTH_STREAMING = 16 << 20;

template <class T>
inline bool worth_streaming(const Grid &grid, const T *output) {
    return grid.size() * (int64_t)sizeof(T) >= WORTH_STREAMING && (uintptr_t)output % sizeof(T) == 0;
}

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
