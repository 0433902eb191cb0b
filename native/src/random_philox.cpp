#include "random_philox.h"

namespace ek::philox {
namespace {

inline __attribute__((always_inline)) void fill(uint64_t key, Counter start, int64_t blocks,
                                                uint32_t *words) {
    for (int64_t i = 0; i < blocks; ++i) block(key, start + uint64_t(i), words + 4 * i);
}

}  // namespace

void fill_plain(uint64_t key, Counter start, int64_t blocks, uint32_t *words) {
    fill(key, start, blocks, words);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) void fill_avx2(uint64_t key, Counter start, int64_t blocks,
                                               uint32_t *words) {
    fill(key, start, blocks, words);
}

__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512"))) void
fill_avx512(uint64_t key, Counter start, int64_t blocks, uint32_t *words) {
    fill(key, start, blocks, words);
}
#endif

}  // namespace ek::philox
