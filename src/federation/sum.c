#include "federation/sum.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/sodium.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

/* Plain sums and the check of encrypted ones add in fixed point: the result does not depend on the order in which
 * hospitals arrive. 2^-36 is far below float32's resolution of any weight; the range is +-2^27 for the whole sum. */
#define FIXED_ONE 0x1p36
enum { MAGNITUDE_MAX = 1 << 17 }; /* of one value: 1000 clients of it stay within 2^27 */

struct fed_sum {
    fed_sum_config config;
    msfl_update_layout *layout;
    uint64_t n_slots, n_values;
    pthread_mutex_t mutex; /* guards all below */
    uint32_t cohort;
    bool *submitted;    /* n_clients; plain only: the round protocol keeps its own */
    int64_t *fixed;     /* n_values: sum of omega x */
    uint64_t *counters; /* n_counters: plain sums */
    fed_sum_report report;
    /* packed only */
    msfl_packed *packed;
    msfl_round_info info;
    msfl_round_coordinator *coordinator;
    uint64_t *expected; /* n_slots: sums of the quantised integers */
};

static msfl_status make_layout(const fed_sum_config *c, msfl_update_layout **out) {
    return msfl_update_layout_new(c->value_bits, c->n_counters, c->n_samples_max, c->ranges, c->n_ranges, out);
}

static msfl_status plan(const fed_sum_config *c, uint64_t n_slots, msfl_params *params) {
    const msfl_params_request request = {
        .n_clients = c->n_clients, .value_bits = c->value_bits, .n_values = n_slots, .security_bits = c->security_bits};
    return msfl_params_plan(&request, params);
}

msfl_status fed_sum_plan(const fed_sum_config *config, msfl_params *params, uint64_t *n_slots) {
    msfl_update_layout *layout;
    msfl_status status = make_layout(config, &layout);
    if (status != MSFL_OK) return status;
    *n_slots = msfl_update_slots(layout);
    msfl_update_layout_free(layout);
    return plan(config, *n_slots, params);
}

static msfl_status open_round(fed_sum *s) {
    const fed_sum_config *c = &s->config;
    msfl_params params;
    msfl_status status = plan(c, s->n_slots, &params);
    if (status != MSFL_OK) return status;
    status = msfl_packed_new(&params, &s->packed);
    if (status != MSFL_OK) return status;
    s->info = (msfl_round_info){.number = c->number,
                                .n_clients = c->n_clients,
                                .min_cohort = c->min_cohort,
                                .n_values = s->n_slots,
                                .params = params};
    memcpy(s->info.task, c->task, MSFL_HASH_BYTES);
    memcpy(s->info.model, c->model, MSFL_HASH_BYTES);
    msfl_update_layout_hash(s->layout, s->info.layout);
    msfl_authority_public_key(c->authority, s->info.authority);
    s->expected = msfl_alloc(s->n_slots, sizeof *s->expected);
    if (s->expected == NULL) return MSFL_ERR_MEMORY;
    return msfl_round_coordinator_new(s->packed, &s->info, &s->coordinator);
}

msfl_status fed_sum_new(const fed_sum_config *config, fed_sum **out) {
    *out = NULL;
    fed_sum *s = msfl_alloc(1, sizeof *s);
    if (s == NULL) return MSFL_ERR_MEMORY;
    s->config = *config;
    pthread_mutex_init(&s->mutex, NULL);
    msfl_status status = make_layout(config, &s->layout);
    if (status != MSFL_OK) goto done;
    s->n_slots = msfl_update_slots(s->layout);
    s->n_values = msfl_update_values(s->layout);
    s->fixed = msfl_alloc(s->n_values, sizeof *s->fixed);
    s->counters = msfl_alloc(config->n_counters, sizeof *s->counters);
    s->submitted = msfl_alloc(config->n_clients, sizeof *s->submitted);
    if (s->fixed == NULL || s->counters == NULL || s->submitted == NULL) {
        status = MSFL_ERR_MEMORY;
        goto done;
    }
    if (config->scheme == MSFL_SCHEME_PACKED) status = open_round(s);
    if (status != MSFL_OK) goto done;
    *out = s;
    s = NULL;
done:
    fed_sum_free(s);
    return status;
}

void fed_sum_free(fed_sum *s) {
    if (s == NULL) return;
    msfl_round_coordinator_free(s->coordinator);
    msfl_packed_free(s->packed);
    msfl_update_layout_free(s->layout);
    pthread_mutex_destroy(&s->mutex);
    msfl_free(s->fixed);
    msfl_free(s->counters);
    msfl_free(s->expected);
    msfl_free(s->submitted);
    msfl_free(s);
}

