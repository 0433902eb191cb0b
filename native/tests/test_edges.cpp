// What goes wrong quietly: NaN and infinity, in-place calls, subnormals, constant channels, running
// statistics, refusals, and the comparison itself.
#include "case.h"

static const double NAN_ = std::nan("");

static Run both(const Case &c, const Reference &r) {
    Run run(c, r);
    run.forward(1), run.backward(1);
    CHECK(run.forward_status == EK_OK && run.backward_status == EK_OK && run.intact(), "%s",
          c.name().c_str());
    return run;
}

// NaN or infinity in channel 1 makes all of that channel NaN and leaves the others as they were.
static void test_nan_travels(int dtype, ek_view view) {
    for (int kind : {EK_NONE, EK_RELU, EK_LEAKY_RELU, EK_RELU6, EK_GELU})
        for (double bad : {NAN_, (double)INFINITY, -(double)INFINITY}) {
            Case c{view, dtype, kind};
            Reference clean = reference_of(c), dirty = clean;
            size_t place = size_t((view.outer / 2 * view.channels + 1) * view.inner);
            dirty.x[place] = bad;
            Run a = both(c, clean), b = both(c, dirty);
            Values y = a.y.values(), z = b.y.values(), dx = a.dx.values(), dz = b.dx.values();
            for (size_t i = 0; i < y.size(); ++i) {
                bool hit = clean.channel(int64_t(i)) == 1;
                CHECK(hit ? std::isnan(z[i]) : z[i] == y[i], "%s: y[%zu] = %g", c.name().c_str(), i, z[i]);
                CHECK(hit ? std::isnan(dz[i]) : dz[i] == dx[i], "%s: dx[%zu] = %g", c.name().c_str(), i, dz[i]);
            }
            double mean = b.mean.values()[1], var = b.var.values()[1];
            CHECK(std::isnan(bad) ? std::isnan(mean) : mean == bad, "%s: mean %g", c.name().c_str(), mean);
            CHECK(std::isnan(var), "%s: var %g", c.name().c_str(), var);
        }
}

// By frozen statistics a NaN stays where it is; torch's masks decide on the gradient there.
static void test_frozen_nan() {
    for (int kind : {EK_NONE, EK_RELU, EK_LEAKY_RELU}) {
        Case c{{40, 3, 1}, F32, kind};
        c.frozen = true;
        Reference r = reference_of(c);
        r.x[4] = NAN_, r.x[7] = -INFINITY, r.x[10] = INFINITY, r.dy[4] = 2;
        Run run = both(c, r);
        Values y = run.y.values(), dx = run.dx.values();
        CHECK(std::isnan(y[4]) && y[10] == INFINITY, "act %d: %g %g", kind, y[4], y[10]);
        CHECK(y[7] == (kind == EK_RELU ? 0 : -INFINITY), "act %d: %g", kind, y[7]);
        double slope = kind == EK_LEAKY_RELU ? 0.01 : 1;  // NaN > 0 is false, NaN <= 0 as well
        CHECK(std::fabs(dx[4] / (slope * 2 * r.w(1) * r.rstd[1]) - 1) < 1e-5, "act %d: dx %g", kind, dx[4]);
        for (size_t i = 0; i < dx.size(); ++i) CHECK(std::isfinite(dx[i]), "act %d: dx[%zu]", kind, i);
    }
}

