#include "grid.h"

namespace ek {
namespace {

constexpr int64_t LANES = 16;           // of the widest vectors, on every hardware
constexpr int64_t SHORT_RUN = 16;       // shorter runs than this are columns of their own,
constexpr int64_t MIDDLE_RUN = 256;      // and up to here where there are rows enough to share
constexpr int64_t ENOUGH_ROWS = 8;      // the work on a column
constexpr int64_t PLANE_PIECE = 8192;   // values; see reduce.h for what bounds it
constexpr int64_t ROWS_PIECE = 512;     // rows, or
constexpr int64_t TILE = 65536;         // values where rows are short; less where threads share:
constexpr int64_t SHARED = 65536;       // tensors of so many values are cut
constexpr int64_t SHARES = 4;           // into a multiple of so many pieces,
constexpr int64_t LEAST_ROWS = 64;      // none smaller than this
constexpr int64_t WIDE = 2048;          // columns whose sums stay in the first-level cache
constexpr int64_t WIDE_RUNS = 1024;     // the same where the rows of a group are parts of rows
constexpr int64_t NARROW = 64;          // columns of a row, at least
constexpr int64_t FOLDED = 512;         // and not many more than this when columns are folded

static_assert(WIDE <= MAX_GROUP && WIDE_RUNS + MIDDLE_RUN <= MAX_GROUP, "see group_of");

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

int64_t gcd(int64_t a, int64_t b) { return b == 0 ? a : gcd(b, a % b); }

// Blocks to lay side by side: rows of whole vectors, long enough to be worth starting a loop for.
int64_t fold_of(int64_t block, int64_t outer) {
    if (block >= FOLDED / 2) return 1;
    int64_t fold = block % LANES ? LANES / gcd(block, LANES) : 1;
    while (block * fold < NARROW || (block * fold <= FOLDED / 2 && outer >= 64 * fold))
        fold *= 2;
    return outer >= 4 * fold && block * fold <= WIDE_RUNS ? fold : 1;
}

// Columns of a group: whole channels, one group where columns are folded, else groups of like size.
int64_t group_of(const Grid &grid) {
    if (grid.fold > 1) return grid.columns;
    int64_t groups = ceil_div(grid.columns, grid.inner == 1 ? WIDE : WIDE_RUNS);
    int64_t channels = ceil_div(grid.channels, groups), whole = grid.inner == 1 ? NARROW : 1;
    return Grid::least(ceil_div(channels, whole) * whole * grid.inner, grid.columns);
}

// Rows of a piece: pieces of like size, and enough of them for a few threads.
int64_t piece_of(const Grid &grid) {
    int64_t rows = TILE / grid.columns;
    int64_t pieces = ceil_div(grid.height, rows > ROWS_PIECE ? rows : ROWS_PIECE);
    if (grid.size() >= SHARED) pieces = ceil_div(pieces, SHARES) * SHARES;
    rows = ceil_div(ceil_div(grid.height, pieces), ROWS_AT_ONCE) * ROWS_AT_ONCE;
    return rows > LEAST_ROWS ? rows : LEAST_ROWS;
}

Grid cut_rows(Grid grid) {
    int64_t block = grid.channels * grid.inner;
    grid.fold = fold_of(block, grid.outer);
    grid.columns = block * grid.fold;
    grid.height = grid.outer / grid.fold;
    grid.rest = grid.outer % grid.fold * block;
    grid.group = group_of(grid);
    grid.piece = piece_of(grid);
    return grid;
}

Grid cut_planes(Grid grid) {
    grid.columns = grid.channels;
    grid.fold = 1;
    grid.height = grid.outer * grid.inner;
    grid.group = 1;
    grid.piece = PLANE_PIECE;
    return grid;
}

}  // namespace

Grid cut(int64_t outer, int64_t channels, int64_t inner) {
    Grid grid{};
    grid.outer = channels == 1 ? 1 : outer;
    grid.channels = channels;
    grid.inner = channels == 1 ? outer * inner : inner;
    bool middle = grid.inner < MIDDLE_RUN && outer >= ENOUGH_ROWS;
    grid.rows = channels > 1 && (grid.inner < SHORT_RUN || middle);
    grid = grid.rows ? cut_rows(grid) : cut_planes(grid);
    grid.groups = ceil_div(grid.columns, grid.group);
    grid.pieces = ceil_div(grid.height, grid.piece);
    return grid;
}

}  // namespace ek
