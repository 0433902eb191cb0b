// Which build of the kernels runs.
#pragma once
#include "kernels.h"

namespace ek {

struct Kernels {
    const Forwards *forwards;
    const Backwards *backwards;
};

// Some hardware converts to bf16 in one instruction: then those kernels are a build of their own.
struct Isa {
    const char *name;
    bool (*runs_here)();
    Kernels others, bf16;

    const Kernels &of(int32_t dtype) const { return dtype == EK_BF16 ? bf16 : others; }
};

// The one chosen, or null when the one asked for cannot run.
const Isa *isa();

}  // namespace ek
