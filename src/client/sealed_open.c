/* A sum that was delivered: fetched, opened, made into the next model, reported. */
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "client/sealed.h"
#include "job/aggregate.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { RETRY_MS = 500 };

/* The folded sum as the coordinator keeps it, into the machine. */
static msfl_status feed(client_part_state *p, const msfl_announcement *a, const char *path) {
    const msfl_packed *ctx = p->sealed->ctx;
    const uint64_t n = msfl_packed_chunks(ctx, a->info.n_values);
    uint8_t *chunk = msfl_alloc(msfl_packed_chunk_bytes(ctx, a->info.n_values, 0), 1);
    if (chunk == NULL) return MSFL_NO_MEMORY;
    msfl_status status = MSFL_OK;
    FILE *f = fopen(path, "rbe");
    if (f == NULL) status = msfl_fail_errno(errno, "%s cannot be read", path);
    for (uint64_t j = 0; j < n && status == MSFL_OK; j++) {
        const size_t length = msfl_packed_chunk_bytes(ctx, a->info.n_values, j);
        if (fread(chunk, 1, length, f) != length) {
            status = msfl_fail(MSFL_ERR_CRYPTO, "%s is too short", path);
        } else {
            status = msfl_site_folded(p->site, ctx, j, chunk, length);
        }
    }
    if (f != NULL) (void)fclose(f);
    msfl_free(chunk);
    return status;
}

static msfl_status fetch(client_part_state *p, const msfl_announcement *a) {
    const msfl_packed *ctx = p->sealed->ctx;
    const uint64_t n = msfl_packed_chunks(ctx, a->info.n_values);
    char etag[17 + 16], *path = msfl_path_join(p->run->folder, "folded-sum");
    uint64_t total = 0;
    if (path == NULL) return MSFL_NO_MEMORY;
    for (uint64_t j = 0; j < n; j++)
        total += msfl_packed_chunk_bytes(ctx, a->info.n_values, j);
    msfl_hex(p->seat.task, 8, etag);
    (void)snprintf(etag + 16, 17, "%016" PRIx64, a->info.number);
    msfl_status status = client_link_sum(p->link, p->run->id, a->info.number, etag, path, total);
    if (status == MSFL_OK) status = feed(p, a, path);
    (void)unlink(path);
    msfl_free(path);
    return status;
}

/* All totals, into counters and, for an update, the weighted mean. */
static msfl_status decode(client_part_state *p, const job_plan *plan, const msfl_announcement *a, sealed_opened *o,
                          float *mean) {
    const msfl_packed *ctx = p->sealed->ctx;
    const uint64_t n_values = a->info.n_values, n_chunks = msfl_packed_chunks(ctx, n_values);
    const uint32_t n_counters = plan->kind == JOB_UPDATE ? (uint32_t)JOB_UPDATE_COUNTERS : (uint32_t)JOB_EVAL_COUNTERS;
    msfl_update_layout *layout = NULL;
    msfl_update_decoder *decoder = NULL;
    uint64_t *totals = msfl_alloc(msfl_packed_chunk_slots(ctx, n_values, 0), sizeof *totals);
    msfl_status status = totals == NULL ? MSFL_NO_MEMORY : job_plan_layout(plan, p->run->shape, &layout);
    if (status == MSFL_OK) status = msfl_update_decoder_new(layout, o->cohort, &decoder);
    uint64_t first = 0;
    for (uint64_t j = 0; j < n_chunks && status == MSFL_OK; j++) {
        const uint32_t n = msfl_packed_chunk_slots(ctx, n_values, j);
        status = msfl_site_total(p->site, j, totals);
        if (status == MSFL_OK) status = msfl_update_decode(decoder, first, n, totals, mean);
        first += n;
    }
    for (uint32_t k = 0; k < n_counters && status == MSFL_OK; k++)
        o->counters[k] = msfl_update_counter(decoder, k);
    msfl_update_decoder_free(decoder);
    msfl_update_layout_free(layout);
    msfl_free(totals);
    return status;
}

