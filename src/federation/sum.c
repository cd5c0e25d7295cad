#include "federation/sum.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "job/fixed.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

struct fed_sum {
    fed_sum_config config;
    msfl_update_layout *layout;
    uint64_t n_slots, n_values;
    pthread_mutex_t mutex; /* guards all below */
    uint32_t cohort;
    bool *submitted;    /* n_clients; plain only: sessions keep their own */
    int64_t *fixed;     /* n_values: sum of omega x */
    uint64_t *counters; /* n_counters: plain sums */
    fed_sum_report report;
    /* encrypted only */
    msfl_session *session;
    uint64_t *expected; /* n_slots: sums of the quantised integers */
};

static msfl_status make_layout(const fed_sum_config *c, msfl_update_layout **out) {
    return msfl_update_layout_new(c->value_bits, c->n_counters, c->n_samples_max, c->ranges, c->n_ranges, out);
}

msfl_status fed_channel_init(fed_channel *channel, const msfl_scheme *scheme, const fed_sum_config *config) {
    *channel = (fed_channel){NULL, NULL};
    msfl_update_layout *layout;
    msfl_status status = make_layout(config, &layout);
    if (status != MSFL_OK) return status;
    const msfl_scheme_request request = {.n_clients = config->n_clients,
                                         .min_cohort = config->min_cohort,
                                         .value_bits = config->value_bits,
                                         .n_values = msfl_update_slots(layout),
                                         .security_bits = config->security_bits,
                                         .custody = config->custody,
                                         .delivery = config->delivery};
    msfl_update_layout_free(layout);
    status = msfl_setup_new(scheme, &request, &channel->setup);
    if (status == MSFL_OK) status = msfl_keys_new(channel->setup, &channel->keys);
    if (status != MSFL_OK) fed_channel_clear(channel);
    return status;
}

void fed_channel_clear(fed_channel *channel) {
    msfl_keys_free(channel->keys);
    msfl_setup_free(channel->setup);
    *channel = (fed_channel){NULL, NULL};
}

static msfl_status open_session(fed_sum *s) {
    const fed_sum_config *c = &s->config;
    msfl_session_info info = {.number = c->number};
    if (msfl_setup_request(c->channel->setup)->n_values != s->n_slots) {
        return msfl_fail(MSFL_ERR_MISMATCH, "a sum of %llu slots over parameters planned for %llu",
                         (unsigned long long)s->n_slots,
                         (unsigned long long)msfl_setup_request(c->channel->setup)->n_values);
    }
    memcpy(info.task, c->task, MSFL_HASH_BYTES);
    memcpy(info.model, c->model, MSFL_HASH_BYTES);
    msfl_update_layout_hash(s->layout, info.layout);
    s->expected = msfl_alloc(s->n_slots, sizeof *s->expected);
    if (s->expected == NULL) return MSFL_ERR_MEMORY;
    return msfl_session_new(c->channel->setup, c->channel->keys, &info, &s->session);
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
    if (config->channel != NULL) status = open_session(s);
    if (status != MSFL_OK) goto done;
    *out = s;
    s = NULL;
done:
    fed_sum_free(s);
    return status;
}

void fed_sum_free(fed_sum *s) {
    if (s == NULL) return;
    msfl_session_free(s->session);
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
    job_fixed_add(s->fixed, input->values, s->n_values, omega);
    s->counters[0] += input->n_samples;
    for (uint32_t k = 1; k < s->config.n_counters; k++)
        s->counters[k] += input->counters[k - 1];
}

typedef struct upload {
    uint32_t *slots; /* the whole quantised vector: kept to check the sum, as only a simulation can */
    uint8_t *ciphertext, *trailer;
    msfl_scheme_facts facts;
    uint64_t ns_quantise, ns_encrypt;
} upload;

static void upload_clear(upload *u, uint64_t n_slots) {
    if (u->slots != NULL) msfl_wipe(u->slots, n_slots * sizeof *u->slots);
    msfl_free(u->slots);
    msfl_free(u->ciphertext);
    msfl_free(u->trailer);
}

