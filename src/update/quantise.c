/* Floats to slots. See docs/design/encoding.md. */
#include "update/rounding.h"

#include "base/error.h"
#include "base/mem.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

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

msfl_status msfl_update_check(const msfl_update_layout *layout, const msfl_update_input *input) {
    enum { BLOCK = 1 << 14 };
    msfl_status status = check_counts(layout, input);
    if (status != MSFL_OK) return status;
    const msfl_update_kernel *kernel = msfl_update_kernel_best();
    for (uint64_t at = 0; at < layout->n_values; at += BLOCK) {
        size_t n = layout->n_values - at < BLOCK ? (size_t)(layout->n_values - at) : BLOCK;
        if (kernel->finite(input->values + at, n)) continue;
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

struct msfl_update_encoder {
    const msfl_update_layout *layout;
    msfl_update_input input;
    const msfl_update_kernel *kernel;
    msfl_rounding *rounding;
};

msfl_status msfl_update_encoder_new(const msfl_update_layout *layout, const msfl_update_input *input,
                                    msfl_update_encoder **out) {
    *out = NULL;
    msfl_status status = check_counts(layout, input);
    if (status != MSFL_OK) return status;
    msfl_update_encoder *e = msfl_alloc(1, sizeof *e);
    if (e == NULL) return MSFL_NO_MEMORY;
    e->layout = layout;
    e->input = *input;
    e->kernel = msfl_update_kernel_best();
    status = msfl_rounding_new(input->rounding_seed, msfl_update_slots(layout), &e->rounding);
    if (status != MSFL_OK) {
        msfl_update_encoder_free(e);
        return status;
    }
    *out = e;
    return MSFL_OK;
}

void msfl_update_encoder_free(msfl_update_encoder *e) {
    if (e == NULL) return;
    msfl_rounding_free(e->rounding);
    msfl_free(e);
}

/** The digit of a counter that `slot` holds. */
static uint32_t counter_digit(const msfl_update_encoder *e, uint64_t slot) {
    const msfl_update_layout *layout = e->layout;
    uint64_t k = slot / layout->digits;
    uint64_t value = k == 0 ? e->input.n_samples : e->input.counters[k - 1];
    uint64_t shift = slot % layout->digits * layout->value_bits; /* below 35 + 32 - 1; 64 and more cannot occur */
    return (uint32_t)((value >> shift) & msfl_layout_top(layout));
}

/** Slots [slot, stop) of one range, whose values begin at `x`: whole groups where they lie, pieces of one in a copy. */
static msfl_status quantise_range(msfl_update_encoder *e, const msfl_rounding_rule *rule, uint64_t slot, uint64_t stop,
                                  const float *x, uint32_t *out, uint64_t *n_clipped) {
    while (slot < stop) {
        const uint32_t *words;
        size_t n_groups, lane = slot % MSFL_GROUP_SLOTS, n;
        msfl_status status = msfl_rounding_words(e->rounding, slot / MSFL_GROUP_SLOTS, &words, &n_groups);
        if (status != MSFL_OK) return status;
        uint64_t whole = (stop - slot) / MSFL_GROUP_SLOTS;
        if (lane == 0 && whole > 0) {
            if (whole < n_groups) n_groups = (size_t)whole;
            n = n_groups * MSFL_GROUP_SLOTS;
            *n_clipped += e->kernel->quantise(rule, out, x, words, n_groups);
        } else {
            /* The rest of the group is zeros, which are never clipped. */
            float piece[MSFL_GROUP_SLOTS] = {0};
            uint32_t rounded[MSFL_GROUP_SLOTS];
            n = MSFL_GROUP_SLOTS - lane;
            if (stop - slot < n) n = (size_t)(stop - slot);
            memcpy(piece + lane, x, n * sizeof *x);
            *n_clipped += e->kernel->quantise(rule, rounded, piece, words, 1);
            memcpy(out, rounded + lane, n * sizeof *out);
        }
        slot += n;
        x += n;
        out += n;
    }
    return MSFL_OK;
}

msfl_status msfl_update_quantise(msfl_update_encoder *e, uint64_t first, size_t n, uint32_t *slots,
                                 msfl_update_stats *stats) {
    const msfl_update_layout *layout = e->layout;
    uint64_t n_slots = msfl_update_slots(layout);
    if (first > n_slots || n > n_slots - first) {
        return msfl_fail(MSFL_ERR_USAGE, "update: slots %" PRIu64 " and %zu more of a vector of %" PRIu64, first, n,
                         n_slots);
    }
    const uint64_t end = first + n;
    uint64_t slot = first, n_clipped = 0;
    for (; slot < end && slot < layout->counter_slots; slot++)
        slots[slot - first] = counter_digit(e, slot);
    if (slot == end) return MSFL_OK;

    for (size_t r = msfl_layout_range_of(layout, slot - layout->counter_slots); slot < end; r++) {
        const msfl_rounding_rule rule = msfl_rounding_rule_of(layout, layout->ranges[r].clip, e->input.n_samples);
        uint64_t stop = layout->counter_slots + layout->starts[r + 1];
        if (stop > end) stop = end;
        msfl_status status = quantise_range(e, &rule, slot, stop, e->input.values + (slot - layout->counter_slots),
                                            slots + (slot - first), &n_clipped);
        if (status != MSFL_OK) {
            memset(slots, 0, n * sizeof *slots);
            return status;
        }
        slot = stop;
    }
    if (stats != NULL) stats->n_clipped += n_clipped;
    return MSFL_OK;
}