/* The next model, in a safe place, before anybody hears of it. */
static msfl_status make(client_part_state *p, const job_plan *plan, const msfl_announcement *a, sealed_opened *o) {
    const job_shape *shape = p->run->shape;
    const job_aggregate *rule;
    float *mean = NULL, *global = NULL, *carried = NULL;
    if (plan->kind != JOB_UPDATE) return decode(p, plan, a, o, NULL);
    msfl_status status = job_aggregate_find(p->run->spec.aggregate, &rule);
    mean = msfl_alloc(shape->n_values, sizeof *mean);
    if (status == MSFL_OK && mean == NULL) status = MSFL_NO_MEMORY;
    if (status == MSFL_OK) status = decode(p, plan, a, o, mean);
    if (status == MSFL_OK) status = client_sealed_weights(p, plan->model, &global);
    const bool carries = status == MSFL_OK && job_carried(rule, &p->run->spec.rule) > 0;
    if (carries) status = sealed_moments(p, rule, plan->model, &carried);
    if (status == MSFL_OK) {
        const job_stride stride = job_spec_stride(&p->run->spec, plan->round, plan->learning_rate);
        job_sent_spread(&shape->sent, mean);
        job_step(rule, mean, carried, global, mean, 0, shape->n_values, shape->n_values, &stride);
        job_weights_hash(shape, mean, o->hash);
        if (carries) status = sealed_save_moments(p, rule, plan->round, o->hash, carried);
        if (status == MSFL_OK) status = sealed_save_weights(p, plan->round, mean);
    }
    msfl_free(carried);
    msfl_free(global);
    msfl_free(mean);
    return status;
}

static msfl_status report(client_part_state *p, const job_plan *plan, const msfl_announcement *a) {
    msfl_effects effects = {0};
    msfl_buffer frames = {0};
    size_t n;
    (void)msfl_site_cohort(p->site, &n);
    sealed_opened o = {
        .number = a->info.number, .kind = plan->kind, .cohort = (uint32_t)n, .learning_rate = plan->learning_rate};
    memcpy(o.task, p->seat.task, MSFL_HASH_BYTES);
    msfl_status status = make(p, plan, a, &o);
    if (status == MSFL_OK) status = sealed_keep_opened(p, &o);
    if (status == MSFL_OK) {
        p->sealed->opened = o;
        status = msfl_site_report(p->site, plan->kind == JOB_UPDATE ? o.hash : NULL, &effects);
    }
    if (status == MSFL_OK) status = client_part_carry_out(p, &effects, &frames);
    if (status == MSFL_OK) {
        client_say(p->run, MSFL_EVENT_INFO, "opened the sum of %zu hospitals (number %" PRIu64 ")", n, a->info.number);
        status = client_sealed_send(p, &frames);
    }
    msfl_effects_clear(&effects);
    msfl_buffer_clear(&frames);
    return status;
}

/* What cannot be mended by asking again is told once; the next message is listened to all the same. */
static void give_up(client_part_state *p, uint64_t number, msfl_status status) {
    if (p->skipped == number) return;
    p->skipped = number;
    client_say(p->run, MSFL_EVENT_WARNING, "round %" PRIu64 " cannot be opened here: %s", number, msfl_error_message());
    client_reporter_say(p->run->hub->reporter, p->run->id, 0, "failed", 0, msfl_status_text(status));
}

msfl_status client_sealed_open(client_part_state *p) {
    const msfl_announcement a = *msfl_site_round(p->site);
    job_plan plan;
    msfl_status status = client_sealed_plan(p, &a, &plan);
    if (status == MSFL_OK && p->sealed->ctx == NULL) status = msfl_packed_new(&a.info.params, &p->sealed->ctx);
    if (status == MSFL_OK && msfl_site_phase_of(p->site) == MSFL_SITE_DELIVERED) status = fetch(p, &a);
    if (status == MSFL_OK && msfl_site_phase_of(p->site) == MSFL_SITE_OPENED) status = report(p, &plan, &a);
    job_plan_clear(&plan);
    /* The coordinator has not folded yet, or further answers are on their way: everything is asked for again. */
    if (status == MSFL_ERR_MISSING || status == MSFL_ERR_CRYPTO) {
        if (status == MSFL_ERR_CRYPTO) client_say(p->run, MSFL_EVENT_INFO, "%s", msfl_error_message());
        p->seen = 0;
        return client_pause(&p->run->stop, RETRY_MS);
    }
    if (status == MSFL_OK || client_is_passing(status)) return status;
    give_up(p, a.info.number, status);
    return MSFL_OK;
}
