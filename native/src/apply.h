// Writing outputs: map.step(at, i, coef, lanes) for every vector of a tile or of a tensor.
#pragma once
#include "tiles.h"

namespace ek::EK_ISA {

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

// The coefficients of a vector of which `left` lanes are one channel's, the others the next one's.
template <class A, int K>
inline Constant<A, K> meeting(const Constant<A, K> &here, const Constant<A, K> &next, int64_t left) {
    typedef typename VectorOf<A>::bits Bits;
    Bits lane{};
    for (int i = 0; i < LANES<A>; ++i) lane[i] = i;
    Bits mine = lane < decltype(lane[0] + 0)(left);
    Constant<A, K> coef;
    for (int k = 0; k < K; ++k) coef.value[k] = mine ? here.value[k] : next.value[k];
    return coef;
}

// `runs` whole runs that lie side by side from element `at` on, the first of channel c: one stretch
// of whole aligned vectors. (A loop whose test is at its end: 30 % faster for runs of 196 values.)
template <class Map, class L>
inline void apply_stretch(const Map &given, const Grid &grid, const Coefs<typename Map::A> &given_coefs,
                          int64_t at, int64_t c, int64_t runs, L lanes) {
    using A = typename Map::A;
    const Map map = given;
    const Coefs<A> coefs = given_coefs;
    constexpr int K = Map::COEFS;
    const int64_t inner = grid.inner, channels = grid.channels;
    Constant<A, K> here = constant<K>(coefs, c);
    int64_t head = map.to_alignment(at), left = inner - head;
    if (head > 0) map.step(at, 0, here, Part{(int)head}), at += head;
    for (;;) {
        if (left >= LANES<A>)
            do {
                map.step(at, 0, here, lanes);
                at += LANES<A>, left -= LANES<A>;
            } while (left >= LANES<A>);
        if (--runs == 0) break;
        c = c + 1 == channels ? 0 : c + 1;
        Constant<A, K> next = constant<K>(coefs, c);
        if (left > 0) {
            map.step(at, 0, meeting(here, next, left), lanes);
            at += LANES<A>, left -= LANES<A>;
        }
        left += inner, here = next;
    }
    if (left > 0) map.step(at, 0, here, Part{(int)left});
}

template <class Map>
void apply_runs(const Map &map, const Grid &grid, const Coefs<typename Map::A> &coefs, int64_t at,
                int64_t c, int64_t runs) {
    if (map.stream)
        apply_stretch(map, grid, coefs, at, c, runs, Stream{});
    else
        apply_stretch(map, grid, coefs, at, c, runs, Full{});
}

// A few vectors of columns in all ROWS rows. Their coefficients stay in registers.
template <int ROWS, int VECTORS, class Map, class Coef>
inline void apply_strip(const Map &given, int64_t at, int64_t i, int64_t step, const Coef &coef) {
    constexpr int L = LANES<typename Map::A>;
    const Map map = given;
    decltype(coef.vector(i)) same[VECTORS];
#pragma GCC unroll 4
    for (int k = 0; k < VECTORS; ++k) same[k] = coef.vector(i + k * L);
#pragma GCC unroll 1
    for (int r = 0; r < ROWS; ++r, at += step)
#pragma GCC unroll 4
        for (int k = 0; k < VECTORS; ++k) map.step(at + k * L, i + k * L, same[k], Full{});
}

// Rows of n columns side by side: loading three coefficients at every vector takes twice as long as
// moving the values, where those are in cache.
template <int ROWS, class Map, class Coef>
inline void apply_side_by_side(const Map &map, int64_t at, int64_t step, int64_t n,
                               const Coef &given_coef) {
    constexpr int L = LANES<typename Map::A>, MOST = (EK_REGISTERS - 4) / Map::COEFS;
    constexpr int VECTORS = MOST < 4 ? MOST : 4;
    const Coef coef = given_coef;
    int64_t i = 0;
    for (; i + VECTORS * L <= n; i += VECTORS * L)
        apply_strip<ROWS, VECTORS>(map, at + i, i, step, coef);
    for (; i + L <= n; i += L) apply_strip<ROWS, 1>(map, at + i, i, step, coef);
    if (i == n) return;
    auto same = coef.vector(i);
    for (int r = 0; r < ROWS; ++r) map.step(at + r * step + i, i, same, Part{(int)(n - i)});
}

// Columns whose coefficients stay in the first-level cache, for as many rows as a block has.
constexpr int64_t APPLY_COLUMNS = 1280, APPLY_ROWS = 8;

// Tensors of more values than this are far from the core, which wants one stretch after the other:
// 26 MB in place took 1700 us by rows side by side, 980 us row by row.
constexpr int64_t NEAR = 2 << 20, NEAR_COPIED = NEAR / 4;

// Columns [begin, end) of rows [first, last), coefficients spread.
template <class Map>
inline void apply_block(const Map &map, const Grid &grid, const Coefs<typename Map::A> &coefs,
                        int64_t begin, int64_t end, int64_t first, int64_t last) {
    Varying<typename Map::A, Map::COEFS> coef(coefs, begin);
    int64_t step = grid.columns, n = end - begin, r = first;
    if (!map.stream && map.near)
        for (; r + APPLY_ROWS <= last; r += APPLY_ROWS)
            apply_side_by_side<APPLY_ROWS>(map, r * step + begin, step, n, coef);
    for (; r < last; ++r) apply_run(map, r * step + begin, n, coef);
}

// Columns [begin, end) of rows [first, last), and of the partial row where that is next.
template <class Map>
void apply_rows(const Map &map, const Grid &grid, const Coefs<typename Map::A> &coefs,
                int64_t begin, int64_t end, int64_t first, int64_t last) {
    int64_t rest = last == grid.height ? Grid::least(grid.rest, end) - begin : 0, inner = grid.inner;
    if (applied_by_channel(grid)) {
        int64_t c = begin / inner % grid.channels, runs = (end - begin) / inner;
        for (int64_t r = first; r < last; ++r)
            apply_runs(map, grid, coefs, r * grid.columns + begin, c, runs);
        if (rest > 0) apply_runs(map, grid, coefs, last * grid.columns + begin, c, rest / inner);
        return;
    }
    int64_t rows = end - begin <= APPLY_COLUMNS ? last - first : APPLY_ROWS;
    for (int64_t r = first; r < last; r += rows)
        for (int64_t j = begin; j < end; j += APPLY_COLUMNS)
            apply_block(map, grid, coefs, j, Grid::least(j + APPLY_COLUMNS, end), r,
                        Grid::least(r + rows, last));
    if (rest > 0) apply_block(map, grid, coefs, begin, begin + rest, last, last + 1);
}

template <class T, class Map>
void apply_tile(const Map &map, const Grid &grid, const Coefs<Compute<T>> &coefs, int64_t g,
                int64_t p) {
    using A = Compute<T>;
    int64_t begin = g * grid.group, end = grid.group_end(g);
    if (!grid.rows) {
        Constant<A, Map::COEFS> coef = constant<Map::COEFS>(coefs, g);
        each_run(grid, g, p * grid.piece, grid.piece_end(p),
                 [&](int64_t at, int64_t n) { apply_run(map, at, n, coef); });
    } else {
        apply_rows(map, grid, coefs, begin, end, p * grid.piece, grid.piece_end(p));
    }
    if (map.stream) stream_fence();
}

constexpr int64_t ENOUGH = 8;  // runs or rows a thread, for shares of like size

// One thread's share of all outputs: whole runs or rows in the order of memory, or tiles where there
// are few of those.
template <class T, class Map>
void apply_share(const Map &map, const Grid &grid, const Coefs<Compute<T>> &coefs, int64_t me,
                 int64_t shares) {
    int64_t runs = grid.outer * grid.channels, tiles = grid.groups * grid.pieces;
    bool by_runs = applied_by_channel(grid) && runs >= ENOUGH * shares;
    bool by_rows = !applied_by_channel(grid) && grid.height >= ENOUGH * shares;
    int64_t n = by_runs ? runs : by_rows ? grid.height : tiles;
    int64_t begin = n * me / shares, end = n * (me + 1) / shares;
    if (begin == end) return;
    if (by_runs)
        apply_runs(map, grid, coefs, begin * grid.inner, begin % grid.channels, end - begin);
    else if (by_rows)
        apply_rows(map, grid, coefs, 0, grid.columns, begin, end);
    else
        for (int64_t t = begin; t < end; ++t)
            apply_tile<T>(map, grid, coefs, t % grid.groups, t / grid.groups);
    if (map.stream) stream_fence();
}

// Every output, where nothing is summed first.
template <class T, class Map>
void apply_all(const Map &map, const Grid &grid, const Coefs<Compute<T>> &coefs, int threads) {
    if (grid.size() < WORTH_A_THREAD || threads <= 1) return apply_share<T>(map, grid, coefs, 0, 1);
#pragma omp parallel num_threads(threads)
    apply_share<T>(map, grid, coefs, omp_get_thread_num(), omp_get_num_threads());
}

// Outputs larger than this leave the cache before they are read, so they are stored past it.
constexpr int64_t WORTH_STREAMING = 16 << 20;

template <class T>
inline bool worth_streaming(const Grid &grid, const T *output) {
    return grid.size() * (int64_t)sizeof(T) >= WORTH_STREAMING && (uintptr_t)output % sizeof(T) == 0;
}

}  // namespace ek::EK_ISA
