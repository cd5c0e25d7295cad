/* Opened sums to the weighted mean. */
#include "update/kernels/kernel.h"
#include "update/layout.h"

#include "base/error.h"
#include "base/mem.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

struct msfl_update_decoder {
    const msfl_update_layout *layout;
    uint32_t n_clients;
    uint64_t next; /* slot that the next call must begin with */
    uint64_t counters[MSFL_COUNTERS_MAX];
};

msfl_status msfl_update_decoder_new(const msfl_update_layout *layout, uint32_t n_clients, msfl_update_decoder **out) {
    *out = NULL;
    if (n_clients < 1 || n_clients > MSFL_UPDATE_CLIENTS_MAX) {
        return msfl_fail(MSFL_ERR_USAGE, "update decoder: %" PRIu32 " clients; use 1 to %d", n_clients,
                         MSFL_UPDATE_CLIENTS_MAX);
    }
    msfl_update_decoder *decoder = msfl_alloc(1, sizeof *decoder);
    if (decoder == NULL) return MSFL_NO_MEMORY;
    decoder->layout = layout;
    decoder->n_clients = n_clients;
    *out = decoder;
    return MSFL_OK;
}

void msfl_update_decoder_free(msfl_update_decoder *decoder) {
    msfl_free(decoder);
}

uint64_t msfl_update_counter(const msfl_update_decoder *decoder, uint32_t k) {
    const msfl_update_layout *layout = decoder->layout;
    if (k >= layout->n_counters || decoder->next < (uint64_t)(k + 1) * layout->digits) return 0;
    return decoder->counters[k];
}

static msfl_status impossible(const msfl_update_decoder *decoder, uint64_t slot, uint64_t low, uint64_t high) {
    /* The total itself is not shown: it is a sum of update values. */
    return msfl_fail(MSFL_ERR_NUMERIC,
                     "opened sum: slot %" PRIu64 " is outside [%" PRIu64 ", %" PRIu64 "], which no %" PRIu32
                     " well-formed updates can give; a client sent a malformed update or the "
                     "wrong keys were used",
                     slot, low, high, decoder->n_clients);
}

/** Add digit slots to `counters`, checking each counter as its last digit arrives. */
static msfl_status decode_counters(const msfl_update_decoder *decoder, uint64_t first, uint64_t end,
                                   const uint64_t *totals, uint64_t *counters) {
    const msfl_update_layout *layout = decoder->layout;
    const uint64_t digit_max = decoder->n_clients * msfl_layout_top(layout);
    const uint64_t sum_max = decoder->n_clients * MSFL_UPDATE_COUNTER_MAX;
    for (uint64_t slot = first; slot < end; slot++) {
        uint64_t k = slot / layout->digits, digit = slot % layout->digits;
        uint64_t total = totals[slot - first];
        uint64_t shift = digit * layout->value_bits; /* at most 34 */
        uint64_t max = sum_max >> shift < digit_max ? sum_max >> shift : digit_max;
        if (total > max) return impossible(decoder, slot, 0, max);
        /* At most 18 digits of at most 2^48 each: no overflow. */
        counters[k] = (digit == 0 ? 0 : counters[k]) + (total << shift);
        if (digit + 1 < layout->digits) continue;
        if (counters[k] > sum_max) return impossible(decoder, slot, 0, max);
        if (k == 0 && (counters[0] < decoder->n_clients || counters[0] > decoder->n_clients * layout->n_max)) {
            return msfl_fail(MSFL_ERR_NUMERIC,
                             "opened sum: %" PRIu64 " samples in all, but %" PRIu32 " clients hold 1 to %" PRIu64
                             " each; a client sent a malformed update or the wrong keys "
                             "were used",
                             counters[0], decoder->n_clients, layout->n_max);
        }
    }
    return MSFL_OK;
}

/**
 * The interval that every honest total lies in: client i's slot is off by less than 1 from
 * (2^b - 1)/2 + omega_i x_i/delta, and |omega_i x_i| <= omega_i C. One more on each side for rounding here.
 */
