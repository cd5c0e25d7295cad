#include "measure/party.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/observe.h"
#include "base/sodium.h"
#include "measure/machine.h"

#include <math.h>
#include <string.h>

/* Integers that are held against each other after each sum. */
#define CHECKED_MAX 2e8

struct measure_party {
    measure_party_request request;
    const msfl_bench_subject *subject;
    const msfl_observer *observer;
    msfl_update_layout *layout;
    msfl_setup *setup;
    msfl_keys *keys;
    msfl_scheme_facts facts;
    msfl_session_info info;
    msfl_session *session; /* of the sum that is under way */
    uint64_t n_values, n_chunks, n_steps, steps_done;
    uint32_t chunk_slots_max;
    uint64_t check_every; /* chunks */
    float *values, *mean;
    double *exact; /* sum of the clients' floats; NULL while all hold the same */
    uint32_t *slots;
    uint64_t *totals, *expected;
    uint8_t *upload, *trailer;
    uint64_t memory_base;
    measure_party_times times;
};

/* --- setup --- */

static msfl_status make_buffers(measure_party *p) {
    uint64_t checked = p->n_chunks / p->check_every + 1;
    p->values = msfl_alloc(p->n_values, sizeof *p->values);
    p->mean = msfl_alloc(p->n_values, sizeof *p->mean);
    p->slots = msfl_alloc(p->chunk_slots_max, sizeof *p->slots);
    p->expected = msfl_alloc(checked * p->chunk_slots_max, sizeof *p->expected);
    p->upload = msfl_alloc(p->facts.upload_bytes, 1);
    p->trailer = msfl_alloc(p->facts.trailer_bytes, 1);
    if (!p->request.same_values) p->exact = msfl_alloc(p->n_values, sizeof *p->exact);
    bool good = p->values != NULL && p->mean != NULL && p->slots != NULL && p->expected != NULL && p->upload != NULL &&
                p->trailer != NULL && (p->request.same_values || p->exact != NULL);
    return good ? MSFL_OK : MSFL_ERR_MEMORY;
}

static msfl_status set_up(measure_party *p) {
    const measure_party_request *r = &p->request;
    p->n_values = msfl_bench_subject_values(p->subject);
    msfl_status status = measure_layout(p->subject, r->value_bits, p->n_values, &p->layout);
    if (status != MSFL_OK) return status;
    const msfl_scheme_request wanted = {.n_clients = r->n_clients,
                                        .min_cohort = 2,
                                        .value_bits = r->value_bits,
                                        .n_values = msfl_update_slots(p->layout)};
    p->memory_base = measure_memory_now();
    uint64_t start = measure_cpu_now();
    status = msfl_setup_new(r->scheme, &wanted, &p->setup);
    if (status == MSFL_OK) status = msfl_keys_new(p->setup, &p->keys);
    p->times.keys_s = measure_cpu_since(start);
    if (status != MSFL_OK) return status;
    msfl_setup_facts(p->setup, &p->facts);
    p->n_chunks = msfl_setup_chunks(p->setup);
    for (uint64_t j = 0; j < p->n_chunks; j++) {
        uint32_t n = msfl_setup_chunk_values(p->setup, j);
        if (n > p->chunk_slots_max) p->chunk_slots_max = n;
    }
    p->check_every = (uint64_t)ceil((double)p->n_values * r->n_run / CHECKED_MAX);
    p->n_steps = p->n_chunks * (r->n_run + 1);
    uint64_t before = measure_memory_now();
    status = make_buffers(p);
    p->memory_base += measure_memory_now() - before; /* the clients' and our own */
    p->totals = msfl_alloc(p->chunk_slots_max, sizeof *p->totals);
    return status == MSFL_OK && p->totals == NULL ? MSFL_ERR_MEMORY : status;
}

msfl_status measure_party_new(const measure_party_request *request, const msfl_bench_subject *subject,
                              const msfl_observer *observer, measure_party **out) {
    *out = NULL;
    if (request->n_run < 2 || request->n_run > request->n_clients) {
        return msfl_fail(MSFL_ERR_USAGE, "a sum over %u of %u clients cannot be measured; 2 or more are needed",
                         request->n_run, request->n_clients);
    }
    measure_party *p = msfl_alloc(1, sizeof *p);
    if (p == NULL) return MSFL_ERR_MEMORY;
    p->request = *request;
    p->subject = subject;
    p->observer = observer;
    msfl_status status = set_up(p);
    if (status != MSFL_OK) {
        measure_party_free(p);
        return status;
    }
    *out = p;
    return MSFL_OK;
}

