#include "measure/lane.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/observe.h"
#include "base/sodium.h"
#include "base/threads.h"
#include "measure/lane_state.h"
#include "measure/machine.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef measure_lane lane;

/* One thread is timed by its processor's time, in which neighbours on the machine do not count; several by the wall
 * clock. */
static uint64_t now(const lane *l) {
    return l->n_desks == 1 ? msfl_thread_cpu_ns() : msfl_now_ns();
}

static double since(const lane *l, uint64_t start) {
    return (double)(now(l) - start) * 1e-9;
}

static size_t bytes_of(const measure_engine *e, uint64_t j) {
    return (size_t)(e->byte_at[j + 1] - e->byte_at[j]);
}

/* --- memory: what comes and goes in the coordinator's steps, and the peaks within them --- */

static void coordinator_begin(lane *l) {
    measure_memory_restart();
    l->memory_before = measure_memory_now();
}

static void coordinator_end(lane *l) {
    int64_t peak = l->held + (int64_t)(measure_memory_peak() - l->memory_before);
    if (peak > l->memory_peak) l->memory_peak = peak;
    l->held += (int64_t)(measure_memory_now() - l->memory_before);
}

/* --- tasks: one chunk each --- */

static msfl_status quantise_task(void *ctx, size_t j) {
    lane *l = ctx;
    measure_desk *d = measure_desk_take(l->desks, l->n_desks);
    msfl_status status =
        msfl_update_quantise(d->encoder, l->engine->slot_at[j], measure_engine_slots(l->engine, j), d->slots, NULL);
    measure_desk_give(d);
    return status;
}

static msfl_status encrypt_task(void *ctx, size_t j) {
    lane *l = ctx;
    measure_engine *e = l->engine;
    msfl_status status = msfl_check_cancel(l->observer);
    if (status != MSFL_OK) return status;
    measure_desk *d = measure_desk_take(l->desks, l->n_desks);
    status = msfl_update_quantise(d->encoder, e->slot_at[j], measure_engine_slots(e, j), d->slots, NULL);
    if (status == MSFL_OK) status = e->ops->encrypt(e, j, d->slots, l->wire + e->byte_at[j]);
    measure_desk_give(d);
    return status;
}

static msfl_status fold_task(void *ctx, size_t j) {
    lane *l = ctx;
    measure_engine *e = l->engine;
    return e->ops->fold(e, j, l->wire + e->byte_at[j], bytes_of(e, j));
}

static msfl_status open_task(void *ctx, size_t i) {
    lane *l = ctx;
    return l->engine->ops->open(l->engine, l->window + i, l->desks[i].totals);
}

/* --- steps --- */

static msfl_status encrypt_client(lane *l, uint32_t client) {
    measure_engine *e = l->engine;
    msfl_pool *pool = e->in_order ? NULL : l->pool;
    const msfl_update_input input = {
        .values = l->values, .n_samples = MEASURE_SAMPLES, .rounding_seed = (uint64_t)client + 1};
    uint64_t start = now(l);
    msfl_status status = msfl_update_check(l->layout, &input);
    if (status == MSFL_OK) status = measure_lane_set_encoders(l, client, l->n_desks);
    uint64_t key_start = now(l);
    if (status == MSFL_OK && e->ops->client_begin != NULL) {
        status = e->ops->client_begin(e, client);
        measure_turn(&l->key, since(l, key_start));
    }
    if (status == MSFL_OK) status = msfl_pool_run(pool, e->n_chunks, encrypt_task, l);
    if (status == MSFL_OK) measure_turn(&l->encrypt, since(l, start));
    measure_lane_clear_encoders(l);
    msfl_status ended = e->ops->client_end != NULL ? e->ops->client_end(e) : MSFL_OK;
    return status != MSFL_OK ? status : ended;
}

static msfl_status fold_client(lane *l, uint32_t client) {
    measure_engine *e = l->engine;
    coordinator_begin(l);
    uint64_t start = now(l);
    msfl_status status = e->ops->fold != NULL ? msfl_pool_run(l->pool, e->n_chunks, fold_task, l)
                                              : e->ops->upload(e, client, l->wire, e->byte_at[e->n_chunks]);
    double took = since(l, start);
    coordinator_end(l);
    if (status != MSFL_OK) return status;
    if (client > 0 || !e->copies_first) measure_turn(&l->fold, took);
    if (client <= 1) l->memory_second = l->held;
    l->memory_last = l->held;
    return MSFL_OK;
}

