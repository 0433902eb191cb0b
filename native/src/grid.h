// How a tensor is cut into tiles: by its shape and element size alone, never by the number of
// threads or the hardware, because sums are taken tile by tile and must be the same everywhere.
//
// Planes (inner is long): a group is one channel, a piece is a range of its outer * inner values.
// Rows (inner is short): the tensor is a matrix whose columns are channels * inner, `fold` blocks
//   side by side in one row so that few channels still fill vectors. A group is a range of columns,
//   a piece is a range of rows. Blocks that do not fill a row make the last, partial row.
#pragma once
#include <cstdint>

namespace ek {

constexpr int64_t MAX_GROUP = 2048;     // columns
constexpr int64_t ROWS_AT_ONCE = 8;     // that a reduction reads side by side

struct Grid {
    bool rows;
    int64_t outer, channels, inner;
    int64_t columns;  // planes: channels
    int64_t fold;     // rows: blocks in a row
    int64_t height;   // rows: full rows; planes: outer * inner
    int64_t rest;     // rows: columns of the partial row
    int64_t group, groups;  // columns in a group
    int64_t piece, pieces;  // rows (planes: values of a channel) in a piece

    int64_t count() const { return outer * inner; }
    int64_t size() const { return outer * channels * inner; }
    int64_t group_end(int64_t g) const { return least((g + 1) * group, columns); }
    // Where piece p ends, or its first `most` rows.
    int64_t piece_end(int64_t p, int64_t most) const {
        return least(p * piece + least(most, piece), height);
    }
    int64_t piece_end(int64_t p) const { return piece_end(p, piece); }
    // Values that a channel has there; the last rows bring the partial row with them.
    int64_t values(int64_t p, int64_t most) const {
        int64_t end = piece_end(p, most), length = end - p * piece;
        int64_t blocks = end == height ? rest / (channels * inner) : 0;
        return rows ? (length * fold + blocks) * inner : length;
    }
    // Columns of a channel that lie side by side.
    int64_t step() const { return rows ? inner : 1; }
    // The channels of group g.
    int64_t first_channel(int64_t g) const { return rows ? g * group / inner : g; }
    int64_t end_channel(int64_t g) const {
        if (!rows) return g + 1;
        return fold > 1 ? channels : group_end(g) / inner;
    }
    static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
};

Grid cut(int64_t outer, int64_t channels, int64_t inner);

}  // namespace ek
