// More than 2^31 values (4 GiB of f16, in place): every second value of a channel is c - 1, the
// others c + 1, so mean = c, var = 1 and y = +-1 in closed form.
#include "case.h"

int main() {
    for (ek_view view : {ek_view{(int64_t(1) << 30) + 3, 2, 1}, ek_view{2, 2, (int64_t(1) << 29) + 3}}) {
        int64_t size = view.outer * view.channels * view.inner;
        std::vector<_Float16> x(static_cast<size_t>(size));
        auto value = [&](int64_t i) {
            int64_t c = i / view.inner % 2, k = view.inner == 1 ? i / 2 : i % view.inner;
            return k % 2 ? c + 1 : c - 1;
        };
        for (int64_t i = 0; i < size; ++i) x[size_t(i)] = _Float16(value(i));
        float mean[2], var[2], rstd[2];
        int64_t bytes = ek_workspace_bytes(view, EK_F16);
        std::vector<char> workspace(static_cast<size_t>(bytes));
        ek_train_args a{};
        a.call = {view, EK_F16, EK_F16, EK_NONE, 2, workspace.data(), bytes};
        a.x = x.data(), a.y = x.data(), a.mean = mean, a.var = var, a.rstd = rstd;
        CHECK(ek_train(&a) == EK_OK, "train");
        for (int c = 0; c < 2; ++c) {
            CHECK(std::fabs(mean[c] - c) < 1e-6 && std::fabs(var[c] - 1) < 1e-6, "%g %g", mean[c], var[c]);
        }
        int64_t wrong = 0;
        for (int64_t i = 0; i < size; ++i)
            wrong += std::fabs(double(x[size_t(i)]) - double(value(i) - i / view.inner % 2)) > 1e-3;
        CHECK(wrong == 0, "%lld wrong", (long long)wrong);
    }
    return report();
}