/** Folding again what is at hand, and hashing with it, into a sum that nobody opens. */
static msfl_status fold_more(lane *l, double seconds) {
    measure_engine *e = l->engine;
    const msfl_observer *observer = l->observer;
    uint64_t begun = msfl_now_ns();
    msfl_status status = MSFL_OK;
    for (uint32_t turn = 0; status == MSFL_OK && (turn < 4 || measure_since(begun) < seconds); turn++) {
        uint32_t place = turn % l->request->n_clients;
        if (place == 0) status = e->ops->sum_begin(e);
        if (status == MSFL_OK) status = msfl_check_cancel(observer);
        if (status != MSFL_OK) break;
        bool with_hash = place % 2 == 1 && l->n_desks == 1;
        uint8_t digest[MSFL_HASH_BYTES];
        msfl_hash h;
        uint64_t start = now(l);
        if (!with_hash) {
            status = msfl_pool_run(l->pool, e->n_chunks, fold_task, l);
        } else {
            msfl_hash_init(&h, "msfl.bench.v1");
            for (uint64_t j = 0; j < e->n_chunks && status == MSFL_OK; j++) {
                msfl_hash_add(&h, l->wire + e->byte_at[j], bytes_of(e, j));
                status = fold_task(l, j);
            }
            msfl_hash_final(&h, digest);
        }
        double took = since(l, start);
        if (place > 0 || !e->copies_first) measure_turn(with_hash ? &l->fold_and_hash : &l->fold, took);
    }
    return status;
}

static void hash_alone(lane *l) {
    measure_engine *e = l->engine;
    uint64_t begun = msfl_now_ns();
    for (int turn = 0; turn < 3 || measure_since(begun) < l->request->seconds * 0.1; turn++) {
        uint8_t digest[MSFL_HASH_BYTES];
        msfl_hash h;
        uint64_t start = now(l);
        msfl_hash_init(&h, "msfl.bench.v1");
        for (uint64_t j = 0; j < e->n_chunks; j++)
            msfl_hash_add(&h, l->wire + e->byte_at[j], bytes_of(e, j));
        msfl_hash_final(&h, digest);
        measure_turn(&l->hash, since(l, start));
    }
}

static msfl_status quantise_alone(lane *l) {
    msfl_status status = MSFL_OK;
    uint64_t begun = msfl_now_ns();
    for (int turn = 0; (turn < 3 || measure_since(begun) < l->request->seconds * 0.1) && status == MSFL_OK; turn++) {
        const msfl_update_input input = {.values = l->values, .n_samples = MEASURE_SAMPLES, .rounding_seed = 1};
        uint64_t start = now(l);
        status = msfl_update_check(l->layout, &input);
        measure_turn(&l->check, since(l, start));
        start = now(l);
        if (status == MSFL_OK) status = measure_lane_set_encoders(l, 0, l->n_desks);
        if (status == MSFL_OK) status = msfl_pool_run(l->pool, l->engine->n_chunks, quantise_task, l);
        if (status == MSFL_OK) measure_turn(&l->quantise, since(l, start));
        measure_lane_clear_encoders(l);
    }
    return status;
}

/** Open all chunks, a window of as many as there are threads at a time, and decode them in their order. */
static msfl_status open_once(lane *l, uint32_t cohort) {
    measure_engine *e = l->engine;
    msfl_update_decoder *decoder = NULL;
    double decode_s = 0.0;
    uint64_t start = now(l);
    msfl_status status = msfl_update_decoder_new(l->layout, cohort, &decoder);
    for (l->window = 0; l->window < e->n_chunks && status == MSFL_OK; l->window += l->n_desks) {
        uint64_t left = e->n_chunks - l->window;
        uint32_t n = left < l->n_desks ? (uint32_t)left : l->n_desks;
        status = msfl_pool_run(l->pool, n, open_task, l);
        uint64_t decode_start = now(l);
        for (uint32_t i = 0; i < n && status == MSFL_OK; i++) {
            uint64_t j = l->window + i;
            status =
                msfl_update_decode(decoder, e->slot_at[j], measure_engine_slots(e, j), l->desks[i].totals, l->mean);
        }
        decode_s += since(l, decode_start);
    }
    if (status == MSFL_OK) {
        measure_turn(&l->open, since(l, start));
        measure_turn(&l->decode, decode_s);
    }
    msfl_update_decoder_free(decoder);
    return status;
}