static void test_in_place() {
    for (ek_view view : {ek_view{20, 33, 49}, ek_view{333, 24, 1}, ek_view{2, 3, 5000}})
        for (int dtype : {F32, BF16}) {
            Case c{view, dtype, EK_RELU};
            c.residual = true;
            Reference r = reference_of(c);
            Run apart = both(c, r), on_x(c, r), on_residual(c, r);
            auto train = [&](Run &run, void *y) {
                ek_train_args a{};
                a.call = run.call(1), a.eps = 1e-5, a.x = run.x.data(), a.residual = run.residual.data();
                a.weight = run.weight.data(), a.bias = run.bias.data(), a.y = y;
                a.mean = run.mean.data(), a.rstd = run.rstd.data(), a.low = run.low.data();
                CHECK(ek_train(&a) == EK_OK, "%s", c.name().c_str());
            };
            train(on_x, on_x.x.data()), train(on_residual, on_residual.residual.data());
            CHECK(apart.y.same_bits(on_x.x), "%s: y on x", c.name().c_str());
            CHECK(apart.y.same_bits(on_residual.residual), "%s: y on residual", c.name().c_str());

            Run on_dy(c, r);
            on_dy.forward(1);
            ek_backward_args b{};
            b.call = on_dy.call(1), b.dy = b.dx = on_dy.dy.data(), b.x = on_dy.x.data();
            b.y = on_dy.y.data(), b.weight = on_dy.weight.data(), b.bias = on_dy.bias.data();
            b.mean = on_dy.mean.data(), b.rstd = on_dy.rstd.data(), b.low = on_dy.low.data();
            b.dresidual = on_dy.dresidual.data();
            CHECK(ek_backward(&b) == EK_OK, "%s", c.name().c_str());
            CHECK(apart.dx.same_bits(on_dy.dy), "%s: dx on dy", c.name().c_str());
            CHECK(apart.dresidual.same_bits(on_dy.dresidual), "%s: dresidual", c.name().c_str());
        }
}

static void test_subnormals() {
    for (int dtype : {F32, F64, F16}) {
        double tiny = dtype == F32 ? 0x1p-140 : dtype == F64 ? 0x1p-1060 : 0x1p-20;
        Case c{{50, 2, 1}, dtype, EK_NONE};
        c.frozen = true, c.affine = false;
        Reference r = reference_of(c);
        r.mean.assign(2, 0), r.var.assign(2, 1 - 1e-5);
        for (size_t i = 0; i < r.x.size(); ++i) r.x[i] = tiny * double(1 + i % 3);
        Run run = both(c, r);
        Values y = run.y.values();
        for (size_t i = 0; i < y.size(); ++i)
            CHECK(std::fabs(y[i] / r.x[i] - 1) < 0.2, "%s: %g of %g", c.name().c_str(), y[i], r.x[i]);
    }
}

// Every f16 and bf16 bit pattern through a call that multiplies by 1.
static void test_every_half() {
    for (int dtype : {BF16, F16}) {
        Case c{{32768, 2, 1}, dtype, EK_NONE};
        c.frozen = true, c.affine = false;
        Reference r;
        r.view = c.view, r.x.resize(65536), r.dy.resize(65536);
        r.mean.assign(2, 0), r.var.assign(2, 1 - 1e-5f);
        Run run(c, r);
        for (int i = 0; i < 65536; ++i) ((uint16_t *)run.x.data())[i] = uint16_t(i);
        ek_normalize_args a{};
        a.call = run.call(1), a.eps = 1 - double(1 - 1e-5f), a.x = run.x.data(), a.y = run.y.data();
        a.mean = run.mean.data(), a.var = run.var.data();
        CHECK(ek_normalize(&a) == EK_OK, "%s", DTYPE_NAMES[dtype]);
        Values x = run.x.values(), y = run.y.values();
        for (size_t i = 0; i < x.size(); ++i)
            CHECK(y[i] == x[i] || (std::isnan(x[i]) && std::isnan(y[i])), "%s %s pattern %zx: %g became %g",
                  ek_isa(), DTYPE_NAMES[dtype], i, x[i], y[i]);
    }
}

// Rounding to 16 bits must not carry a NaN's low digits into its exponent.
static void test_nan_of_all_ones() {
    for (int dtype : {BF16, F16}) {
        Case c{{40, 3, 1}, dtype, EK_NONE};
        Reference r = reference_of(c);
        Run run(c, r);
        uint32_t ones = 0x7fffffff;
        std::memcpy((float *)run.weight.data() + 1, &ones, 4);
        run.forward(1);
        Values y = run.y.values();
        for (size_t i = 0; i < y.size(); ++i)
            CHECK(std::isnan(y[i]) == (i % 3 == 1), "%s: y[%zu] = %g", c.name().c_str(), i, y[i]);
    }
}

