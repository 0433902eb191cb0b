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
    bool stream;

    int64_t to_alignment(int64_t at) const {
        return elements_to_alignment(y + at);
    }
    template <class Coef, class L>
    inline void step(int64_t at, int64_t i, const Coef &coef, L lanes) const {
        Vec<A> centered = load(x + at, lanes) - coef.get(CENTER, i);
        Vec<A> t = fma(centered, coef.get(SCALE, i), coef.get(SHIFT, i));
        if (RESIDUAL || (ACTIVATION == OTHER && residual)) t += load(residual + at, lanes);
        store(y + at, activate<A>(ACTIVATION == OTHER ? activation : ACTIVATION, t), lanes);
    }
};

// fn(map) with the map that suits the arguments.
template <class T, class Args, class Fn>
void with_forward(const Args &a, const Grid &grid, Fn fn) {
    auto x = (const T *)a.x, residual = (const T *)a.residual;
    auto y = (T *)a.y;
    bool stream = worth_streaming(grid, y) && y != x && y != residual;
    int activation = a.call.activation;
    if (activation == EK_NONE && !residual)
        fn(Forward<T, EK_NONE, false>{x, residual, y, activation, stream});
    else if (activation == EK_NONE)
        fn(Forward<T, EK_NONE, true>{x, residual, y, activation, stream});
    else if (activation == EK_RELU && !residual)
        fn(Forward<T, EK_RELU, false>{x, residual, y, activation, stream});
    else if (activation == EK_RELU)
        fn(Forward<T, EK_RELU, true>{x, residual, y, activation, stream});
    else if (activation == EK_LEAKY_RELU && !residual)
        fn(Forward<T, EK_LEAKY_RELU, false>{x, residual, y, activation, stream});
    else
        fn(Forward<T, OTHER, false>{x, residual, y, activation, stream});
}

template <class T, class Map>
struct Train {  // a job; see tiles.h
    using A = Compute<T>;
    const ek_train_args &a;
    const Grid &grid;
    const Map &map;
    Moments<T> moments;
    Coefs<A> coefs;
    Dtype parameters;

    void prepare(int64_t) const {}
    void reduce(int64_t g, int64_t p) const { moments.reduce(g, p); }
    void apply(int64_t g, int64_t p) const { apply_tile<T>(map, grid, coefs, g, p); }

    void finish(int64_t g) const {
        for_channels(grid, g, [&](int64_t c) { finish_channel(c); });
    }

    void finish_channel(int64_t c) const {
        Moment moment = moments.channel(c);
        double var = moment.m2 / moment.count;
        Saved<A> saved(moment.mean, 1 / __builtin_sqrt(var + a.eps), a.low != nullptr);
        ((A *)a.mean)[c] = saved.mean;
        ((A *)a.rstd)[c] = saved.rstd;
        if (a.low) ((A *)a.low)[c] = saved.mean_low, ((A *)a.low)[grid.channels + c] = saved.rstd_low;
        if (a.var) ((A *)a.var)[c] = (A)var;
        set_normalization(coefs, grid, c, saved, a.weight, a.bias, parameters);
    }
};

// By the statistics as they were saved: running ones are no more precise than those.
template <class A>
void move_running(const ek_train_args &a, const Grid &grid) {
    auto mean = (const A *)a.mean, var = (const A *)a.var;
    auto parameters = (Dtype)a.call.param_dtype;
    double count = (double)grid.count(), keep = 1 - a.momentum;
    double correction = a.running_unbiased && count > 1 ? count / (count - 1) : 1;
    for (int64_t c = 0; c < grid.channels; ++c) {
        double old_mean = get(a.running_mean, parameters, c);
        double old_var = get(a.running_var, parameters, c);
        put(a.running_mean, parameters, c, keep * old_mean + a.momentum * mean[c]);
        put(a.running_var, parameters, c, keep * old_var + a.momentum * (var[c] * correction));
    }
}

template <class A>
bool all_finite(const void *mean, const void *var, int64_t channels) {
    A sum = 0;  // of zeros and NaNs
    for (int64_t c = 0; c < channels; ++c)
        sum += ((const A *)mean)[c] * 0 + ((const A *)var)[c] * 0;
    return sum == 0;
}

template <class T>
void train(const ek_train_args &a, const Grid &grid, void *workspace) {
    Workspace work(workspace);
    with_forward<T>(a, grid, [&](auto map) {
        Moments<T> moments{grid, {(const T *)a.x}, work.partials(grid)};
        Coefs<Compute<T>> coefs = work.coefs<Compute<T>>(grid);
        Train<T, decltype(map)> job{a, grid, map, moments, coefs, (Dtype)a.call.param_dtype};
        run(grid, a.call.num_threads, job);
    });
    if (!a.finite && !a.running_mean) return;
    bool finite = all_finite<Compute<T>>(a.mean, a.var, grid.channels);
    if (a.finite) *a.finite = finite;
    if (finite && a.running_mean) move_running<Compute<T>>(a, grid);
}

template <class T>
void normalize(const ek_normalize_args &a, const Grid &grid, void *workspace) {
    using A = Compute<T>;
    auto parameters = (Dtype)a.call.param_dtype;
    Coefs<A> coefs = Workspace(workspace).coefs<A>(grid);
    for (int64_t c = 0; c < grid.channels; ++c) {
        double rstd = 1 / __builtin_sqrt(get(a.var, parameters, c) + a.eps);
        Saved<A> saved(get(a.mean, parameters, c), rstd, false);
        if (a.saved_mean) ((A *)a.saved_mean)[c] = saved.mean;
        if (a.rstd) ((A *)a.rstd)[c] = saved.rstd;
        set_normalization(coefs, grid, c, saved, a.weight, a.bias, parameters);
    }
    with_forward<T>(a, grid, [&](auto map) {
        apply_all<T>(map, grid, coefs, a.call.num_threads);
    });
}

template <class T>
struct MomentsJob {
    const ek_moments_args &a;
    const Grid &grid;
    Moments<T> moments;

    void prepare(int64_t) const {}
    void reduce(int64_t g, int64_t p) const { moments.reduce(g, p); }
    void apply(int64_t, int64_t) const {}
    void finish(int64_t g) const {
        for_channels(grid, g, [&](int64_t c) {
            Moment moment = moments.channel(c);
            ((Compute<T> *)a.mean)[c] = (Compute<T>)moment.mean;
            ((Compute<T> *)a.var)[c] = (Compute<T>)(moment.m2 / moment.count);
        });
    }
};

template <class T>
void moments(const ek_moments_args &a, const Grid &grid, void *workspace) {
    Moments<T> moments{grid, {(const T *)a.x}, Workspace(workspace).partials(grid)};
    run(grid, a.call.num_threads, MomentsJob<T>{a, grid, moments});
}

}  // namespace

const Forwards forwards = {
    {moments<float>, moments<double>, moments<bf16>, moments<f16>},
    {train<float>, train<double>, train<bf16>, train<f16>},
    {normalize<float>, normalize<double>, normalize<bf16>, normalize<f16>},
};

}  // namespace ek::EK_ISA