/* --- one row --- */

/** How much of the row's time has passed; ERR_CANCELLED on request. */
static msfl_status tell(const lane *l) {
    double passed = measure_since(l->begun_ns), all = l->request->seconds;
    const msfl_event event = {.kind = MSFL_EVENT_PROGRESS,
                              .track = "he",
                              .client = -1,
                              .done = (uint64_t)(fmin(passed, all) * 1e3),
                              .total = (uint64_t)(all * 1e3),
                              .loss = NAN};
    msfl_observe(l->observer, &event);
    return msfl_check_cancel(l->observer);
}

/** Clients up to the request's number, or as many as there is time for, but two. */
static msfl_status run_cohort(lane *l, double seconds) {
    measure_engine *e = l->engine;
    uint64_t begun = msfl_now_ns();
    uint32_t n = 0;
    coordinator_begin(l);
    msfl_status status = e->ops->sum_begin(e);
    coordinator_end(l);
    while (status == MSFL_OK && n < l->request->n_clients) {
        if (n >= 2 && !e->needs_all && measure_since(begun) > seconds) break;
        status = encrypt_client(l, n);
        if (status == MSFL_OK) status = fold_client(l, n);
        if (status == MSFL_OK) status = tell(l);
        n++;
    }
    coordinator_begin(l);
    if (status == MSFL_OK && e->ops->close != NULL) status = e->ops->close(e, n);
    begun = msfl_now_ns();
    for (int turn = 0; status == MSFL_OK && (turn == 0 || measure_since(begun) < seconds / 3); turn++) {
        status = open_once(l, n);
        if (status == MSFL_OK) status = msfl_check_cancel(l->observer);
    }
    if (!e->opens_elsewhere) coordinator_end(l);
    if (status == MSFL_OK) status = measure_lane_check_means(l, n);
    if (status == MSFL_OK) status = measure_lane_check_integers(l, n);
    if (n > l->row->clients_measured) {
        l->row->clients_measured = n;
        if (n > 2) {
            l->row->extra_memory_per_client = (double)(l->memory_last - l->memory_second) / (n - 2);
        }
    }
    return status;
}

static msfl_status set_up(lane *l) {
    const measure_lane_request *r = l->request;
    msfl_status status = measure_layout(r->subject, r->value_bits, l->n_values, &l->layout);
    if (status == MSFL_OK) status = msfl_pool_new(r->n_threads, &l->pool);
    if (status != MSFL_OK) return status;
    l->n_desks = msfl_pool_threads(l->pool);
    l->desks = measure_desks_new(l->n_desks);
    l->values = msfl_alloc(l->n_values, sizeof *l->values);
    l->mean = msfl_alloc(l->n_values, sizeof *l->mean);
    if (l->desks == NULL || l->values == NULL || l->mean == NULL) return MSFL_ERR_MEMORY;
    measure_values(r->subject, 0, 0, l->n_values, l->values);
    const measure_engine_request wanted = {.scheme = r->scheme,
                                           .seeded = r->seeded,
                                           .sum = {.n_clients = r->n_clients,
                                                   .min_cohort = 2,
                                                   .value_bits = r->value_bits,
                                                   .n_values = msfl_update_slots(l->layout),
                                                   .security_bits = 0,
                                                   .ring_degree = r->ring_degree}};
    status = measure_engine_new(&wanted, l->row, &l->engine);
    if (status != MSFL_OK) return status;
    l->held = l->memory_peak = (int64_t)l->engine->coordinator_bytes;
    l->wire = msfl_alloc(l->engine->byte_at[l->engine->n_chunks], 1);
    if (l->wire == NULL) return MSFL_ERR_MEMORY;
    return measure_desks_furnish(l->desks, l->n_desks, l->engine->chunk_slots_max);
}