/* The weighted sum without quantisation: what plain averaging uses, and what the encrypted mean is held against. */
static void add_fixed(fed_sum *s, const msfl_update_input *input) {
    double omega = (double)input->n_samples / (double)s->config.n_samples_max;
    for (uint64_t i = 0; i < s->n_values; i++) {
        s->fixed[i] += (int64_t)llrint(omega * (double)input->values[i] * FIXED_ONE);
    }
    s->counters[0] += input->n_samples;
    for (uint32_t k = 1; k < s->config.n_counters; k++)
        s->counters[k] += input->counters[k - 1];
}

static msfl_status check_magnitude(const fed_sum *s, const msfl_update_input *input) {
    for (uint64_t i = 0; i < s->n_values; i++) {
        if (!(fabsf(input->values[i]) <= (float)MAGNITUDE_MAX)) {
            return msfl_fail(MSFL_ERR_NUMERIC, "value %llu of the update is beyond +-%d: training has diverged",
                             (unsigned long long)i, MAGNITUDE_MAX);
        }
    }
    return MSFL_OK;
}

typedef struct upload {
    uint32_t *slots; /* the whole quantised vector: kept to check the sum, as only a simulation can */
    uint8_t *ciphertext;
    size_t length;
    uint8_t *bundle;
    size_t bundle_length;
    uint8_t hash[MSFL_HASH_BYTES];
    uint64_t ns_quantise, ns_encrypt;
} upload;

static void upload_clear(upload *u, uint64_t n_slots) {
    if (u->slots != NULL) msfl_wipe(u->slots, n_slots * sizeof *u->slots);
    msfl_free(u->slots);
    msfl_free(u->ciphertext);
    msfl_free(u->bundle);
}

/* What happens inside the hospital: nothing but ciphertext, hash and sealed bundle comes out. */
static msfl_status encrypt(fed_sum *s, uint32_t client, const msfl_update_input *input, upload *u) {
    msfl_round_client *sender = NULL;
    uint64_t n_chunks = msfl_packed_chunks(s->packed, s->n_slots);
    for (uint64_t j = 0; j < n_chunks; j++)
        u->length += msfl_packed_chunk_bytes(s->packed, s->n_slots, j);
    u->bundle_length = msfl_round_bundle_bytes(&s->info.params);
    u->slots = msfl_alloc(s->n_slots, sizeof *u->slots);
    u->ciphertext = msfl_alloc(u->length, 1);
    u->bundle = msfl_alloc(u->bundle_length, 1);
    if (u->slots == NULL || u->ciphertext == NULL || u->bundle == NULL) return MSFL_ERR_MEMORY;
    uint64_t t0 = msfl_now_ns();
    msfl_status status = msfl_round_client_new(s->packed, &s->info, client, &sender);
    if (status != MSFL_OK) return status;
    u->ns_encrypt += msfl_now_ns() - t0;
    uint64_t first = 0;
    size_t at = 0;
    for (uint64_t j = 0; j < n_chunks; j++) {
        uint32_t n = msfl_packed_chunk_slots(s->packed, s->n_slots, j);
        t0 = msfl_now_ns();
        status = msfl_update_quantise(s->layout, input, first, n, u->slots + first, NULL);
        if (status != MSFL_OK) goto done;
        uint64_t t1 = msfl_now_ns();
        status = msfl_round_client_encrypt(sender, j, u->slots + first, u->ciphertext + at);
        if (status != MSFL_OK) goto done;
        u->ns_quantise += t1 - t0;
        u->ns_encrypt += msfl_now_ns() - t1;
        first += n;
        at += msfl_packed_chunk_bytes(s->packed, s->n_slots, j);
    }
    t0 = msfl_now_ns();
    status = msfl_round_client_finish(sender, u->hash, u->bundle);
    u->ns_encrypt += msfl_now_ns() - t0;
done:
    msfl_round_client_free(sender);
    return status;
}

static msfl_status submit_packed(fed_sum *s, uint32_t client, const msfl_update_input *input) {
    upload u = {0};
    msfl_status status = encrypt(s, client, input, &u);
    if (status != MSFL_OK) goto done;
    uint64_t t0 = msfl_now_ns();
    status = msfl_round_coordinator_upload(s->coordinator, client, u.ciphertext, u.length, u.hash, u.bundle,
                                           u.bundle_length);
    uint64_t ns_fold = msfl_now_ns() - t0;
    if (status != MSFL_OK) goto done;
    pthread_mutex_lock(&s->mutex);
    for (uint64_t i = 0; i < s->n_slots; i++)
        s->expected[i] += u.slots[i];
    add_fixed(s, input);
    s->cohort++;
    s->report.bytes_ciphertext = u.length;
    s->report.bytes_bundle = u.bundle_length;
    s->report.bytes_header = FED_HEADER_BYTES;
    s->report.ns_quantise += u.ns_quantise;
    s->report.ns_encrypt += u.ns_encrypt;
    s->report.ns_fold += ns_fold;
    pthread_mutex_unlock(&s->mutex);
done:
    upload_clear(&u, s->n_slots);
    return status;
}