void measure_party_free(measure_party *p) {
    if (p == NULL) return;
    msfl_session_free(p->session);
    msfl_keys_free(p->keys);
    msfl_setup_free(p->setup);
    msfl_update_layout_free(p->layout);
    msfl_free(p->values);
    msfl_free(p->mean);
    msfl_free(p->exact);
    msfl_free(p->slots);
    msfl_free(p->totals);
    msfl_free(p->expected);
    msfl_free(p->upload);
    msfl_free(p->trailer);
    msfl_free(p);
}

/* --- one sum --- */

static msfl_status step(measure_party *p) {
    p->steps_done++;
    const msfl_event event = {.kind = MSFL_EVENT_PROGRESS,
                              .track = msfl_scheme_name(p->request.scheme),
                              .client = -1,
                              .done = p->steps_done,
                              .total = p->n_steps,
                              .loss = NAN};
    if (p->steps_done % 16 == 0 || p->steps_done == p->n_steps) msfl_observe(p->observer, &event);
    return msfl_check_cancel(p->observer);
}

static msfl_status too_slow(const measure_party *p, double seconds) {
    return msfl_fail(MSFL_ERR_LIMIT, "it would take about %.3g s, and %g s were allowed", seconds, p->request.limit_s);
}

static void note_expected(measure_party *p, uint64_t j, uint32_t n) {
    if (j % p->check_every != 0) return;
    uint64_t *at = p->expected + j / p->check_every * p->chunk_slots_max;
    for (uint32_t i = 0; i < n; i++)
        at[i] += p->slots[i];
}

/** Every chunk: quantised, then encrypted, so that neither leaves the cache. */
static msfl_status send_chunks(measure_party *p, msfl_sender *sender, msfl_update_encoder *encoder, double *quantise_s,
                               double *encrypt_s) {
    msfl_status status = MSFL_OK;
    uint64_t first = 0, at = 0;
    for (uint64_t j = 0; j < p->n_chunks && status == MSFL_OK; j++) {
        uint32_t n = msfl_setup_chunk_values(p->setup, j);
        uint64_t start = measure_cpu_now();
        status = msfl_update_quantise(encoder, first, n, p->slots, NULL);
        *quantise_s += measure_cpu_since(start);
        start = measure_cpu_now();
        if (status == MSFL_OK) status = msfl_sender_encrypt(sender, j, p->slots, p->upload + at);
        double took = measure_cpu_since(start);
        *encrypt_s += took;
        if (status != MSFL_OK) break;
        double whole = took * (double)p->n_chunks * p->request.n_run;
        if (j == 0 && p->request.limit_s > 0.0 && whole > p->request.limit_s) return too_slow(p, whole);
        note_expected(p, j, n);
        first += n;
        at += msfl_setup_chunk_bytes(p->setup, j);
        status = step(p);
    }
    return status;
}

static msfl_status send(measure_party *p, uint32_t client) {
    const msfl_update_input input = {
        .values = p->values, .n_samples = MEASURE_SAMPLES, .rounding_seed = p->info.number << 32 | client};
    msfl_update_encoder *encoder = NULL;
    msfl_sender *sender = NULL;
    double quantise_s = 0.0, encrypt_s = 0.0;
    uint64_t start = measure_cpu_now();
    msfl_status status = msfl_update_check(p->layout, &input);
    if (status == MSFL_OK) status = msfl_update_encoder_new(p->layout, &input, &encoder);
    if (status != MSFL_OK) return status;
    quantise_s = measure_cpu_since(start);
    start = measure_cpu_now();
    status = msfl_sender_new(p->session, client, &sender);
    encrypt_s = measure_cpu_since(start);
    if (status == MSFL_OK) status = send_chunks(p, sender, encoder, &quantise_s, &encrypt_s);
    msfl_update_encoder_free(encoder);
    start = measure_cpu_now();
    if (status == MSFL_OK) status = msfl_sender_finish(sender, p->trailer);
    msfl_sender_free(sender);
    if (status != MSFL_OK) return status;
    measure_turn(&p->times.quantise, quantise_s);
    measure_turn(&p->times.encrypt, encrypt_s);
    measure_turn(&p->times.seal, measure_cpu_since(start));
    return MSFL_OK;
}

static void note_memory(measure_party *p) {
    uint64_t peak = measure_memory_peak() + p->facts.upload_bytes + p->facts.trailer_bytes;
    uint64_t held = peak > p->memory_base ? peak - p->memory_base : 0;
    if (held > p->times.memory_bytes) p->times.memory_bytes = held;
}