static void total_bounds(const msfl_update_decoder *decoder, uint64_t n_samples, uint64_t *low, uint64_t *high) {
    const double n = decoder->n_clients;
    const double half = 0.5 * (double)msfl_layout_top(decoder->layout);
    const double omega = (double)n_samples / (double)decoder->layout->n_max;
    const uint64_t all = decoder->n_clients * msfl_layout_top(decoder->layout);
    double least = floor(half * (n - omega) - n - 1.0);
    double most = ceil(half * (n + omega) + n + 1.0);
    *low = least > 0.0 ? (uint64_t)least : 0;
    *high = most < (double)all ? (uint64_t)most : all;
}

msfl_status msfl_update_decode(msfl_update_decoder *decoder, uint64_t first, size_t n, const uint64_t *totals,
                               float *mean) {
    enum { BLOCK = 2048 }; /* checked and then read again from the first-level cache */
    const msfl_update_layout *layout = decoder->layout;
    const uint64_t n_slots = msfl_update_slots(layout);
    if (first != decoder->next || n > n_slots - first) {
        return msfl_fail(MSFL_ERR_USAGE,
                         "update decoder: slots %" PRIu64 " and %zu more, but it stands at %" PRIu64 " of %" PRIu64,
                         first, n, decoder->next, n_slots);
    }
    const uint64_t end = first + n;
    uint64_t counters[MSFL_COUNTERS_MAX];
    memcpy(counters, decoder->counters, sizeof counters);
    uint64_t slot = end < layout->counter_slots ? end : layout->counter_slots;
    if (slot < first) slot = first;
    msfl_status status = decode_counters(decoder, first, slot, totals, counters);
    if (status != MSFL_OK) return status;

    if (slot < end) {
        const msfl_update_kernel *kernel = msfl_update_kernel_best();
        uint64_t low, high;
        total_bounds(decoder, counters[0], &low, &high);
        const uint64_t offset = decoder->n_clients * msfl_layout_top(layout), start = slot;
        for (size_t r = msfl_layout_range_of(layout, slot - layout->counter_slots); slot < end; r++) {
            /* (delta total - n C) / sum omega = C (2 total - n (2^b - 1)) / ((2^b - 1) sum omega); the bracket is an
             * exact integer below 2^47. */
            const double step = (double)layout->ranges[r].clip * (double)layout->n_max /
                                ((double)msfl_layout_top(layout) * (double)counters[0]);
            uint64_t range_end = layout->counter_slots + layout->starts[r + 1];
            if (range_end > end) range_end = end;
            while (slot < range_end) {
                const uint64_t *from = totals + (slot - first);
                size_t part = range_end - slot < BLOCK ? (size_t)(range_end - slot) : BLOCK;
                if (!kernel->within(from, part, low, high)) {
                    memset(mean + (start - layout->counter_slots), 0, (size_t)(end - start) * sizeof *mean);
                    while (totals[slot - first] >= low && totals[slot - first] <= high)
                        slot++;
                    return impossible(decoder, slot, low, high);
                }
                /* Beyond C by less than n delta / sum omega; only at a bound near FLT_MAX can that overflow. */
                kernel->decode(mean + (slot - layout->counter_slots), from, part, offset, step);
                slot += part;
            }
        }
    }
    memcpy(decoder->counters, counters, sizeof counters);
    decoder->next = end;
    return MSFL_OK;
}

double msfl_update_error_bound(const msfl_update_layout *layout, size_t r, uint32_t n_clients, uint64_t n_samples_sum) {
    if (r >= layout->n_ranges || n_clients == 0 || n_samples_sum == 0) return INFINITY;
    const double clip = (double)layout->ranges[r].clip;
    const double delta = 2.0 * clip / (double)msfl_layout_top(layout);
    const double omega = (double)n_samples_sum / (double)layout->n_max;
    const double rounding = (double)n_clients * delta / omega;
    /* Doubles: each omega_i x_i / delta is a few parts in 2^53 off, which in the mean is that part of C; the last
     * step rounds to a float of at most C + rounding. */
    return rounding * (1.0 + 0x1p-23) + clip * (0x1p-24 + 0x1p-48) + 0x1p-149;
}
