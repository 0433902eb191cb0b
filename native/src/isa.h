// Which build of the kernels runs.
#pragma once
#include "kernels.h"

namespace ek {

struct Isa {
    const char *name;
    bool (*runs_here)();
    const Forwards *forwards;
    const Backwards *backwards;
};

// The one chosen, or null when the one asked for cannot run.
const Isa *isa();

}  // namespace ek