static void test_constant_channel() {
    for (ek_view view : {ek_view{64, 3, 1}, ek_view{8, 3, 400}, ek_view{50, 3, 17}}) {
        Case c{view, F32, EK_NONE};
        Reference r = reference_of(c);
        r.x.assign(r.x.size(), kept(1234.567, F32));
        Run run = both(c, r);
        for (double var : run.var.values()) CHECK(var >= 0 && var < 1e-6, "var %g", var);
        for (double rstd : run.rstd.values()) CHECK(std::fabs(rstd * std::sqrt(1e-5) - 1) < 0.1, "%g", rstd);
    }
}

// The worst for a pivot: the first values say nothing about the rest.
static void test_misleading_start() {
    for (ek_view view : {ek_view{4096, 4, 1}, ek_view{4, 3, 9000}, ek_view{600, 100, 1}}) {
        Case c{view, F32, EK_NONE};
        c.offset = 10000;
        Reference r = reference_of(c);
        int64_t row = view.channels * view.inner;
        for (size_t i = 0; i < r.x.size(); ++i)
            if (int64_t(i) / row == 0 && int64_t(i) % view.inner < 20) r.x[i] = 0;
        r.moments();
        Run run = both(c, r);
        double e = error(run.var.values(), r.var);
        CHECK(e < 1e-5, "%s: var off by %g", c.name().c_str(), e);
    }
}

static void test_running() {
    Case c{{30, 5, 1}, F32, EK_NONE};
    Reference r = reference_of(c);
    Run run(c, r);
    Buffer mean(Values(5, 2.0), F32), var(Values(5, 3.0), F32);
    int32_t finite = -1;
    int64_t batches = 41;
    ek_train_args a{};
    a.call = run.call(1), a.eps = 1e-5, a.x = run.x.data(), a.y = run.y.data();
    a.mean = run.mean.data(), a.var = run.var.data(), a.rstd = run.rstd.data();
    a.momentum = 0.1, a.running_unbiased = 1, a.finite = &finite, a.batches = &batches;
    a.running_mean = mean.data(), a.running_var = var.data();
    CHECK(ek_train(&a) == EK_OK && finite == 1, "running");
    auto moved = [&] {
        for (size_t k = 0; k < 5; ++k) {
            CHECK(std::fabs(mean.values()[k] - (0.9 * 2 + 0.1 * r.mean[k])) < 1e-6, "mean");
            CHECK(std::fabs(var.values()[k] - (0.9 * 3 + 0.1 * r.var[k] * 30 / 29)) < 1e-6, "var");
        }
        CHECK(batches == 42, "%lld batches", (long long)batches);
    };
    moved();
    for (float bad : {NAN, INFINITY, -INFINITY, 3e38f}) {  // the last one's variance overflows
        ((float *)run.x.data())[7] = bad;
        CHECK(ek_train(&a) == EK_OK && finite == 0, "%g", bad);
        moved();  // once, not again
    }
}

