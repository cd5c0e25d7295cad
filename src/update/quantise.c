/* Floats to slots. See docs/design/encoding.md for the rounding and why its randomness needs no secrecy. */
#include "update/layout.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/sodium.h"
#include "update/kernels/kernel.h"

#include <inttypes.h>
#include <math.h>

static msfl_status check_counts(const msfl_update_layout *layout, const msfl_update_input *input) {
    if (input->n_samples < 1 || input->n_samples > layout->n_max) {
        return msfl_fail(MSFL_ERR_NUMERIC, "update: %" PRIu64 " samples, but the round allows 1 to %" PRIu64,
                         input->n_samples, layout->n_max);
    }
    if (layout->n_counters > 1 && input->counters == NULL) {
        return msfl_fail(MSFL_ERR_USAGE,
                         "update: the round has %" PRIu32 " counters beside the sample count, none given",
                         layout->n_counters - 1);
    }
    for (uint32_t k = 1; k < layout->n_counters; k++) {
        if (input->counters[k - 1] > MSFL_UPDATE_COUNTER_MAX) {
            return msfl_fail(MSFL_ERR_NUMERIC, "update: counter %" PRIu32 " is above %" PRIu64, k,
                             (uint64_t)MSFL_UPDATE_COUNTER_MAX);
        }
    }
    if (layout->n_values > 0 && input->values == NULL) {
        return msfl_fail(MSFL_ERR_USAGE, "update: the layout holds %" PRIu64 " values, none given", layout->n_values);
    }
    return MSFL_OK;
}

/** NaN and infinity are the floats whose eight exponent bits are all set: adding 1 to the exponent then carries into
 *  the sign bit, and nothing else does. An OR over many values needs no branch. */
static bool has_non_finite(const float *values, size_t n) {
    uint32_t seen = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, values + i, sizeof bits);
        seen |= (bits & 0x7fffffffu) + 0x00800000u;
    }
    return (seen & 0x80000000u) != 0;
}

msfl_status msfl_update_check(const msfl_update_layout *layout, const msfl_update_input *input) {
    enum { BLOCK = 4096 };
    msfl_status status = check_counts(layout, input);
    if (status != MSFL_OK) return status;
    for (uint64_t at = 0; at < layout->n_values; at += BLOCK) {
        size_t n = layout->n_values - at < BLOCK ? (size_t)(layout->n_values - at) : BLOCK;
        if (!has_non_finite(input->values + at, n)) continue;
        uint64_t v = at;
        while (isfinite(input->values[v]))
            v++;
        size_t r = msfl_layout_range_of(layout, v);
        return msfl_fail(MSFL_ERR_NUMERIC,
                         "update: value %" PRIu64 " (range %zu, position %" PRIu64
                         ") is %s; training diverged, such an update is not sent",
                         v, r, v - layout->starts[r], isnan(input->values[v]) ? "NaN" : "infinite");
    }
    return MSFL_OK;
}

/** Word s of the stream belongs to slot s, whatever slice asks for it. */
typedef struct rounding {
    uint8_t key[MSFL_HASH_BYTES];
    uint64_t first; /* slot of words[0], a multiple of 16 */
    uint64_t end;   /* one past the last slot that words[] serves */
    uint32_t words[MSFL_QUANTISE_BLOCK];
} rounding;

static void rounding_init(rounding *g, uint64_t seed) {
    msfl_hash h;
    msfl_hash_init(&h, "msfl.update.rounding.v1");
    msfl_hash_add_u64(&h, seed);
    msfl_hash_final(&h, g->key);
    g->first = g->end = 0;
}

/** Make words[] serve `slot` and as many slots after it, up to `end`, as it holds. */
static void rounding_fill(rounding *g, uint64_t slot, uint64_t end) {
    enum { WORDS_PER_BLOCK = 16 };
    g->first = slot / WORDS_PER_BLOCK * WORDS_PER_BLOCK;
    uint64_t n = end - g->first;
    if (n > MSFL_QUANTISE_BLOCK) n = MSFL_QUANTISE_BLOCK;
    g->end = g->first + n;
    msfl_chacha20_stream(g->key, 0, g->first / WORDS_PER_BLOCK, (uint8_t *)g->words, (size_t)n * sizeof *g->words);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    for (size_t i = 0; i < n; i++)
        g->words[i] = __builtin_bswap32(g->words[i]);
#endif
}

msfl_status msfl_update_quantise(const msfl_update_layout *layout, const msfl_update_input *input, uint64_t first,
                                 size_t n, uint32_t *slots, msfl_update_stats *stats) {
    msfl_status status = check_counts(layout, input);
    if (status != MSFL_OK) return status;
    uint64_t n_slots = msfl_update_slots(layout);
    if (first > n_slots || n > n_slots - first) {
        return msfl_fail(MSFL_ERR_USAGE, "update: slots %" PRIu64 " and %zu more of a vector of %" PRIu64, first, n,
                         n_slots);
    }
    const uint64_t end = first + n;
    uint64_t slot = first;
    for (; slot < end && slot < layout->counter_slots; slot++) {
        uint64_t k = slot / layout->digits;
        uint64_t value = k == 0 ? input->n_samples : input->counters[k - 1];
        uint64_t shift = slot % layout->digits * layout->value_bits; /* below 35 + 32 - 1; 64 and more cannot occur */
        slots[slot - first] = (uint32_t)((value >> shift) & msfl_layout_top(layout));
    }
    if (slot == end) return MSFL_OK;

    const msfl_quantise_kernel *kernel = msfl_quantise_kernel_best();
    const uint32_t middle = UINT32_C(1) << (layout->value_bits - 1);
    uint64_t n_clipped = 0;
    rounding g;
    rounding_init(&g, input->rounding_seed);
    for (size_t r = msfl_layout_range_of(layout, slot - layout->counter_slots); slot < end; r++) {
        const float clip = layout->ranges[r].clip;
        const double scale = msfl_layout_scale(layout, clip, input->n_samples);
        uint64_t range_end = layout->counter_slots + layout->starts[r + 1];
        if (range_end > end) range_end = end;
        while (slot < range_end) {
            if (slot >= g.end) rounding_fill(&g, slot, end);
            uint64_t stop = range_end < g.end ? range_end : g.end;
            n_clipped += kernel->quantise(input->values + (slot - layout->counter_slots), g.words + (slot - g.first),
                                          (size_t)(stop - slot), clip, scale, middle, slots + (slot - first));
            slot = stop;
        }
    }
    if (stats != NULL) stats->n_clipped += n_clipped;
    return MSFL_OK;
}
