// ek_backward for one instruction set.
#include "activation.h"
#include "normalization.h"

namespace ek::EK_ISA {
namespace {

// How the gradient g that reaches the normalization follows from dy. Where the activation is
// compiled in, it is told by what was normalized (computed again) or by the output y.
enum { G_NONE, G_RELU, G_RELU_BY_OUTPUT, G_LEAKY, G_LEAKY_BY_OUTPUT, G_OTHER };

// u = g, v = x - center.
template <class T, int GRADIENT>
struct Gradient {
    using A = Compute<T>;
    static constexpr int COEFS = 3;
    const T *dy, *x, *y, *residual;
    int activation;

    template <class Coef, class L>
    inline void terms(int64_t at, int64_t i, const Coef &coef, L lanes, Vec<A> &g,
                      Vec<A> &centered) const {
        g = loaded<A>(load(dy + at, lanes));
        centered = load(x + at, lanes) - coef.get(CENTER, i);
        auto input = [&] { return fma(centered, coef.get(SCALE, i), coef.get(SHIFT, i)); };
        auto output = [&] { return load(y + at, lanes); };
        if constexpr (GRADIENT == G_RELU)
            g = slope_from_input<A>(EK_RELU, g, input(), tiny<T>);
        else if constexpr (GRADIENT == G_RELU_BY_OUTPUT)
            g = slope_from_output<A>(EK_RELU, g, output(), 0);
        else if constexpr (GRADIENT == G_LEAKY)
            g = slope_from_input<A>(EK_LEAKY_RELU, g, input(), tiny<T>);
        else if constexpr (GRADIENT == G_LEAKY_BY_OUTPUT)
            g = slope_from_output<A>(EK_LEAKY_RELU, g, output(), 0);
        else if constexpr (GRADIENT == G_OTHER)
            g = y ? slope_from_output<A>(activation, g, output(), 0)
                  : slope_from_input<A>(activation, g, other_input(input(), at, lanes), tiny<T>);
    }
    template <class L>
    inline Vec<A> other_input(Vec<A> t, int64_t at, L lanes) const {
        return residual ? t + load(residual + at, lanes) : t;
    }
};

// dx = scale * g + slope * (x - center) + level, or scale * g by frozen statistics; dresidual = g.
template <class T, class Terms>
struct Backward {
    using A = Compute<T>;
    static constexpr int COEFS = 5;
    Terms gradient;
    T *dx, *dresidual;
    bool frozen, stream;

    int64_t to_alignment(int64_t at) const {
        return elements_to_alignment((dx ? dx : dresidual) + at);
    }
    template <class Coef, class L>
    inline void step(int64_t at, int64_t i, const Coef &coef, L lanes) const {
        Vec<A> g, centered;
        gradient.terms(at, i, coef, lanes, g, centered);
        if (dresidual) store(dresidual + at, g, lanes);
        if (!dx) return;
        Vec<A> rest = fma(coef.get(SLOPE, i), centered, coef.get(LEVEL, i));
        Vec<A> scale = coef.get(SCALE, i);
        store(dx + at, frozen ? scale * g : fma(scale, g, rest), lanes);
    }
};

template <class T, class Map>
struct BackwardJob {  // a job; see tiles.h
    using A = Compute<T>;
    const ek_backward_args &a;
    const Grid &grid;
    const Map &map;
    Partials partials;
    Coefs<A> coefs;

    bool sums_wanted() const { return a.dweight || a.dbias || (a.dx && !a.frozen); }

    Saved<A> saved(int64_t c) const { return {a.mean, a.rstd, a.low, c, grid.channels}; }

    void prepare(int64_t g) const {
        for_channels(grid, g, [&](int64_t c) {
            auto parameters = (Dtype)a.call.param_dtype;
            set_normalization(coefs, grid, c, saved(c), a.weight, a.bias, parameters);
        });
    }

    void reduce(int64_t g, int64_t p) const {
        int64_t first = g * grid.group;
        Coefs<A> own{&coefs.at(0, first), coefs.stride};
        reduce_tile(map.gradient, grid, own, g, p, grid.piece, partials.sums(p, grid.first_channel(g)));
    }

    void finish(int64_t g) const {
        for_channels(grid, g, [&](int64_t c) { finish_channel(c); });
    }

    void finish_channel(int64_t c) const {
        double sum = 0, dot = 0;
        for (int64_t p = 0; p < grid.pieces; ++p) {
            Sums part = partials.sums(p, c);
            sum += *part.u;
            dot += *part.uv;
        }
        Saved<A> s = saved(c);
        double off = s.exact_mean() - s.center(), rstd = s.exact_rstd();
        dot = (dot - off * sum) * rstd;  // of g and the normalized x
        auto parameters = (Dtype)a.call.param_dtype;
        if (a.dweight) put(a.dweight, parameters, c, dot);
        if (a.dbias) put(a.dbias, parameters, c, sum);
        double scale = (double)coefs.at(SCALE, c * grid.step()) / (double)grid.count();
        double slope = -scale * rstd * dot;
        set_coef(coefs, grid, SLOPE, c, (A)slope);
        set_coef(coefs, grid, LEVEL, c, (A)(-scale * sum - slope * off));
    }

    void apply(int64_t g, int64_t p) const {
        if (a.dx || a.dresidual) apply_tile<T>(map, grid, coefs, g, p);
    }
};

template <class T, int GRADIENT>
void backward_by(const ek_backward_args &a, const Grid &grid, void *workspace) {
    using Terms = Gradient<T, GRADIENT>;
    using Map = Backward<T, Terms>;
    auto dx = (T *)a.dx, dresidual = (T *)a.dresidual;
    bool alike = !dx || !dresidual || past_alignment(dx) == past_alignment(dresidual);
    bool stream = alike && a.dx != a.dy && a.dresidual != a.dy;
    stream = stream && worth_streaming(grid, dx ? dx : dresidual);
    Terms terms{(const T *)a.dy, (const T *)a.x, (const T *)a.y, (const T *)a.residual,
                a.call.activation};
    Map map{terms, dx, dresidual, a.frozen != 0, stream};
    Workspace work(workspace);
    BackwardJob<T, Map> job{a, grid, map, work.partials(grid), work.coefs<Compute<T>>(grid)};
    if (job.sums_wanted()) return run(grid, a.call.num_threads, job);
    for (int64_t g = 0; g < grid.groups; ++g) job.prepare(g);
    if (a.dx || a.dresidual) apply_all<T>(map, grid, job.coefs, a.call.num_threads);
}

template <class T>
void backward(const ek_backward_args &a, const Grid &grid, void *workspace) {
    bool relu = a.call.activation == EK_RELU, leaky = a.call.activation == EK_LEAKY_RELU;
    if (a.call.activation == EK_NONE)
        backward_by<T, G_NONE>(a, grid, workspace);
    else if (relu && a.y)
        backward_by<T, G_RELU_BY_OUTPUT>(a, grid, workspace);
    else if (relu && !a.residual)
        backward_by<T, G_RELU>(a, grid, workspace);
    else if (leaky && a.y)
        backward_by<T, G_LEAKY_BY_OUTPUT>(a, grid, workspace);
    else if (leaky && !a.residual)
        backward_by<T, G_LEAKY>(a, grid, workspace);
    else
        backward_by<T, G_OTHER>(a, grid, workspace);
}

}  // namespace

const Backwards backwards = {{backward<float>, backward<double>, backward<bf16>, backward<f16>}};

}  // namespace ek::EK_ISA
