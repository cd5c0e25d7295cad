/* One model update as a vector of small integers, and back. Layer: update.
 *
 * A vector has `n_counters` exact integers first (sample count, correct predictions, ...: each as base-2^b digits, so
 * that the sum of the digits is the digit-wise sum and recombines exactly), then the model's values, quantised:
 *
 *   m = stochastic_round((omega clip(x, +-C) + C) / delta),   delta = 2C / (2^b - 1),   omega = n_i / n_max in (0, 1]
 *   sum omega x = delta sum m - n C;    mean = that / sum omega                          docs/design/encoding.md
 */
#ifndef MEDSECUREFL_UPDATE_H
#define MEDSECUREFL_UPDATE_H

#include "medsecurefl/status.h"

MSFL_BEGIN_DECLS

enum { MSFL_COUNTER_BITS = 48, MSFL_COUNTERS_MAX = 64 };

/** A run of values that share one clipping bound, usually one tensor. */
typedef struct msfl_update_range {
    uint64_t n_values;
    float clip; /**< C > 0, finite */
} msfl_update_range;

typedef struct msfl_update_layout msfl_update_layout; /**< immutable; agreed by all clients of a round */

/**
 * `value_bits` 2 to 32; `n_counters` 1 (the sample count) to MSFL_COUNTERS_MAX; `n_max`: public bound on a client's
 * sample count, 1 to 2^48 / 10^4. The ranges are copied; none (NULL, 0) makes a vector of counters alone.
 *
 * @retval MSFL_ERR_USAGE  a number out of its range, an empty range, a clipping bound that is not positive and finite
 * @retval MSFL_ERR_LIMIT  more than 2^34 slots
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_update_layout_new(uint32_t value_bits, uint32_t n_counters, uint64_t n_max,
                                                           const msfl_update_range *ranges, size_t n_ranges,
                                                           msfl_update_layout **out);
/** Free; NULL is fine. */
MSFL_API void msfl_update_layout_free(msfl_update_layout *layout);
/** Slots in the whole vector: counters' digits and values. This is `n_values` of the packed scheme. */
MSFL_API uint64_t msfl_update_slots(const msfl_update_layout *layout);
/** Model values in the vector. */
MSFL_API uint64_t msfl_update_values(const msfl_update_layout *layout);
/** Hash of all that the layout fixes; goes into the round's hash. */
MSFL_API void msfl_update_layout_hash(const msfl_update_layout *layout, uint8_t out[MSFL_HASH_BYTES]);

typedef struct msfl_update_input {
    const float *values;      /**< msfl_update_values of them: new weights minus the round's global weights */
    uint64_t n_samples;       /**< n_i: 1 to n_max; travels as counter 0 */
    const uint64_t *counters; /**< n_counters - 1 further integers, each below 2^48 / 10^4 */
    uint64_t rounding_seed;   /**< of the stochastic rounding; the same seed gives the same integers. Not a secret, but
                                   another for every client and round, or their rounding errors add up */
} msfl_update_input;

/** What quantising did. Every call adds to it: zero it before the first slice. */
typedef struct msfl_update_stats {
    uint64_t n_clipped; /**< values that lay outside +-C */
} msfl_update_stats;

/** Before anything is sent: ERR_NUMERIC, naming the position, if a value is NaN or infinite or a count out of range. */
MSFL_API MSFL_NODISCARD msfl_status msfl_update_check(const msfl_update_layout *layout, const msfl_update_input *input);

/** One client's update on its way to slots. Belongs to one thread at a time; several threads that share the work take
 *  an encoder each, of the same layout and input, and get the same integers as one would. */
typedef struct msfl_update_encoder msfl_update_encoder;

/** `input` must have passed msfl_update_check, which alone looks at every value. The struct is copied; the layout and
 *  the arrays that the input points to are borrowed and must outlive the encoder. ERR_NUMERIC for counts out of range;
 *  ERR_SYSTEM if libcrypto offers no AES. Making one costs some microseconds: once per update, not once per slice. */
MSFL_API MSFL_NODISCARD msfl_status msfl_update_encoder_new(const msfl_update_layout *layout,
                                                            const msfl_update_input *input, msfl_update_encoder **out);
/** Free; NULL is fine. */
MSFL_API void msfl_update_encoder_free(msfl_update_encoder *encoder);

/** Slots [first, first + n) of the vector, each below 2^value_bits. Any slicing, in any order, gives the same integers;
 *  slices in order are fastest. `stats` may be NULL. ERR_USAGE beyond the vector, `slots` is then unchanged; ERR_SYSTEM
 *  if libcrypto fails, `slots` is then zeroed. */
MSFL_API MSFL_NODISCARD msfl_status msfl_update_quantise(msfl_update_encoder *encoder, uint64_t first, size_t n,
                                                         uint32_t *slots, msfl_update_stats *stats);

/** Receives the opened sums slice by slice, in order, and ends with the weighted mean. */
typedef struct msfl_update_decoder msfl_update_decoder;

/** For a sum over `n_clients` updates, 1 to 10^4; ERR_USAGE otherwise. The layout is borrowed and must outlive the
 * decoder. */
MSFL_API MSFL_NODISCARD msfl_status msfl_update_decoder_new(const msfl_update_layout *layout, uint32_t n_clients,
                                                            msfl_update_decoder **out);
/** Free; NULL is fine. */
MSFL_API void msfl_update_decoder_free(msfl_update_decoder *decoder);

/** Slots [first, first + n) of the opened sum; `first` must continue where the last call ended. Writes the weighted
 *  means of the model values among them to their places in `mean` (msfl_update_values floats; NULL while there are
 *  none). Counters come first, so the weight is known before the first value. ERR_NUMERIC, naming the slot, if a total
 *  is impossible for n_clients well-formed updates of that weight; then nothing of this slice is taken, and its means
 *  are zeroed or unchanged. */
MSFL_API MSFL_NODISCARD msfl_status msfl_update_decode(msfl_update_decoder *decoder, uint64_t first, size_t n,
                                                       const uint64_t *totals, float *mean);

/** Sum of counter `k` over the clients (0: samples), once its digits were decoded; 0 before. */
MSFL_API uint64_t msfl_update_counter(const msfl_update_decoder *decoder, uint32_t k);

/** Largest possible difference between a decoded mean and the exact weighted mean of unclipped inputs, for a value of
 *  range `r`, given the sum of sample counts: n delta / sum omega (every rounding is off by less than delta), plus
 *  float rounding. Infinite for a range, a number of clients or of samples that does not exist. */
MSFL_API double msfl_update_error_bound(const msfl_update_layout *layout, size_t r, uint32_t n_clients,
                                        uint64_t n_samples_sum);

MSFL_END_DECLS

#endif
