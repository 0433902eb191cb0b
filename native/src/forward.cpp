// ek_train, ek_normalize and ek_moments for one instruction set.
#include "activation.h"
#include "moments.h"
#include "normalization.h"

namespace ek::EK_ISA {
namespace {

// y = activation(normalized x + residual). RELU and LEAKY are compiled in; OTHER
// looks its activation and residual up at every vector.
constexpr int OTHER = -1;

template <class T, int ACTIVATION, bool RESIDUAL>
struct Forward {
    using A = Compute<T>;
    static constexpr int COEFS = 3;
    const T *x, *residual;
    T *y;
    int activation;
    bool stream, near;

    int64_t to_alignment(int64_t at) const {
        return elements_to_alignment(y + at);
    }
    template <class Coef, class L>
    inline void step(int64_t at, int64_t i, const Coef &coef, L lanes) const {
        Vec<A> centered = load(x + at, lanes) - coef.get(CENTER, i);
        Vec<A> t = fma(centered, coef.get(SCALE, i), coef.get(SHIFT, i));
        if (RESIDUAL || (ACTIVATION == OTHER && residual)) t += load(residual + at, lanes);
        t = ACTIVATION == OTHER ? call_activate<A>(activation, t) : activate<A>(ACTIVATION, t);
        store(y + at, t, lanes);
    }
};

// fn(map) with the map that suits the arguments.
template <class T, class Args, class Fn>
void with_forward(const Args &a, const Grid &grid, Fn fn) {
    auto x = (const T *)a.x, residual = (const T *)a.residual;
    auto y = (T *)a.y;
    bool stream = worth_streaming(grid, y) && y != x && y != residual;
    bool near = grid.size() <= (y == x ? NEAR : NEAR_COPIED);
    int activation = a.call.activation;
    if (activation == EK_NONE && !residual)
        fn(Forward<T, EK_NONE, false>{x, residual, y, activation, stream, near});
    else if (activation == EK_NONE)
        fn(Forward<T, EK_NONE, true>{x, residual, y, activation, stream, near});
    else if (activation == EK_RELU && !residual)
        fn(Forward<T, EK_RELU, false>{x, residual, y, activation, stream, near});
    else if (activation == EK_RELU)
        fn(Forward<T, EK_RELU, true>{x, residual, y, activation, stream, near});
    else if (activation == EK_LEAKY_RELU && !residual)
        fn(Forward<T, EK_LEAKY_RELU, false>{x, residual, y, activation, stream, near});
    else
        fn(Forward<T, OTHER, false>{x, residual, y, activation, stream, near});
}

// From the sums of a batch of channels to statistics and coefficients. (A function of its own: the
// job below is compiled for every map.)
template <class T>
EK_APART void finish_train(const ek_train_args &a, const Grid &grid, const Moments<T> &moments,
                           const Coefs<Compute<T>> &coefs, Batch batch) {
    using A = Compute<T>;
    BatchMoments m;
    Statistics<A> s;
    alignas(64) double rstd[BATCH];
    double count = (double)grid.count();
    moments.merge(batch, m);
    for (int64_t k = 0; k < batch.size; ++k) {
        m.m2[k] /= count;  // the variance
        rstd[k] = 1 / __builtin_sqrt(m.m2[k] + a.eps);
    }
    s.round(batch, m.mean, rstd, a.low != nullptr);
    copy_batch(a.mean, batch, s.mean), copy_batch(a.rstd, batch, s.rstd);
    if (a.low) {
        copy_batch(a.low, batch, s.mean_low);
        copy_batch((A *)a.low + grid.channels, batch, s.rstd_low);
    }
    if (a.var) put_batch(a.var, STATISTICS<T>, batch, m.m2);
    s.weigh(batch, a.weight, a.bias, (Dtype)a.call.param_dtype);
    set_normalization(coefs, grid, batch, s);
}

template <class T, class Map>
struct Train {  // a job; see tiles.h
    using A = Compute<T>;
    const ek_train_args &a;
    const Grid &grid;
    const Map &map;
    Moments<T> moments;
    Coefs<A> coefs;

