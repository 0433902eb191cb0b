// The kernels of one instruction set, as the C functions reach them: by operation, then by dtype.
#pragma once
#include "../include/evenkeel.h"
#include "grid.h"

namespace ek {

template <class Args>
using Kernel = void (*)(const Args &args, const Grid &grid, void *workspace);

struct Forwards {
    Kernel<ek_moments_args> moments[4];
    Kernel<ek_train_args> train[4];
    Kernel<ek_normalize_args> normalize[4];
};

struct Backwards {
    Kernel<ek_backward_args> backward[4];
};

#define EK_DECLARE(isa)                \
    namespace isa {                    \
    extern const Forwards forwards;    \
    extern const Backwards backwards;  \
    }
EK_DECLARE(baseline)
EK_DECLARE(avx2)
EK_DECLARE(avx512)
EK_DECLARE(avx512bf16)
EK_DECLARE(neon)
#undef EK_DECLARE

// The workspace of any operation, in doubles: two sums for every channel of every piece, and five
// coefficients for every column (see normalization.h).
constexpr int64_t COEFFICIENTS = 5, PADDING = 16;
inline __attribute__((always_inline)) int64_t workspace_doubles(const Grid &grid) {
    return 2 * grid.channels * grid.pieces + COEFFICIENTS * (grid.columns + PADDING);
}

}  // namespace ek