msfl_status fed_sum_submit(fed_sum *s, uint32_t client, const msfl_update_input *input) {
    msfl_status status = msfl_update_check(s->layout, input);
    if (status == MSFL_OK) status = check_magnitude(s, input);
    if (status != MSFL_OK) return status;
    if (s->config.scheme == MSFL_SCHEME_PACKED) return submit_packed(s, client, input);
    pthread_mutex_lock(&s->mutex);
    if (client >= s->config.n_clients || s->submitted[client]) {
        status =
            msfl_fail(MSFL_ERR_EXISTS, "hospital %u is not in the roster, or its update is already in the sum", client);
    } else {
        s->submitted[client] = true;
        add_fixed(s, input);
        s->cohort++;
        s->report.bytes_header = FED_HEADER_BYTES;
    }
    pthread_mutex_unlock(&s->mutex);
    return status;
}

static double fixed_mean(const fed_sum *s, uint64_t i) {
    double omega_sum = (double)s->counters[0] / (double)s->config.n_samples_max;
    return (double)s->fixed[i] / FIXED_ONE / omega_sum;
}

static msfl_status release(fed_sum *s) {
    msfl_round_certificate certificate;
    int32_t *key_sum = msfl_alloc(s->info.params.ring_degree, sizeof *key_sum);
    if (key_sum == NULL) return MSFL_ERR_MEMORY;
    msfl_status status = msfl_round_coordinator_certify(s->coordinator, &certificate);
    if (status == MSFL_OK) {
        status = msfl_authority_answer(s->config.authority, &s->info, certificate.clients, certificate.bundles,
                                       certificate.ciphertext_hashes, certificate.n, key_sum);
    }
    if (status == MSFL_OK) status = msfl_round_coordinator_release(s->coordinator, key_sum);
    msfl_free(key_sum);
    return status;
}

/* Open every chunk, hold it against the plaintext integers, decode. */
static msfl_status open_and_decode(fed_sum *s, float *mean, uint64_t *counters) {
    msfl_update_decoder *decoder = NULL;
    uint64_t most = msfl_packed_chunk_slots(s->packed, s->n_slots, 0);
    uint64_t *totals = msfl_alloc(most, sizeof *totals);
    msfl_status status = totals == NULL ? MSFL_ERR_MEMORY : msfl_update_decoder_new(s->layout, s->cohort, &decoder);
    bool exact = true;
    uint64_t first = 0;
    uint64_t n_chunks = msfl_packed_chunks(s->packed, s->n_slots);
    for (uint64_t j = 0; j < n_chunks && status == MSFL_OK; j++) {
        uint32_t n = msfl_packed_chunk_slots(s->packed, s->n_slots, j);
        status = msfl_round_coordinator_open(s->coordinator, j, totals);
        if (status != MSFL_OK) break;
        exact = exact && memcmp(totals, s->expected + first, n * sizeof *totals) == 0;
        status = msfl_update_decode(decoder, first, n, totals, mean);
        first += n;
    }
    for (uint32_t k = 0; k < s->config.n_counters && status == MSFL_OK; k++) {
        counters[k] = msfl_update_counter(decoder, k);
        exact = exact && counters[k] == s->counters[k];
    }
    s->report.exact = exact;
    msfl_update_decoder_free(decoder);
    msfl_free(totals);
    return status;
}

static void measure_error(fed_sum *s, const float *mean) {
    for (uint64_t i = 0; i < s->n_values; i++) {
        double error = fabs((double)mean[i] - fixed_mean(s, i));
        if (error > s->report.max_error) s->report.max_error = error;
    }
    for (size_t r = 0; r < s->config.n_ranges; r++) {
        double bound = msfl_update_error_bound(s->layout, r, s->cohort, s->counters[0]);
        if (bound > s->report.error_bound) s->report.error_bound = bound;
    }
}

msfl_status fed_sum_finish(fed_sum *s, float *mean, uint64_t *counters, fed_sum_report *report) {
    msfl_status status = MSFL_OK;
    if (s->cohort < s->config.min_cohort) {
        return msfl_fail(MSFL_ERR_POLICY,
                         "only %u of %u hospitals sent an update; at least %u are needed before a sum may "
                         "be opened",
                         s->cohort, s->config.n_clients, s->config.min_cohort);
    }
    s->report.cohort = s->cohort;
    if (s->config.scheme == MSFL_SCHEME_PACKED) {
        uint64_t t0 = msfl_now_ns();
        status = release(s);
        if (status == MSFL_OK) status = open_and_decode(s, mean, counters);
        s->report.ns_open = msfl_now_ns() - t0;
        if (status != MSFL_OK) return status;
        measure_error(s, mean);
    } else {
        for (uint64_t i = 0; i < s->n_values; i++)
            mean[i] = (float)fixed_mean(s, i);
        memcpy(counters, s->counters, s->config.n_counters * sizeof *counters);
    }
    *report = s->report;
    return MSFL_OK;
}
