// Two sums over every channel of a tile: of u, and of u * v, where terms.terms(at, i, coef, lanes,
// u, v) gives u and v of a vector of values.
//
// Precision: each lane is summed in the compute type over a block (64 rows; in planes 2048 values,
// which leaves each lane fewer still), blocks are summed in double.
#pragma once
#include "tiles.h"

namespace ek::EK_ISA {

constexpr int64_t PLANE_BLOCK = 2048;
constexpr int64_t ROW_BLOCK = 64;
constexpr int UNROLL = 4;  // independent sums, which hide the latency of an addition

struct Sums {
    double *u, *uv;
};

// The sums of all tiles, for every channel of every piece.
struct Partials {
    double *first;
    int64_t channels, pieces;
    static int64_t doubles(const Grid &grid) { return 2 * grid.channels * grid.pieces; }
    Partials(double *base, const Grid &grid)
        : first(base), channels(grid.channels), pieces(grid.pieces) {}
    Sums sums(int64_t p, int64_t c) const {
        return {first + p * channels + c, first + (pieces + p) * channels + c};
    }
};

template <class A, class Terms, class Coef, class L>
inline void add_terms(Vec<A> &u, Vec<A> &uv, const Terms &terms, int64_t at, int64_t i,
                      const Coef &coef, L lanes) {
    Vec<A> a, b;
    terms.terms(at, i, coef, lanes, a, b);
    a = keep<A>(a, lanes), b = keep<A>(b, lanes);
    u += a;
    uv = fma(a, b, uv);
}

// Adds to K vectors of columns, of which the first is i, their sums over a few rows.
template <int K, class Terms, class Coef, class L>
inline void reduce_strip(const Terms &given, int64_t at, int64_t i, int64_t step, int64_t rows,
                         const Coef &coef, L lanes, typename Terms::A *sum_u,
                         typename Terms::A *sum_uv) {
    using A = typename Terms::A;
    const Terms terms = given;  // a copy: no store can change it
    Vec<A> u[K], uv[K];
    for (int k = 0; k < K; ++k) {
        u[k] = load(sum_u + i + k * LANES<A>, Full{});
        uv[k] = load(sum_uv + i + k * LANES<A>, Full{});
    }
    for (int64_t r = 0; r < rows; ++r, at += step)
#pragma GCC unroll 4
        for (int k = 0; k < K; ++k)
            add_terms<A>(u[k], uv[k], terms, at + k * LANES<A>, i + k * LANES<A>, coef, lanes);
    for (int k = 0; k < K; ++k) {
        store(sum_u + i + k * LANES<A>, u[k], Full{});
        store(sum_uv + i + k * LANES<A>, uv[k], Full{});
    }
}

// The columns of a group on their way to their sums.
template <class Terms>
struct Columns {
    using A = typename Terms::A;
    alignas(64) A u[MAX_GROUP + LANES<A>], uv[MAX_GROUP + LANES<A>];
    alignas(64) double sum_u[MAX_GROUP + LANES<A>], sum_uv[MAX_GROUP + LANES<A>];
    int64_t n;

