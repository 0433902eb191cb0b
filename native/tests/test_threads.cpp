// The same bits for 1, 2, 3 and 7 threads, call after call, and from several threads at once.
// The last views are large enough for stores past the cache, at every alignment.
#include <thread>

#include "case.h"

int main() {
    const ek_view views[] = {{64, 4, 784},  {1, 1, 200000}, {1, 2, 150000}, {600, 300, 1},
                             {32, 70, 49},  {3, 40000, 1},  {50000, 4, 1},  {30000, 24, 1},
                             {20, 9, 1000}, {9000, 1030, 1}, {40, 9, 30011}};
    for (const char *isa : ISAS) {
        if (!ek_has_isa(isa)) continue;
        ek_set_isa(isa);
        for (const ek_view &view : views)
            for (int dtype : {F32, F64, BF16})
                for (int kind : {EK_NONE, EK_RELU}) {
                    if (view.outer * view.channels * view.inner > 4000000 && (dtype != F32 || kind != EK_RELU)) continue;
                    Case c{view, dtype, kind};
                    c.residual = kind == EK_RELU && dtype == F32, c.offset = 3;
                    Reference r;
                    r.view = view, r.kind = kind;
                    std::mt19937 random(7);
                    std::normal_distribution<double> normal(3, 1);
                    r.x.resize(size_t(view.outer * view.channels * view.inner));
                    for (double &v : r.x) v = normal(random);
                    r.dy = r.residual = r.x;
                    for (size_t i = 0; i < r.dy.size(); ++i) r.dy[i] = std::sin(double(i));
                    r.weight.assign(size_t(view.channels), 1.5), r.bias.assign(size_t(view.channels), 0.1);
                    Run one(c, r);
                    one.forward(1), one.backward(1);
                    CHECK(one.forward_status == EK_OK && one.backward_status == EK_OK, "%s", c.name().c_str());
                    for (int threads : {2, 3, 7, 2}) {
                        Run many(c, r);
                        many.forward(threads), many.backward(threads);
                        CHECK(one.same_bits(many), "%s: %d threads", c.name().c_str(), threads);
                        CHECK(many.intact(), "%s: wrote past a buffer", c.name().c_str());
                    }
                }
    }
    ek_set_isa(nullptr);
    Case c{{64, 6, 900}, F32, EK_RELU};
    Reference r = reference_of(c);
    Run alone(c, r);
    alone.forward(1), alone.backward(1);
    std::vector<std::thread> callers;
    std::vector<int> same(4, 0);
    for (int k = 0; k < 4; ++k)
        callers.emplace_back([&, k] {
            for (int turn = 0; turn < 10; ++turn) {
                Run run(c, r);
                run.forward(1 + k % 3), run.backward(1 + k % 3);
                same[size_t(k)] += alone.same_bits(run);
            }
        });
    for (std::thread &t : callers) t.join();
    for (int n : same) CHECK(n == 10, "calls at the same time: %d of 10 alike", n);
    return report();
}
