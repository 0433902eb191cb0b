// Every operation, dtype, layout, activation, instruction set: against the definition in double.
// Argument "quick": fewer activations (for runs under sanitizers).
#include "case.h"

// Error bounds: of y and dx, of statistics and parameter gradients. 16-bit outputs are half a unit
// of their last digit off.
struct Bounds {
    double y, dx, var, gradient;
};

static Bounds bounds_of(const Case &c) {
    if (c.dtype == F64) return {1e-12, 1e-9, 1e-12, 1e-9};
    if (c.dtype == F32) return {1e-6, 5e-6, 1e-6, 5e-6};
    double digit = c.dtype == BF16 ? 0x1p-8 : 0x1p-11;
    return {1.1 * digit, 2 * digit, 1e-6, 2e-5};
}

static double relative(const Values &got, const Values &want) {
    double most = 0;
    for (size_t i = 0; i < want.size(); ++i)
        most = std::max(most, error({got[i]}, {want[i]}, std::max(std::fabs(want[i]), 1e-12)));
    return most;
}

// Of the mean, against the larger of itself and the standard deviation (1).
static double mean_error(Buffer &mean, const Reference &r) {
    return error(mean.values(), r.mean, std::max(largest(r.mean), 1.0));
}

static void check_case(const Case &c) {
    Reference r = reference_of(c);
    Run run(c, r);
    run.forward(1), run.backward(1);
    std::string name = c.name();
    Bounds most = bounds_of(c);
    CHECK(run.forward_status == EK_OK && run.backward_status == EK_OK, "%s: status %d, %d",
          name.c_str(), run.forward_status, run.backward_status);
    CHECK(run.intact(), "%s: wrote past a buffer", name.c_str());
    double y = error(run.y.values(), r.y);
    CHECK(y <= most.y, "%s: y off by %g", name.c_str(), y);
    if (!c.frozen) {
        double var = relative(run.var.values(), r.var), mean = mean_error(run.mean, r);
        CHECK(var <= most.var, "%s: var off by %g", name.c_str(), var);
        CHECK(mean <= 1e-6, "%s: mean off by %g", name.c_str(), mean);
    }
    double dx = error(run.dx.values(), r.dx, std::max(largest(r.gain), 1e-30));
    CHECK(dx <= most.dx, "%s: dx off by %g", name.c_str(), dx);
    // A sum is as exact as its largest terms allow.
    double terms = std::sqrt(r.count()) * std::max(largest(r.dresidual), 1e-30);
    double dweight = error(run.dweight.values(), r.dweight, terms);
    double dbias = error(run.dbias.values(), r.dbias, terms);
    CHECK(dweight <= most.gradient, "%s: dweight off by %g", name.c_str(), dweight);
    CHECK(dbias <= most.gradient, "%s: dbias off by %g", name.c_str(), dbias);
    if (c.residual) {
        double dresidual = error(run.dresidual.values(), r.dresidual);
        CHECK(dresidual <= most.dx, "%s: dresidual off by %g",
              name.c_str(), dresidual);
    }
}

static void check_moments(const Case &c) {
    Reference r = reference_of(c);
    Run run(c, r);
    ek_moments_args a{};
    a.call = run.call(1), a.x = run.x.data(), a.mean = run.mean.data(), a.var = run.var.data();
    CHECK(ek_moments(&a) == EK_OK, "%s", c.name().c_str());
    double var = relative(run.var.values(), r.var), bound = c.dtype == F64 ? 1e-10 : 1e-6;
    CHECK(var <= bound, "%s: var off by %g", c.name().c_str(), var);
    CHECK(mean_error(run.mean, r) <= 1e-6, "%s: mean", c.name().c_str());
    CHECK(run.intact(), "%s: wrote past a buffer", c.name().c_str());
}

int main(int argc, char **) {
    bool quick = argc > 1;
    const ek_view views[] = {
        {2, 1, 1},    {2, 3, 1},     {32, 64, 1},  {64, 76, 1},  {7, 76, 1},    {64, 76, 16},
        {5, 7, 9},    {3, 2, 15},    {9, 5, 17},   {2, 3, 49},   {20, 33, 49},  {12, 3, 196},
        {3, 4, 784},  {2, 3, 5000},  {1, 2, 9000}, {300, 1, 1},  {1001, 2, 1},  {2500, 3, 1},
        {700, 16, 1}, {333, 24, 1},  {600, 64, 1}, {20, 2048, 1}, {2, 2048, 1}, {40, 130, 4},
        {129, 17, 3}, {200, 255, 1}, {70, 127, 1}, {1, 5, 31},    {2, 1025, 2}, {1, 1, 2},    {9, 300, 8},
    };
    for (const char *isa : ISAS) {
        if (!ek_has_isa(isa)) continue;
        CHECK(ek_set_isa(isa) == EK_OK, "%s", isa);
        uint32_t seed = 1;
        for (const ek_view &view : views)
            for (int dtype = F32; dtype <= F16; ++dtype)
                for (int kind = EK_NONE; kind <= EK_GELU; ++kind) {
                    if (quick && kind > EK_LEAKY_RELU && kind != EK_GELU) continue;
                    bool large = view.outer * view.channels * view.inner > 20000;
                    if (large && kind > EK_LEAKY_RELU && kind != EK_SILU) continue;
                    for (int bits = 0; bits < 4; ++bits) {
                        Case c{view, dtype, kind};
                        c.residual = bits & 1, c.frozen = bits & 2, c.affine = seed % 5 != 0;
                        c.seed = seed++;
                        check_case(c);
                    }
                }
        for (const ek_view &view : views)
            for (double offset : {0.0, 1.0, 100.0, 10000.0})
                for (int dtype : {F32, F64}) {
                    Case c{view, dtype, EK_NONE};
                    c.offset = offset, c.seed = seed++;
                    if (view.outer * view.inner < 9) continue;  // var itself is ill-conditioned
                    check_moments(c);
                    if (dtype == F32) check_case(c);
                }
    }
    return report();
}
