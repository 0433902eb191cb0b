// EVENKEEL_ISA names an instruction set that no machine has: every call refuses.
#include "case.h"

int main() {
    CHECK(ek_isa() == nullptr, "%s", ek_isa());
    Case c{{4, 3, 1}, F32, EK_NONE};
    Reference r = reference_of(c);
    Run run(c, r);
    run.forward(1), run.backward(1);
    CHECK(run.forward_status == EK_BAD_ISA && run.backward_status == EK_BAD_ISA, "ran");
    CHECK(ek_set_isa(nullptr) == EK_BAD_ISA, "chose again as at load time");
    return report();
}