/* What happens inside the hospital: nothing but ciphertext and trailer comes out. */
static msfl_status encrypt(fed_sum *s, uint32_t client, const msfl_update_input *input, upload *u) {
    const msfl_setup *setup = s->config.channel->setup;
    msfl_sender *sender = NULL;
    msfl_update_encoder *encoder = NULL;
    msfl_setup_facts(setup, &u->facts);
    u->slots = msfl_alloc(s->n_slots, sizeof *u->slots);
    u->ciphertext = msfl_alloc(u->facts.upload_bytes, 1);
    u->trailer = msfl_alloc(u->facts.trailer_bytes, 1);
    if (u->slots == NULL || u->ciphertext == NULL || u->trailer == NULL) return MSFL_ERR_MEMORY;
    uint64_t t0 = msfl_now_ns();
    msfl_status status = msfl_update_encoder_new(s->layout, input, &encoder);
    if (status != MSFL_OK) return status;
    u->ns_quantise += msfl_now_ns() - t0;
    t0 = msfl_now_ns();
    status = msfl_sender_new(s->session, client, &sender);
    if (status != MSFL_OK) goto done;
    u->ns_encrypt += msfl_now_ns() - t0;
    uint64_t first = 0;
    size_t at = 0;
    for (uint64_t j = 0; j < u->facts.n_chunks; j++) {
        uint32_t n = msfl_setup_chunk_values(setup, j);
        t0 = msfl_now_ns();
        status = msfl_update_quantise(encoder, first, n, u->slots + first, NULL);
        if (status != MSFL_OK) goto done;
        uint64_t t1 = msfl_now_ns();
        status = msfl_sender_encrypt(sender, j, u->slots + first, u->ciphertext + at);
        if (status != MSFL_OK) goto done;
        u->ns_quantise += t1 - t0;
        u->ns_encrypt += msfl_now_ns() - t1;
        first += n;
        at += msfl_setup_chunk_bytes(setup, j);
    }
    t0 = msfl_now_ns();
    status = msfl_sender_finish(sender, u->trailer);
    u->ns_encrypt += msfl_now_ns() - t0;
done:
    msfl_sender_free(sender);
    msfl_update_encoder_free(encoder);
    return status;
}

static msfl_status submit_encrypted(fed_sum *s, uint32_t client, const msfl_update_input *input) {
    upload u = {0};
    msfl_status status = encrypt(s, client, input, &u);
    if (status != MSFL_OK) goto done;
    uint64_t t0 = msfl_now_ns();
    status =
        msfl_session_upload(s->session, client, u.ciphertext, u.facts.upload_bytes, u.trailer, u.facts.trailer_bytes);
    uint64_t ns_fold = msfl_now_ns() - t0;
    if (status != MSFL_OK) goto done;
    pthread_mutex_lock(&s->mutex);
    for (uint64_t i = 0; i < s->n_slots; i++)
        s->expected[i] += u.slots[i];
    add_fixed(s, input);
    s->cohort++;
    s->report.bytes_ciphertext = u.facts.upload_bytes;
    s->report.bytes_bundle = u.facts.trailer_bytes;
    s->report.bytes_delivered = u.facts.delivery_bytes;
    if ((msfl_scheme_traits(msfl_setup_scheme(s->config.channel->setup)) & MSFL_SCHEME_INTERACTIVE) != 0) {
        s->report.bytes_bundle += u.facts.setup_bytes; /* exchanged anew for every sum */
    }
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
    if (status == MSFL_OK) status = job_fixed_check(input->values, s->n_values, 0);
    if (status != MSFL_OK) return status;
    if (s->config.channel != NULL) return submit_encrypted(s, client, input);
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
    return job_fixed_mean(s->fixed[i], omega_sum);
}

/* Open every chunk, hold it against the plaintext integers, decode. */
static msfl_status open_and_decode(fed_sum *s, float *mean, uint64_t *counters) {
    msfl_update_decoder *decoder = NULL;
    const msfl_setup *setup = s->config.channel->setup;
    uint64_t most = msfl_setup_chunk_values(setup, 0);
    uint64_t *totals = msfl_alloc(most, sizeof *totals);
    msfl_status status = totals == NULL ? MSFL_ERR_MEMORY : msfl_update_decoder_new(s->layout, s->cohort, &decoder);
    bool exact = true;
    uint64_t first = 0;
    uint64_t n_chunks = msfl_setup_chunks(setup);
    for (uint64_t j = 0; j < n_chunks && status == MSFL_OK; j++) {
        uint32_t n = msfl_setup_chunk_values(setup, j);
        status = msfl_session_open(s->session, j, totals);
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
    if (s->config.channel != NULL) {
        uint64_t t0 = msfl_now_ns();
        status = msfl_session_close(s->session);
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
