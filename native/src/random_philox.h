// Philox 4x32-10: a block of four words is a function of a key and a counter (Salmon et al. 2011,
// "Parallel random numbers: as easy as 1, 2, 3"). Written once; compiled for the vectors of each
// instruction set in random_philox.cpp.
#pragma once
#include <stdint.h>

namespace ek::philox {

// 128 bits, low half first.
struct Counter {
    uint64_t low, high;
};

inline Counter operator+(Counter c, uint64_t blocks) {
    uint64_t low = c.low + blocks;
    return {low, c.high + (low < blocks)};
}

constexpr uint32_t FACTORS[2] = {0xD2511F53, 0xCD9E8D57};
constexpr uint32_t WEYL[2] = {0x9E3779B9, 0xBB67AE85};
constexpr int ROUNDS = 10;

inline __attribute__((always_inline)) void round(uint32_t *c, const uint32_t *key) {
    uint64_t a = uint64_t(FACTORS[0]) * c[0], b = uint64_t(FACTORS[1]) * c[2];
    uint32_t first = uint32_t(b >> 32) ^ c[1] ^ key[0];
    uint32_t third = uint32_t(a >> 32) ^ c[3] ^ key[1];
    c[0] = first, c[1] = uint32_t(b), c[2] = third, c[3] = uint32_t(a);
}

inline __attribute__((always_inline)) void block(uint64_t key, Counter at, uint32_t *words) {
    uint32_t c[4] = {uint32_t(at.low), uint32_t(at.low >> 32), uint32_t(at.high),
                     uint32_t(at.high >> 32)};
    uint32_t k[2] = {uint32_t(key), uint32_t(key >> 32)};
    for (int r = 0; r < ROUNDS; ++r) {
        round(c, k);
        k[0] += WEYL[0], k[1] += WEYL[1];
    }
    for (int i = 0; i < 4; ++i) words[i] = c[i];
}

// Writes the words of `blocks` consecutive blocks.
using Fill = void (*)(uint64_t key, Counter start, int64_t blocks, uint32_t *words);
void fill_plain(uint64_t key, Counter start, int64_t blocks, uint32_t *words);
void fill_avx2(uint64_t key, Counter start, int64_t blocks, uint32_t *words);
void fill_avx512(uint64_t key, Counter start, int64_t blocks, uint32_t *words);

}  // namespace ek::philox
