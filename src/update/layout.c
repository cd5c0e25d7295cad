#include "update/layout.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/sodium.h"

#include <inttypes.h>
#include <math.h>

_Static_assert(MSFL_UPDATE_COUNTER_MAX < (UINT64_C(1) << MSFL_UPDATE_COUNTER_CLIENT_BITS), "a counter must fit");

static msfl_status check_arguments(uint32_t value_bits, uint32_t n_counters, uint64_t n_max,
                                   const msfl_update_range *ranges, size_t n_ranges) {
    if (value_bits < 2 || value_bits > 32) {
        return msfl_fail(MSFL_ERR_USAGE, "update layout: %" PRIu32 " bits per value; use 2 to 32", value_bits);
    }
    if (n_counters < 1 || n_counters > MSFL_COUNTERS_MAX) {
        return msfl_fail(MSFL_ERR_USAGE, "update layout: %" PRIu32 " counters; use 1 (the sample count) to %d",
                         n_counters, MSFL_COUNTERS_MAX);
    }
    if (n_max < 1 || n_max > MSFL_UPDATE_COUNTER_MAX) {
        return msfl_fail(MSFL_ERR_USAGE,
                         "update layout: bound of %" PRIu64 " samples per client; use 1 to %" PRIu64
                         ", so that the sum over %d clients is a %d-bit counter",
                         n_max, (uint64_t)MSFL_UPDATE_COUNTER_MAX, MSFL_UPDATE_CLIENTS_MAX, MSFL_COUNTER_BITS);
    }
    if (n_ranges > MSFL_UPDATE_RANGES_MAX || (n_ranges > 0 && ranges == NULL)) {
        return msfl_fail(MSFL_ERR_USAGE, "update layout: %zu ranges; use at most %d", n_ranges, MSFL_UPDATE_RANGES_MAX);
    }
    uint64_t slots = 0;
    for (size_t r = 0; r < n_ranges; r++) {
        if (ranges[r].n_values == 0) return msfl_fail(MSFL_ERR_USAGE, "update layout: range %zu holds no values", r);
        if (!(ranges[r].clip > 0.0f) || !isfinite(ranges[r].clip)) {
            return msfl_fail(MSFL_ERR_USAGE, "update layout: clipping bound %g of range %zu is not positive and finite",
                             (double)ranges[r].clip, r);
        }
        if (ranges[r].n_values > MSFL_UPDATE_SLOTS_MAX - slots) {
            return msfl_fail(MSFL_ERR_LIMIT, "update layout: more than %" PRIu64 " values at range %zu",
                             (uint64_t)MSFL_UPDATE_SLOTS_MAX, r);
        }
        slots += ranges[r].n_values;
    }
    return MSFL_OK;
}

msfl_status msfl_update_layout_new(uint32_t value_bits, uint32_t n_counters, uint64_t n_max,
                                   const msfl_update_range *ranges, size_t n_ranges, msfl_update_layout **out) {
    *out = NULL;
    msfl_status status = check_arguments(value_bits, n_counters, n_max, ranges, n_ranges);
    if (status != MSFL_OK) return status;
    status = msfl_crypto_init(); /* for the hashes */
    if (status != MSFL_OK) return status;

    msfl_update_layout *layout = msfl_alloc(1, sizeof *layout);
    if (layout == NULL) return MSFL_NO_MEMORY;
    layout->value_bits = value_bits;
    layout->n_counters = n_counters;
    layout->digits = (MSFL_UPDATE_COUNTER_CLIENT_BITS + value_bits - 1) / value_bits;
    layout->counter_slots = (uint64_t)n_counters * layout->digits;
    layout->n_max = n_max;
    layout->n_ranges = n_ranges;
    layout->ranges = msfl_alloc(n_ranges, sizeof *layout->ranges);
    layout->starts = msfl_alloc(n_ranges + 1, sizeof *layout->starts);
    if (layout->ranges == NULL || layout->starts == NULL) {
        status = MSFL_NO_MEMORY;
        goto done;
    }
    for (size_t r = 0; r < n_ranges; r++) {
        layout->ranges[r] = ranges[r];
        layout->starts[r + 1] = layout->starts[r] + ranges[r].n_values;
    }
    layout->n_values = layout->starts[n_ranges];
    if (layout->n_values > MSFL_UPDATE_SLOTS_MAX - layout->counter_slots) {
        status = msfl_fail(MSFL_ERR_LIMIT,
                           "update layout: %" PRIu64 " values and %" PRIu64 " counter slots are more than %" PRIu64,
                           layout->n_values, layout->counter_slots, (uint64_t)MSFL_UPDATE_SLOTS_MAX);
        goto done;
    }
    *out = layout;
    layout = NULL;
done:
    msfl_update_layout_free(layout);
    return status;
}

void msfl_update_layout_free(msfl_update_layout *layout) {
    if (layout == NULL) return;
    msfl_free(layout->ranges);
    msfl_free(layout->starts);
    msfl_free(layout);
}

uint64_t msfl_update_slots(const msfl_update_layout *layout) {
    return layout->counter_slots + layout->n_values;
}

uint64_t msfl_update_values(const msfl_update_layout *layout) {
    return layout->n_values;
}

void msfl_update_layout_hash(const msfl_update_layout *layout, uint8_t out[MSFL_HASH_BYTES]) {
    msfl_hash h;
    msfl_hash_init(&h, "msfl.update.layout.v1");
    msfl_hash_add_u64(&h, layout->value_bits);
    msfl_hash_add_u64(&h, layout->n_counters);
    msfl_hash_add_u64(&h, layout->digits);
    msfl_hash_add_u64(&h, layout->n_max);
    msfl_hash_add_u64(&h, layout->n_ranges);
    for (size_t r = 0; r < layout->n_ranges; r++) {
        uint32_t clip;
        memcpy(&clip, &layout->ranges[r].clip, sizeof clip);
        msfl_hash_add_u64(&h, layout->ranges[r].n_values);
        msfl_hash_add_u64(&h, clip);
    }
    msfl_hash_final(&h, out);
}

size_t msfl_layout_range_of(const msfl_update_layout *layout, uint64_t v) {
    size_t low = 0, high = layout->n_ranges; /* starts[low] <= v < starts[high] */
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (layout->starts[middle] <= v) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

double msfl_layout_scale(const msfl_update_layout *layout, float clip, uint64_t n_samples) {
    double half = 0.5 * (double)msfl_layout_top(layout);
    double scale = half * ((double)n_samples / (double)layout->n_max) / (double)clip;
    while ((double)clip * scale > half)
        scale = nextafter(scale, 0.0);
    return scale;
}
