// One call of the library with buffers between canaries, beside its reference.
#pragma once
#include "reference.h"

inline const char *const ISAS[] = {"baseline", "avx2", "avx512", "avx512bf16", "neon"};

struct Case {
    ek_view view;
    int dtype = F32, kind = EK_NONE;
    bool residual = false, affine = true, frozen = false;
    double offset = 0;
    uint32_t seed = 1;

    int statistics() const { return dtype == F64 ? F64 : F32; }
    std::string name() const {
        char text[200];
        std::snprintf(text, sizeof text, "%s %s {%lld, %lld, %lld} act %d res %d affine %d frozen %d offset %g",
                      ek_isa() ? ek_isa() : "none", DTYPE_NAMES[dtype], (long long)view.outer,
                      (long long)view.channels, (long long)view.inner, kind, residual, affine,
                      frozen, offset);
        return text;
    }
};

// A number as `dtype` keeps it.
inline double kept(double value, int dtype) {
    double room = 0;
    put(&room, dtype, 0, value);
    return get(&room, dtype, 0);
}

// Both passes of one case on the library.
struct Run {
    Case c;
    Buffer x, residual, weight, bias, dy, y, mean, var, rstd, low, dx, dresidual, dweight, dbias;
    Buffer workspace;
    int forward_status = -1, backward_status = -1;

    Run(const Case &given, const Reference &r) : c(given) {
        int64_t size = int64_t(r.x.size()), channels = c.view.channels;
        x = Buffer(r.x, c.dtype), dy = Buffer(r.dy, c.dtype);
        if (c.residual) residual = Buffer(r.residual, c.dtype);
        if (c.affine) weight = Buffer(r.weight, c.statistics()), bias = Buffer(r.bias, c.statistics());
        for (Buffer *b : {&y, &dx, &dresidual}) *b = Buffer(size, c.dtype);
        for (Buffer *b : {&mean, &var, &rstd, &dweight, &dbias}) *b = Buffer(channels, c.statistics());
        low = Buffer(2 * channels, c.statistics());
        workspace = Buffer((ek_workspace_bytes(c.view, c.dtype) + 7) / 8, F64);
        if (c.frozen) mean = Buffer(r.mean, c.statistics()), var = Buffer(r.var, c.statistics());
    }
    ek_call call(int threads) {
        return {c.view, c.dtype, c.statistics(), c.kind, threads, workspace.data(), workspace.bytes()};
    }
    void forward(int threads) {
        if (c.frozen) {
            ek_normalize_args a{};
            a.call = call(threads), a.eps = 1e-5, a.x = x.data(), a.residual = residual.data();
            a.weight = weight.data(), a.bias = bias.data(), a.mean = mean.data(), a.var = var.data();
            a.y = y.data(), a.rstd = rstd.data();
            forward_status = ek_normalize(&a);
            return;
        }
        ek_train_args a{};
        a.call = call(threads), a.eps = 1e-5, a.x = x.data(), a.residual = residual.data();
        a.weight = weight.data(), a.bias = bias.data(), a.y = y.data(), a.mean = mean.data();
        a.var = var.data(), a.rstd = rstd.data(), a.low = low.data();
        forward_status = ek_train(&a);
    }
    void backward(int threads) {
        bool input = c.kind == EK_SILU || c.kind == EK_HARDSWISH || c.kind == EK_GELU;
        // A derivative read from a y of 16 bits is no better than that y.
        input |= size_of(c.dtype) == 2 && c.kind > EK_RELU6;
        ek_backward_args a{};
        a.call = call(threads), a.frozen = c.frozen, a.dy = dy.data(), a.x = x.data();
        a.y = c.residual && !input ? y.data() : nullptr;
        a.residual = c.residual && input ? residual.data() : nullptr;
        a.weight = weight.data(), a.bias = bias.data(), a.mean = mean.data(), a.rstd = rstd.data();
        a.low = c.frozen ? nullptr : low.data();
        a.dx = dx.data(), a.dresidual = c.residual ? dresidual.data() : nullptr;
        a.dweight = dweight.data(), a.dbias = dbias.data();
        backward_status = ek_backward(&a);
    }
    bool intact() {
        for (Buffer *b : {&x, &residual, &weight, &bias, &dy, &y, &mean, &var, &rstd, &low, &dx,
                          &dresidual, &dweight, &dbias, &workspace})
            if (!b->intact()) return false;
        return true;
    }
    bool same_bits(Run &other) {
        return y.same_bits(other.y) && mean.same_bits(other.mean) && var.same_bits(other.var) &&
               rstd.same_bits(other.rstd) && low.same_bits(other.low) && dx.same_bits(other.dx) &&
               dresidual.same_bits(other.dresidual) && dweight.same_bits(other.dweight) &&
               dbias.same_bits(other.dbias);
    }
};

// Random data as the dtype keeps it; no gradient where an activation has a kink.
inline Reference reference_of(const Case &c) {
    std::mt19937 random(c.seed);
    std::normal_distribution<double> normal;
    Reference r;
    r.view = c.view, r.kind = c.kind, r.frozen = c.frozen;
    size_t size = size_t(c.view.outer * c.view.channels * c.view.inner);
    auto draw = [&](size_t n, double offset, double scale, int dtype) {
        Values v(n);
        for (double &value : v) value = kept(offset + scale * normal(random), dtype);
        return v;
    };
    r.x = draw(size, c.offset, 1, c.dtype), r.dy = draw(size, 0, 1, c.dtype);
    if (c.residual) r.residual = draw(size, 0, 2, c.dtype);
    if (c.affine) {
        r.weight = draw(size_t(c.view.channels), 1, 0.3, c.statistics());
        r.bias = draw(size_t(c.view.channels), 0.2, 0.5, c.statistics());
    }
    r.moments();
    if (c.frozen)
        for (size_t k = 0; k < r.mean.size(); ++k) {
            r.mean[k] = kept(r.mean[k] + 0.1, c.statistics());
            r.var[k] = kept(r.var[k] + 0.5, c.statistics());
        }
    r.forward();
    double width = c.dtype == F64 ? 1e-5 : c.dtype == F32 ? 2e-3 : 0.06;
    for (size_t i = 0; i < size; ++i)
        if (near_kink(c.kind, r.input[i], width)) r.dy[i] = 0;
    r.backward();
    return r;
}