static void clear(lane *l) {
    measure_engine_free(l->engine);
    measure_desks_free(l->desks, l->n_desks);
    msfl_free(l->values);
    msfl_free(l->mean);
    msfl_free(l->wire);
    msfl_update_layout_free(l->layout);
    msfl_pool_free(l->pool);
}

static void conclude(const lane *l) {
    msfl_bench_he_row *row = l->row;
    const measure_engine *e = l->engine;
    double millions = (double)l->n_values * 1e-6;
    row->encrypt_mvps = millions / measure_best(&l->encrypt);
    row->check_mvps = millions / measure_best(&l->check);
    row->decode_mvps = millions / measure_best(&l->decode);
    row->quantise_mvps = millions / measure_best(&l->quantise);
    row->key_ms = measure_best(&l->key) * 1e3;
    row->fold_mvps = millions / measure_best(&l->fold);
    row->hash_mvps = millions / measure_best(&l->hash);
    row->fold_and_hash_mvps = millions / measure_best(&l->fold_and_hash);
    row->open_mvps = millions / measure_best(&l->open);
    row->bytes_per_value = (double)e->byte_at[e->n_chunks] / (double)l->n_values;
    row->accumulator_bytes = e->byte_at[e->n_chunks];
    /* For every thread a chunk that is received, and one of opened totals. A session takes the whole upload. */
    uint64_t held = (uint64_t)l->memory_peak;
    if (!e->opens_elsewhere) held += (uint64_t)l->n_desks * e->chunk_slots_max * sizeof(uint64_t);
    held += e->ops->fold != NULL ? (uint64_t)l->n_desks * e->chunk_bytes_max : e->byte_at[e->n_chunks];
    row->extra_memory_bytes = held > row->accumulator_bytes ? held - row->accumulator_bytes : 0;
}

msfl_status measure_lane_run(const measure_lane_request *request, const msfl_observer *observer,
                             msfl_bench_he_row *row) {
    lane l = {
        .request = request, .observer = observer, .row = row, .n_values = msfl_bench_subject_values(request->subject)};
    memset(row, 0, sizeof *row);
    snprintf(row->scheme, sizeof row->scheme, "%s", msfl_scheme_name(request->scheme));
    row->bits = request->value_bits;
    row->clients = request->n_clients;
    row->values = l.n_values;
    row->log2_q = row->seeded_encrypt_mvps = row->seeded_fold_mvps = row->seeded_bytes_per_value = NAN;
    msfl_status status = set_up(&l);
    double seconds = request->seconds;
    l.begun_ns = msfl_now_ns();
    for (int turn = 0; status == MSFL_OK && (turn == 0 || measure_since(l.begun_ns) < seconds * 0.6); turn++)
        status = run_cohort(&l, seconds * 0.5);
    if (status == MSFL_OK) status = quantise_alone(&l);
    if (status == MSFL_OK && l.engine->ops->fold != NULL) {
        hash_alone(&l);
        status = fold_more(&l, seconds * 0.2);
    }
    row->threads = l.n_desks;
    if (status == MSFL_OK) conclude(&l);
    clear(&l);
    return status;
}

void measure_lane_relate(msfl_bench_he_row *row, const msfl_bench_machine *machine) {
    double bytes = row->bytes_per_value * 1e-3; /* of a million values, in 10^9 */
    row->encrypt_vs_memcpy = row->encrypt_mvps * bytes / machine->memcpy_gbps;
    row->fold_vs_memcpy = row->fold_mvps * bytes / machine->memcpy_gbps;
    row->open_vs_memcpy = row->open_mvps * bytes / machine->memcpy_gbps;
    row->encrypt_vs_aes = row->encrypt_mvps * bytes / machine->aes_ctr_gbps;
    row->fold_vs_aes = row->fold_mvps * bytes / machine->aes_ctr_gbps;
    row->open_vs_aes = row->open_mvps * bytes / machine->aes_ctr_gbps;
}
