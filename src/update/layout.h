/* What all clients of a round agree on about the vector: where counters, digits and ranges are. */
#ifndef MSFL_UPDATE_LAYOUT_H
#define MSFL_UPDATE_LAYOUT_H

#include "medsecurefl/update.h"

enum {
    /* The planner's bound on clients. Written again here because this layer does not see the scheme; a test of the
     * round layer, which sees both, holds them together. */
    MSFL_UPDATE_CLIENTS_MAX = 10000,
    MSFL_UPDATE_RANGES_MAX = 1 << 20 /* tensors in a model; bounds the memory a description from outside can ask for */
};

/** Largest value of one client's counter: 10^4 of them stay below 2^48. */
#define MSFL_UPDATE_COUNTER_MAX ((UINT64_C(1) << MSFL_COUNTER_BITS) / MSFL_UPDATE_CLIENTS_MAX)
/** Bits of that. */
#define MSFL_UPDATE_COUNTER_CLIENT_BITS 35
/** Most slots in a vector: as many as the packed scheme plans for. */
#define MSFL_UPDATE_SLOTS_MAX (UINT64_C(1) << 34)

struct msfl_update_layout {
    uint32_t value_bits;
    uint32_t n_counters;
    uint32_t digits;        /**< slots of one counter */
    uint64_t counter_slots; /**< n_counters x digits */
    uint64_t n_values;      /**< model values */
    uint64_t n_max;
    size_t n_ranges;
    msfl_update_range *ranges;
    uint64_t *starts; /**< n_ranges + 1: first value of each range, and n_values */
};

/** The range that value `v` (below n_values) lies in. */
size_t msfl_layout_range_of(const msfl_update_layout *layout, uint64_t v);

/**
 * omega (2^b - 1) / (2 C) as a double, rounded so that C times it, rounded, does not exceed (2^b - 1) / 2: then no
 * clipped value can be rounded to 2^b, because rounding never reverses an order.
 */
double msfl_layout_scale(const msfl_update_layout *layout, float clip, uint64_t n_samples);

/** 2^b - 1. */
static inline uint64_t msfl_layout_top(const msfl_update_layout *layout) {
    return (UINT64_C(1) << layout->value_bits) - 1;
}

#endif
