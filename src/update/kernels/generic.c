#include "update/kernels/kernel.h"

#include <float.h>
#include <string.h>

static bool supported(void) {
    return true;
}

static uint32_t quantise(const msfl_rounding_rule *rule, uint32_t *out, const float *x, const uint32_t *words,
                         size_t n_groups) {
    const float high = rule->clip, low = -rule->clip;
    uint32_t n_clipped = 0;
    for (size_t g = 0; g < n_groups; g++, x += MSFL_GROUP_SLOTS, out += MSFL_GROUP_SLOTS, words += MSFL_GROUP_WORDS) {
        for (int l = 0; l < MSFL_GROUP_SLOTS; l++) {
            float c = x[l] > low ? x[l] : low;
            c = c < high ? c : high;
            n_clipped += (x[l] > high) | (x[l] < low);
            double t = (double)c * rule->scale + rule->base;
            uint64_t y;
            memcpy(&y, &t, sizeof y);
            uint32_t word = words[2 * (l % 8) + l / 8 % 2];
            if (l >= 16) word = word << 16 | word >> 16;
            /* The exponent of t is above bit 52: adding less than 2^F does not reach it, the mask removes it. */
            out[l] = (uint32_t)((y + (word & rule->random_mask)) >> rule->shift) & rule->value_mask;
        }
    }
    return n_clipped;
}

/** NaN and infinity are the floats whose eight exponent bits are all set: adding 1 to the exponent then carries into
 *  the sign bit, and nothing else does. An OR over many values needs no branch. */
static bool finite(const float *x, size_t n) {
    uint32_t seen = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, sizeof bits);
        seen |= (bits & 0x7fffffffu) + 0x00800000u;
    }
    return (seen & 0x80000000u) == 0;
}

static bool within(const uint64_t *totals, size_t n, uint64_t low, uint64_t high) {
    bool good = true;
    for (size_t i = 0; i < n; i++)
        good &= (totals[i] >= low) & (totals[i] <= high);
    return good;
}

static void decode(float *mean, const uint64_t *totals, size_t n, uint64_t offset, double step) {
    for (size_t i = 0; i < n; i++) {
        /* An integer of at most 49 bits and a sign: exact as a double. */
        double x = (double)(int64_t)(2 * totals[i] - offset) * step;
        mean[i] = (float)(x > (double)FLT_MAX ? (double)FLT_MAX : x < -(double)FLT_MAX ? -(double)FLT_MAX : x);
    }
}

const msfl_update_kernel msfl_update_generic = {"generic", supported, quantise, finite, within, decode};