    explicit Columns(int64_t columns) : n((columns + LANES<A> - 1) / LANES<A> * LANES<A>) {
        for (int64_t j = 0; j < n; ++j) u[j] = uv[j] = 0, sum_u[j] = sum_uv[j] = 0;
    }
    // Rows that begin at element `at`, `columns` long.
    template <class Coef>
    void add(const Terms &terms, int64_t at, int64_t columns, int64_t step, int64_t rows,
             const Coef &coef) {
        constexpr int L = LANES<A>;
        int64_t i = 0;
        for (; i + UNROLL * L <= columns; i += UNROLL * L)
            reduce_strip<UNROLL>(terms, at + i, i, step, rows, coef, Full{}, u, uv);
        for (; i + L <= columns; i += L)
            reduce_strip<1>(terms, at + i, i, step, rows, coef, Full{}, u, uv);
        Part rest{(int)(columns - i)};
        if (rest.n > 0) reduce_strip<1>(terms, at + i, i, step, rows, coef, rest, u, uv);
    }
    void flush() {
        for (int64_t i = 0; i < n; i += LANES<A>) {
            add_to(sum_u + i, load(u + i, Full{}));
            add_to(sum_uv + i, load(uv + i, Full{}));
            store(u + i, Vec<A>{}, Full{});
            store(uv + i, Vec<A>{}, Full{});
        }
    }
};

// From sums of columns to sums of the group's channels. (GCC makes vectors of the first loop.)
inline void fold_columns(const Grid &grid, int64_t channels, const double *__restrict columns,
                         double *__restrict sums) {
    for (int64_t c = 0; c < channels; ++c) sums[c] = 0;
    for (int64_t f = 0; f < grid.fold; ++f, columns += channels * grid.inner)
        if (grid.inner == 1)
            for (int64_t c = 0; c < channels; ++c) sums[c] += columns[c];
        else
            for (int64_t c = 0; c < channels; ++c)
                sums[c] += sum_of(columns + c * grid.inner, grid.inner);
}

// Rows [begin, end) of group g, and with them the partial row where end is the last. A few rows at
// a time are read side by side, so that sums move between registers and cache once for all of them
// (in the third-level cache 8 rows took 1.3 times a plain read, 4 rows 1.4, 1 row 2.2).
template <class Terms>
void reduce_rows(const Terms &terms, const Grid &grid, const Coefs<typename Terms::A> &coefs,
                 int64_t g, int64_t begin, int64_t end, Sums sums) {
    int64_t first = g * grid.group, n = grid.group_end(g) - first, step = grid.columns;
    Varying<typename Terms::A, Terms::COEFS> coef(coefs, 0);
    Columns<Terms> columns(n);
    for (int64_t r = begin; r < end; r += ROWS_AT_ONCE) {
        columns.add(terms, r * step + first, n, step, Grid::least(ROWS_AT_ONCE, end - r), coef);
        if ((r - begin) % ROW_BLOCK == ROW_BLOCK - ROWS_AT_ONCE) columns.flush();
    }
    int64_t rest = end == grid.height ? Grid::least(grid.rest, first + n) - first : 0;
    if (rest > 0) columns.add(terms, end * step + first, rest, 0, 1, coef);
    columns.flush();
    int64_t channels = grid.end_channel(g) - grid.first_channel(g);
    fold_columns(grid, channels, columns.sum_u, sums.u);
    fold_columns(grid, channels, columns.sum_uv, sums.uv);
}

// Lanes of a channel on their way to its two sums.
template <class A>
struct Block {
    Vec<A> u[UNROLL], uv[UNROLL];

    template <class Terms, class Coef>
    inline void add(const Terms &terms, int64_t at, int64_t n, const Coef &coef) {
        constexpr int L = LANES<A>;
        int64_t i = 0;
        for (; i + UNROLL * L <= n; i += UNROLL * L)
#pragma GCC unroll 4
            for (int k = 0; k < UNROLL; ++k)
                add_terms<A>(u[k], uv[k], terms, at + i + k * L, i, coef, Full{});
#pragma GCC unroll 4
        for (int k = 0; k + 1 < UNROLL; ++k)
            if (i + L <= n) {
                add_terms<A>(u[k], uv[k], terms, at + i, i, coef, Full{});
                i += L;
            }
        if (i < n)
            add_terms<A>(u[UNROLL - 1], uv[UNROLL - 1], terms, at + i, i, coef,
                         Part{(int)(n - i)});
    }
    inline void flush(double *sum_u, double *sum_uv) {
        add_to(sum_u, (u[0] + u[1]) + (u[2] + u[3]));
        add_to(sum_uv, (uv[0] + uv[1]) + (uv[2] + uv[3]));
        *this = Block{};
    }
};

// Values [begin, end) of channel c.
template <class Terms>
void reduce_plane(const Terms &terms, const Grid &grid, const Coefs<typename Terms::A> &coefs,
                  int64_t c, int64_t begin, int64_t end, Sums sums) {
    using A = typename Terms::A;
    Constant<A, Terms::COEFS> coef = constant<Terms::COEFS>(coefs, 0);
    double u[LANES<A>]{}, uv[LANES<A>]{};
    Block<A> block{};
    int64_t held = 0;
    each_run(grid, c, begin, end, [&](int64_t at, int64_t n) {
        for (; n > 0; at += PLANE_BLOCK, n -= PLANE_BLOCK) {
            int64_t some = Grid::least(n, PLANE_BLOCK);
            if (held + some > PLANE_BLOCK) block.flush(u, uv), held = 0;
            block.add(terms, at, some, coef);
            held += some;
        }
    });
    block.flush(u, uv);
    *sums.u = total(u, LANES<A>);
    *sums.uv = total(uv, LANES<A>);
}

// The sums of the group's channels over the first `most` rows (planes: values) of tile (g, p).
// `coefs` begin with the group's first column.
template <class Terms>
void reduce_tile(const Terms &terms, const Grid &grid, const Coefs<typename Terms::A> &coefs,
                 int64_t g, int64_t p, int64_t most, Sums sums) {
    int64_t begin = p * grid.piece, end = grid.piece_end(p, most);
    if (grid.rows)
        reduce_rows(terms, grid, coefs, g, begin, end, sums);
    else
        reduce_plane(terms, grid, coefs, g, begin, end, sums);
}

}  // namespace ek::EK_ISA