    static constexpr bool PREPARES = false;
    void prepare(Batch) const {}
    void reduce(int64_t g, int64_t p) const { moments.reduce(g, p); }
    void apply(int64_t g, int64_t p) const { apply_tile<T>(map, grid, coefs, g, p); }
    void finish(Batch batch) const { finish_train(a, grid, moments, coefs, batch); }

};

// By the statistics as they were saved: running ones are no more precise than those.
template <class T>
void move_running(const ek_train_args &a, const Grid &grid) {
    auto parameters = (Dtype)a.call.param_dtype;
    double count = (double)grid.count(), keep = 1 - a.momentum;
    double correction = a.running_unbiased && count > 1 ? count / (count - 1) : 1;
    auto move = [&](void *running, const void *batch_value, double factor, Batch batch) {
        alignas(64) double old[BATCH], now[BATCH];
        get_batch(running, parameters, batch, 0, old);
        get_batch(batch_value, STATISTICS<T>, batch, 0, now);
        for (int64_t k = 0; k < batch.size; ++k)
            old[k] = keep * old[k] + a.momentum * (now[k] * factor);
        put_batch(running, parameters, batch, old);
    };
    each_batch(0, grid.channels, [&](Batch batch) {
        move(a.running_mean, a.mean, 1, batch);
        move(a.running_var, a.var, correction, batch);
    });
}

template <class A>
bool all_finite(const void *mean, const void *var, int64_t channels) {
    int bad = 0;
    for (int64_t c = 0; c < channels; ++c) {
        A m = ((const A *)mean)[c], v = ((const A *)var)[c];
        bad |= (m - m != 0) | (v - v != 0);
    }
    return !bad;
}

template <class T>
void train(const ek_train_args &a, const Grid &grid, void *workspace) {
    Workspace work(workspace);
    with_forward<T>(a, grid, [&](auto map) {
        Moments<T> moments{grid, {(const T *)a.x}, work.partials(grid)};
        Coefs<Compute<T>> coefs = work.coefs<Compute<T>>(grid);
        Train<T, decltype(map)> job{a, grid, map, moments, coefs};
        run(grid, a.call.num_threads, job);
    });
    if (!a.finite && !a.running_mean) return;
    bool finite = all_finite<Compute<T>>(a.mean, a.var, grid.channels);
    if (a.finite) *a.finite = finite;
    if (!finite || !a.running_mean) return;
    move_running<T>(a, grid);
    if (a.batches) ++*a.batches;
}

template <class T>
void normalize(const ek_normalize_args &a, const Grid &grid, void *workspace) {
    using A = Compute<T>;
    auto parameters = (Dtype)a.call.param_dtype;
    Coefs<A> coefs = Workspace(workspace).coefs<A>(grid);
    each_batch(0, grid.channels, [&](Batch batch) {
        alignas(64) double mean[BATCH], rstd[BATCH];
        Statistics<A> s;
        get_batch(a.mean, parameters, batch, 0, mean);
        get_batch(a.var, parameters, batch, 0, rstd);
        for (int64_t k = 0; k < batch.size; ++k) rstd[k] = 1 / __builtin_sqrt(rstd[k] + a.eps);
        s.round(batch, mean, rstd, false);
        if (a.saved_mean) copy_batch(a.saved_mean, batch, s.mean);
        if (a.rstd) copy_batch(a.rstd, batch, s.rstd);
        s.weigh(batch, a.weight, a.bias, parameters);
        set_normalization(coefs, grid, batch, s);
    });
    with_forward<T>(a, grid, [&](auto map) {
        apply_all<T>(map, grid, coefs, a.call.num_threads);
    });
}

template <class T>
struct MomentsJob {
    const ek_moments_args &a;
    const Grid &grid;
    Moments<T> moments;

    static constexpr bool PREPARES = false;
    void prepare(Batch) const {}
    void reduce(int64_t g, int64_t p) const { moments.reduce(g, p); }
    void apply(int64_t, int64_t) const {}
    void finish(Batch batch) const {
        BatchMoments m;
        moments.merge(batch, m);
        for (int64_t k = 0; k < batch.size; ++k) m.m2[k] /= (double)grid.count();
        put_batch(a.mean, STATISTICS<T>, batch, m.mean);
        put_batch(a.var, STATISTICS<T>, batch, m.m2);
    }
};

template <class T>
void moments(const ek_moments_args &a, const Grid &grid, void *workspace) {
    Moments<T> moments{grid, {(const T *)a.x}, Workspace(workspace).partials(grid)};
    run(grid, a.call.num_threads, MomentsJob<T>{a, grid, moments});
}

}  // namespace

#if defined(EK_ONLY_BF16)
const Forwards forwards = {
    {nullptr, nullptr, moments<bf16>, nullptr},
    {nullptr, nullptr, train<bf16>, nullptr},
    {nullptr, nullptr, normalize<bf16>, nullptr},
};
#else
const Forwards forwards = {
    {moments<float>, moments<double>, moments<bf16>, moments<f16>},
    {train<float>, train<double>, train<bf16>, train<f16>},
    {normalize<float>, normalize<double>, normalize<bf16>, normalize<f16>},
};
#endif

}  // namespace ek::EK_ISA