static msfl_status one_client(measure_party *p, uint32_t client) {
    if (client == 0 || !p->request.same_values) measure_values(p->subject, client, 0, p->n_values, p->values);
    for (uint64_t i = 0; p->exact != NULL && i < p->n_values; i++)
        p->exact[i] += p->values[i];
    msfl_status status = send(p, client);
    if (status != MSFL_OK) return status;
    measure_memory_restart();
    uint64_t start = measure_cpu_now();
    status =
        msfl_session_upload(p->session, client, p->upload, p->facts.upload_bytes, p->trailer, p->facts.trailer_bytes);
    measure_turn(&p->times.add, measure_cpu_since(start));
    note_memory(p);
    return status;
}

static msfl_status wrong_sum(const measure_party *p, uint64_t j) {
    return msfl_fail(MSFL_ERR_CRYPTO, "%s: the opened sum of %u updates is wrong in chunk %llu",
                     msfl_scheme_name(p->request.scheme), p->request.n_run, (unsigned long long)j);
}

static msfl_status open_chunks(measure_party *p, msfl_update_decoder *decoder) {
    double open_s = 0.0, decode_s = 0.0;
    uint64_t first = 0;
    for (uint64_t j = 0; j < p->n_chunks; j++) {
        uint32_t n = msfl_setup_chunk_values(p->setup, j);
        uint64_t start = measure_cpu_now();
        msfl_status status = msfl_session_open(p->session, j, p->totals);
        open_s += measure_cpu_since(start);
        start = measure_cpu_now();
        if (status == MSFL_OK) status = msfl_update_decode(decoder, first, n, p->totals, p->mean);
        decode_s += measure_cpu_since(start);
        if (status == MSFL_OK) status = step(p);
        if (status != MSFL_OK) return status;
        const uint64_t *expected = p->expected + j / p->check_every * p->chunk_slots_max;
        if (j % p->check_every == 0 && memcmp(p->totals, expected, n * sizeof *expected) != 0) return wrong_sum(p, j);
        first += n;
    }
    measure_turn(&p->times.open, open_s);
    measure_turn(&p->times.decode, decode_s);
    return MSFL_OK;
}

static msfl_status check_means(measure_party *p) {
    uint32_t n = p->request.n_run;
    double worst = 0.0;
    for (uint64_t i = 0; i < p->n_values; i++) {
        double exact = p->exact != NULL ? p->exact[i] / n : p->values[i];
        worst = fmax(worst, fabs(p->mean[i] - exact));
    }
    double bound = msfl_update_error_bound(p->layout, 0, n, (uint64_t)n * MEASURE_SAMPLES);
    p->times.max_error = fmax(p->times.max_error, worst);
    p->times.error_bound = bound;
    if (worst <= bound) return MSFL_OK;
    return msfl_fail(MSFL_ERR_CRYPTO, "%s: a decoded mean of %u updates is off by %g, and %g is the bound",
                     msfl_scheme_name(p->request.scheme), n, worst, bound);
}

msfl_status measure_party_sum(measure_party *p) {
    msfl_update_decoder *decoder = NULL;
    msfl_session_free(p->session);
    p->session = NULL;
    p->info.number++;
    p->steps_done = 0;
    memset(p->expected, 0, (p->n_chunks / p->check_every + 1) * p->chunk_slots_max * sizeof *p->expected);
    if (p->exact != NULL) memset(p->exact, 0, p->n_values * sizeof *p->exact);
    msfl_random_bytes(p->info.task, sizeof p->info.task);
    msfl_update_layout_hash(p->layout, p->info.layout);
    uint64_t start = measure_cpu_now();
    msfl_status status = msfl_session_new(p->setup, p->keys, &p->info, &p->session);
    measure_turn(&p->times.session, measure_cpu_since(start));
    for (uint32_t c = 0; c < p->request.n_run && status == MSFL_OK; c++)
        status = one_client(p, c);
    if (status != MSFL_OK) return status;
    measure_memory_restart();
    start = measure_cpu_now();
    status = msfl_session_close(p->session);
    measure_turn(&p->times.close, measure_cpu_since(start));
    if (status == MSFL_OK) status = msfl_update_decoder_new(p->layout, p->request.n_run, &decoder);
    if (status == MSFL_OK) status = open_chunks(p, decoder);
    note_memory(p);
    msfl_update_decoder_free(decoder);
    return status == MSFL_OK ? check_means(p) : status;
}

const measure_party_times *measure_party_times_borrow(const measure_party *p) {
    return &p->times;
}

const msfl_scheme_facts *measure_party_facts(const measure_party *p) {
    return &p->facts;
}

const uint8_t *measure_party_upload(const measure_party *p) {
    return p->upload;
}
