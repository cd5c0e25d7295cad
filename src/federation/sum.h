/* One aggregation over hospitals: encrypted (any scheme, checked against the plaintext integers) or plain. */
#ifndef MSFL_FEDERATION_SUM_H
#define MSFL_FEDERATION_SUM_H

#include "medsecurefl/scheme.h"
#include "medsecurefl/simulate.h"
#include "medsecurefl/update.h"

/** What an upload carries beside the scheme's own bytes: round id, client number, two lengths. */
enum { FED_HEADER_BYTES = 32 + 4 + 8 + 8 };

typedef struct fed_sum_config {
    const struct fed_channel *channel; /**< how the sum is encrypted; NULL: plain averaging of floats */
    uint32_t value_bits, security_bits;
    uint32_t n_clients, min_cohort;
    msfl_custody custody;   /**< 0: the scheme's choice */
    msfl_delivery delivery; /**< 0: to the coordinator */
    uint32_t n_counters;    /**< counter 0 is the sample count */
    uint64_t n_samples_max;
    const msfl_update_range *ranges; /**< NULL: counters only */
    size_t n_ranges;
    const uint8_t *task, *model; /**< hashes */
    uint64_t number;             /**< distinct for every aggregation of the job */
} fed_sum_config;

/** Parameters and keys for all sums of one kind in a job: the same layout, round after round. */
typedef struct fed_channel {
    msfl_setup *setup;
    msfl_keys *keys;
} fed_channel;

/** Plans for sums of this kind (`config->channel` is not looked at) and makes the keys. ERR_PARAMS when nothing holds.
 */
msfl_status fed_channel_init(fed_channel *channel, const msfl_scheme *scheme,
                             const fed_sum_config *config) MSFL_NODISCARD;
void fed_channel_clear(fed_channel *channel);

typedef struct fed_sum fed_sum;

msfl_status fed_sum_new(const fed_sum_config *config, fed_sum **out) MSFL_NODISCARD;
void fed_sum_free(fed_sum *sum);

/** One hospital's contribution. Thread-safe. A vector with a value that is not finite is refused (ERR_NUMERIC) before
 *  anything of it enters the sum. */
msfl_status fed_sum_submit(fed_sum *sum, uint32_t client, const msfl_update_input *input) MSFL_NODISCARD;

typedef struct fed_sum_report {
    uint32_t cohort;
    bool exact;               /**< opened integers equal the plaintext sum of the quantised vectors, every one */
    double max_error;         /**< largest difference from the weighted mean of the unquantised updates */
    double error_bound;       /**< what it may be at most where nothing was clipped */
    uint64_t bytes_delivered; /**< to one hospital that opens the sum itself; 0: it does not */
    uint64_t bytes_ciphertext, bytes_bundle,
        bytes_header;                                   /**< of one client; bundle: what goes with it, such as keys */
    uint64_t ns_quantise, ns_encrypt, ns_fold, ns_open; /**< added up over clients */
} fed_sum_report;

/** Certify, release, open, decode: the weighted mean (values of the ranges; NULL when there are none) and the sums of
 *  the counters. ERR_POLICY when fewer than min_cohort clients are in. */
msfl_status fed_sum_finish(fed_sum *sum, float *mean, uint64_t *counters, fed_sum_report *report) MSFL_NODISCARD;

#endif