static void test_refusals() {
    Case c{{40, 3000, 1}, F32, EK_SILU};
    Reference r = reference_of(c);
    Run run(c, r);
    auto train = [&](auto change) {
        ek_train_args a{};
        a.call = run.call(1), a.x = run.x.data(), a.y = run.y.data();
        a.mean = run.mean.data(), a.rstd = run.rstd.data();
        change(a);
        return ek_train(&a);
    };
    CHECK(train([](auto &) {}) == EK_OK, "plain");
    CHECK(train([](auto &a) { a.call.view.outer = 0; }) == EK_BAD_SHAPE, "empty");
    CHECK(train([](auto &a) { a.call.view.inner = INT64_MAX / 2; }) == EK_BAD_SHAPE, "overflow");
    CHECK(train([](auto &a) { a.call.dtype = 4; }) == EK_BAD_DTYPE, "dtype");
    CHECK(train([](auto &a) { a.call.param_dtype = EK_F64; }) == EK_BAD_DTYPE, "param_dtype");
    CHECK(train([](auto &a) { a.call.activation = 10; }) == EK_BAD_ACTIVATION, "activation");
    CHECK(train([](auto &a) { a.x = nullptr; }) == EK_MISSING_BUFFER, "x");
    CHECK(train([](auto &a) { a.running_mean = a.mean; }) == EK_MISSING_BUFFER, "running");
    CHECK(train([](auto &a) { a.running_mean = a.running_var = a.mean; }) == EK_MISSING_BUFFER, "var");
    CHECK(train([](auto &a) { a.call.workspace_bytes -= 8; }) == EK_SMALL_WORKSPACE, "workspace");
    CHECK(train([](auto &a) { a.call.workspace = nullptr; }) == EK_SMALL_WORKSPACE, "workspace");
    ek_backward_args b{};
    b.call = run.call(1), b.dy = run.dy.data(), b.x = run.x.data(), b.y = run.y.data();
    b.mean = run.mean.data(), b.rstd = run.rstd.data(), b.dx = run.dx.data();
    CHECK(ek_backward(&b) == EK_BAD_ACTIVATION, "silu from y");
    CHECK(ek_workspace_bytes({0, 1, 1}, EK_F32) == -EK_BAD_SHAPE, "workspace of nothing");
    CHECK(ek_set_isa("itanium") == EK_BAD_ISA && ek_isa(), "itanium");
    CHECK(ek_abi_version() == EK_ABI_VERSION && *ek_status_text(EK_BAD_ISA), "version");
}

// A comparison that cannot fail checks nothing: each slip that batch normalization is known for
// must come out as an error far above the bounds.
static void test_mutants_are_seen() {
    Case c{{30, 30, 1}, F32, EK_NONE};
    c.offset = 1;
    Reference r = reference_of(c);
    auto mutant = [&](const char *name, auto change) {
        Reference m = r;
        change(m);
        double e = std::max({error(m.y, r.y), error(m.var, r.var), error(m.dx, r.dx)});
        CHECK(e > 1e-5, "%s is not seen: %g", name, e);
    };
    mutant("unbiased for biased", [](Reference &m) { for (double &v : m.var) v *= 30.0 / 29; m.forward(); });
    mutant("eps outside the root", [](Reference &m) {
        m.forward();
        for (size_t i = 0; i < m.y.size(); ++i) {
            size_t k = size_t(m.channel(int64_t(i)));
            m.y[i] = (m.x[i] - m.mean[k]) / (std::sqrt(m.var[k]) + 1e-5 * 30) * m.w(k) + m.bias[k];
        }
    });
    mutant("wrong axis", [](Reference &m) { m.view = {1, 30, 30}; m.moments(); m.forward(); });
    mutant("mean not subtracted in dx", [](Reference &m) { m.frozen = true; m.backward(); });
    mutant("NaN", [](Reference &m) { m.y[3] = NAN_; });
}

int main() {
    for (const char *isa : ISAS) {
        if (!ek_has_isa(isa)) continue;
        ek_set_isa(isa);
        for (int dtype : {F32, F64, BF16, F16})
            for (ek_view view : {ek_view{40, 5, 1}, ek_view{9, 3, 30}, ek_view{6, 2, 700}, ek_view{600, 3, 1}})
                test_nan_travels(dtype, view);
        test_frozen_nan();
        test_in_place();
        test_subnormals();
        test_every_half();
        test_nan_of_all_ones();
        test_constant_channel();
        test_misleading_start();
        test_running();
        test_refusals();
    }
    test_mutants_are_seen();
    return report();
}
