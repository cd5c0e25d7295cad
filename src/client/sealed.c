/* Sums that this hospital opens: fetched, opened, made into the next model, told, and caught up with. */
#include "client/sealed.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/observe.h"
#include "client/weights.h"
#include "job/aggregate.h"
#include "medsecurefl/transcript.h"
#include "round/message.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { RETRY_MS = 500 };

/* --- begin and end --- */

static msfl_status layout_hash(const client_part_state *p, job_kind kind, uint8_t out[MSFL_HASH_BYTES]) {
    const job_plan plan = {.kind = kind, .clip = kind == JOB_UPDATE ? p->sealed->clip : NULL};
    msfl_update_layout *layout;
    msfl_status status = job_plan_layout(&plan, p->run->shape, &layout);
    if (status != MSFL_OK) return status;
    msfl_update_layout_hash(layout, out);
    msfl_update_layout_free(layout);
    return MSFL_OK;
}

/* The first model's name is the hash of its weights: by the description, or by its seed. */
static msfl_status initial_name(const job_shape *shape, uint8_t out[MSFL_HASH_BYTES]) {
    static const uint8_t zero[MSFL_HASH_BYTES];
    memcpy(out, shape->spec->initial, MSFL_HASH_BYTES);
    if (memcmp(out, zero, sizeof zero) != 0) return MSFL_OK;
    float *weights = msfl_alloc(shape->n_values, sizeof *weights);
    msfl_status status = weights == NULL ? MSFL_NO_MEMORY : job_shape_initial(shape, weights);
    if (status == MSFL_OK) job_weights_hash(shape, weights, out);
    msfl_free(weights);
    return status;
}

msfl_status client_sealed_new(client_part_state *p) {
    const job_shape *shape = p->run->shape;
    struct client_sealed *s = msfl_alloc(1, sizeof *s);
    if (s == NULL) return MSFL_NO_MEMORY;
    p->sealed = s;
    s->folder = msfl_path_join(p->run->folder, "models");
    s->clip = msfl_alloc(shape->sent.n_tensors, sizeof *s->clip);
    msfl_status status = s->folder == NULL || s->clip == NULL ? MSFL_NO_MEMORY : MSFL_OK;
    const job_clip_rule rule = job_shape_clip_rule(shape);
    if (status == MSFL_OK && job_clip_follows(&rule)) {
        status = msfl_fail(MSFL_ERR_POLICY, "the job's clipping bounds would follow from its sums, and tell the "
                                            "coordinator how large they are");
    }
    if (status == MSFL_OK) job_clip_init(&rule, s->clip);
    if (status == MSFL_OK) status = layout_hash(p, JOB_UPDATE, s->update_layout);
    if (status == MSFL_OK) status = layout_hash(p, JOB_EVALUATE, s->evaluate_layout);
    if (status == MSFL_OK) status = layout_hash(p, JOB_TEST, s->test_layout);
    if (status == MSFL_OK) status = sealed_load(p);
    if (status == MSFL_OK && s->state.number == 0) {
        status = initial_name(shape, s->state.newest_name);
        memcpy(s->state.best_name, s->state.newest_name, MSFL_HASH_BYTES);
        /* From here on this hospital wants to see the end of the job. */
        if (status == MSFL_OK) status = sealed_keep_state(p, &s->state);
    }
    if (status == MSFL_OK) return MSFL_OK;
    client_sealed_free(s);
    p->sealed = NULL;
    return status;
}

void client_sealed_free(struct client_sealed *s) {
    if (s == NULL) return;
    msfl_packed_free(s->ctx);
    sealed_state_clear(&s->state);
    msfl_free(s->folder);
    msfl_free(s->clip);
    msfl_free(s);
}

msfl_status client_sealed_sit(client_part_state *p) {
    msfl_packed_free(p->sealed->ctx); /* the machine that borrowed it is gone */
    p->sealed->ctx = NULL;
    p->sealed->caught_up = false;
    return client_sealed_settle(p);
}

/* --- what is known --- */

msfl_status client_sealed_weights(client_part_state *p, uint32_t index, float **weights) {
    static const uint8_t zero[MSFL_HASH_BYTES];
    const job_shape *shape = p->run->shape;
    const sealed_state *s = &p->sealed->state;
    *weights = NULL;
    if (index == 0 && memcmp(shape->spec->initial, zero, sizeof zero) != 0) {
        return client_weights_fetch(p->link, p->run->id, 0, shape->spec->initial, p->run->folder, shape, NULL, weights);
    }
    if (index == 0) {
        *weights = msfl_alloc(shape->n_values, sizeof **weights);
        msfl_status status = *weights == NULL ? MSFL_NO_MEMORY : job_shape_initial(shape, *weights);
        if (status == MSFL_OK) return MSFL_OK;
        msfl_free(*weights);
        *weights = NULL;
        return status;
    }
    uint8_t found[MSFL_HASH_BYTES];
    const uint8_t *wanted = index == s->newest ? s->newest_hash : s->best_hash;
    char *path = sealed_weights_path(p->sealed, index);
    msfl_status status = path == NULL ? MSFL_NO_MEMORY : client_weights_read(path, shape, weights);
    msfl_free(path);
    if (status != MSFL_OK) return status;
    job_weights_hash(shape, *weights, found);
    if (memcmp(found, wanted, sizeof found) == 0) return MSFL_OK;
    msfl_free(*weights);
    *weights = NULL;
    return msfl_fail(MSFL_ERR_MISMATCH, "the weights that this hospital kept are damaged");
}

static msfl_status not_next(const msfl_announcement *a) {
    return msfl_fail(MSFL_ERR_MISMATCH,
                     "round %" PRIu64 " is none that follows from what this hospital has opened: it missed rounds that "
                     "were run under an earlier roster, or the coordinator leads it astray",
                     a->info.number);
}

msfl_status client_sealed_plan(client_part_state *p, const msfl_announcement *a, job_plan *plan) {
    const struct client_sealed *s = p->sealed;
    const job_rule *rule = &p->run->spec.rule;
    sealed_state next;
    job_kind kind;
    *plan = (job_plan){0};
    if (memcmp(a->info.layout, s->update_layout, MSFL_HASH_BYTES) == 0) {
        kind = JOB_UPDATE;
    } else if (memcmp(a->info.layout, s->evaluate_layout, MSFL_HASH_BYTES) == 0) {
        kind = JOB_EVALUATE;
    } else if (memcmp(a->info.layout, s->test_layout, MSFL_HASH_BYTES) == 0) {
        kind = JOB_TEST;
    } else {
        return msfl_fail(MSFL_ERR_MISMATCH, "round %" PRIu64 ": its vector is none of this job's", a->info.number);
    }
    msfl_status status = sealed_copy(&next, &s->state);
    if (status == MSFL_OK) status = sealed_pass_over(p->run->shape, &next, kind);
    if (status != MSFL_OK) {
        sealed_state_clear(&next);
        return status;
    }
    const bool more = job_course_wants_more(&next.course, rule);
    const bool fits = kind == JOB_UPDATE     ? more && !next.awaits
                      : kind == JOB_EVALUATE ? next.awaits
                                             : !more && !next.tested && p->run->spec.test;
    const uint8_t *name = kind == JOB_TEST ? next.best_name : next.newest_name;
    *plan = (job_plan){.number = a->info.number,
                       .round = kind == JOB_TEST ? next.course.n_done : next.course.n_done + 1,
                       .kind = kind,
                       .model = kind == JOB_TEST ? next.course.best_round : next.newest,
                       .learning_rate = next.course.learning_rate};
    if (!fits || memcmp(name, a->info.model, MSFL_HASH_BYTES) != 0) status = not_next(a);
    if (status == MSFL_OK && kind == JOB_UPDATE) {
        plan->clip = msfl_alloc(p->run->shape->sent.n_tensors, sizeof *plan->clip);
        if (plan->clip == NULL) status = MSFL_NO_MEMORY;
        if (status == MSFL_OK) memcpy(plan->clip, s->clip, p->run->shape->sent.n_tensors * sizeof *plan->clip);
    }
    sealed_state_clear(&next);
    if (status != MSFL_OK) job_plan_clear(plan);
    return status;
}

/* --- what was opened --- */

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
    if (status == MSFL_OK || status == MSFL_ERR_IO || status == MSFL_ERR_CANCELLED || status == MSFL_ERR_MEMORY) {
        return status;
    }
    give_up(p, a.info.number, status);
    return MSFL_OK;
}

/* --- what is told --- */

static msfl_status claim(client_part_state *p) {
    const struct client_sealed *s = p->sealed;
    sealed_state next;
    char text[96];
    msfl_status status = sealed_copy(&next, &s->state);
    if (status == MSFL_OK) status = sealed_apply(p->run->shape, &next, &s->opened, NULL);
    if (status == MSFL_OK) {
        const bool more = job_course_wants_more(&next.course, &p->run->spec.rule);
        if (more || !p->run->spec.test) {
            (void)snprintf(text, sizeof text, "{\"number\":%" PRIu64 ",\"more\":%s}", s->opened.number,
                           more ? "true" : "false");
        } else {
            (void)snprintf(text, sizeof text, "{\"number\":%" PRIu64 ",\"more\":false,\"best\":%" PRIu32 "}",
                           s->opened.number, next.course.best_round);
        }
        status = client_link_claim(p->link, p->run->id, text);
    }
    sealed_state_clear(&next);
    return status;
}

static bool is_passing(msfl_status status) {
    return status == MSFL_ERR_IO || status == MSFL_ERR_CANCELLED || status == MSFL_ERR_MEMORY;
}

msfl_status client_sealed_send(client_part_state *p, const msfl_buffer *frames) {
    const struct client_sealed *s = p->sealed;
    uint8_t result[MSFL_HASH_BYTES];
    msfl_buffer answer = {0};
    msfl_status status = MSFL_OK;
    if (frames->length == 0 || s->catching) return MSFL_OK;
    if (s->opened.kind == JOB_EVALUATE && s->opened.number == msfl_site_result(p->site, result) &&
        memcmp(s->opened.task, p->seat.task, MSFL_HASH_BYTES) == 0) {
        status = claim(p);
    }
    if (is_passing(status)) return status;
    status = client_link_post(p->link, p->run->id, frames, &answer);
    msfl_buffer_clear(&answer);
    if (status == MSFL_OK || is_passing(status)) return status;
    /* Others were enough, and the round is over: the record says the rest. */
    client_say(p->run, MSFL_EVENT_INFO, "the report was not wanted: %s", msfl_error_message());
    return MSFL_OK;
}

msfl_status client_sealed_settle(client_part_state *p) {
    struct client_sealed *s = p->sealed;
    const sealed_opened *o = &s->opened;
    uint8_t result[MSFL_HASH_BYTES], name[MSFL_HASH_BYTES];
    sealed_state next;
    if (o->number == 0 || memcmp(o->task, p->seat.task, MSFL_HASH_BYTES) != 0 ||
        msfl_site_settled(p->site) != o->number || msfl_site_result(p->site, result) != o->number ||
        (s->state.number == o->number && memcmp(s->state.task, o->task, MSFL_HASH_BYTES) == 0)) {
        return MSFL_OK;
    }
    msfl_status status = sealed_copy(&next, &s->state);
    if (status != MSFL_OK) return status;
    msfl_model_after(next.newest_name, result, name);
    status = sealed_apply(p->run->shape, &next, o, name);
    if (status == MSFL_OK) status = sealed_keep_state(p, &next);
    if (status != MSFL_OK) {
        sealed_state_clear(&next);
        p->broken = true; /* the store has less than the machine: all is read again */
        return status;
    }
    sealed_state_clear(&s->state);
    s->state = next;
    client_say(p->run, MSFL_EVENT_ROUND_DONE, "number %" PRIu64 " (%s) counts: all have opened the same", o->number,
               job_kind_name(o->kind));
    if (sealed_write_products(p) != MSFL_OK) {
        client_say(p->run, MSFL_EVENT_WARNING, "models and figures: %s", msfl_error_message());
    }
    return MSFL_OK;
}

/* --- what was missed --- */

/* A delivered round that this hospital did not open while it was open. */
static msfl_status open_missed(client_part_state *p, uint64_t number) {
    msfl_buffer frames = {0};
    uint8_t result[MSFL_HASH_BYTES];
    msfl_status status = client_link_delivery(p->link, p->run->id, number, &frames);
    msfl_reader r = msfl_reader_init(frames.bytes, frames.length);
    const uint8_t *message;
    size_t length;
    bool failed = false;
    while (status == MSFL_OK && client_frame_next(&r, &message, &length, &failed)) {
        msfl_frame frame;
        msfl_effects effects = {0};
        if (msfl_frame_read(message, length, &frame) != MSFL_OK || frame.kind != MSFL_MSG_DELIVER) continue;
        status = msfl_site_receive(p->site, 0, message, length, &effects);
        if (status == MSFL_OK) status = client_part_carry_out(p, &effects, NULL);
        msfl_effects_clear(&effects);
    }
    msfl_buffer_clear(&frames);
    const msfl_site_phase phase = msfl_site_phase_of(p->site);
    if (status == MSFL_OK && (phase == MSFL_SITE_DELIVERED || phase == MSFL_SITE_OPENED))
        status = client_sealed_open(p);
    if (status == MSFL_OK && msfl_site_result(p->site, result) != number) {
        status = msfl_fail(MSFL_ERR_MISMATCH, "round %" PRIu64 " was missed and cannot be opened any more", number);
    }
    return status;
}

/* One record after the last that is kept. */
static msfl_status take_record(client_part_state *p, const uint8_t *bytes, size_t length) {
    msfl_transcript t;
    const bool ours = msfl_transcript_verify(bytes, length, p->seat.roster, NULL, &t) == MSFL_OK &&
                      memcmp(t.announcement.info.task, p->seat.task, MSFL_HASH_BYTES) == 0;
    msfl_status status = MSFL_OK;
    if (ours) {
        const uint64_t number = t.announcement.info.number;
        msfl_effects effects = {0};
        msfl_buffer message = {0};
        static const uint8_t none[MSFL_HASH_BYTES];
        msfl_frame_put(&message, MSFL_MSG_RECORD, MSFL_COORDINATOR, none);
        msfl_put_bytes(&message, bytes, length);
        status = message.status;
        if (status == MSFL_OK) status = msfl_site_receive(p->site, 0, message.bytes, message.length, &effects);
        if (status == MSFL_ERR_POLICY && t.outcome == MSFL_OUTCOME_OPENED) { /* its sum comes first */
            status = open_missed(p, number);
            if (status == MSFL_OK) status = msfl_site_receive(p->site, 0, message.bytes, message.length, &effects);
        }
        if (status == MSFL_OK) status = client_part_carry_out(p, &effects, NULL);
        if (status == MSFL_OK) status = client_sealed_settle(p);
        msfl_effects_clear(&effects);
        msfl_buffer_clear(&message);
        if (status != MSFL_OK) return status;
    } else {
        client_part_catch_rosters(p); /* of an earlier roster: kept, and no more can be done with it */
    }
    return msfl_audit_add_record(p->audit, bytes, length);
}

msfl_status client_sealed_catch_up(client_part_state *p) {
    struct client_sealed *s = p->sealed;
    uint8_t head[MSFL_HASH_BYTES];
    uint32_t n = 0;
    msfl_status status = p->link == NULL || p->site == NULL ? MSFL_ERR_MISSING : MSFL_OK;
    s->catching = true;
    while (status == MSFL_OK) {
        char *bytes;
        size_t length;
        status = client_link_record(p->link, p->run->id, msfl_audit_writer_head(p->audit, head) + 1, &bytes, &length);
        if (status != MSFL_OK) break;
        status = take_record(p, (const uint8_t *)bytes, length);
        msfl_free(bytes);
        if (status == MSFL_ERR_MISSING) status = msfl_fail_in(MSFL_ERR_MISMATCH, "what was missed is not kept");
        n += status == MSFL_OK;
    }
    s->catching = false;
    if (n > 0) client_say(p->run, MSFL_EVENT_INFO, "caught up with %" PRIu32 " records", n);
    if (status == MSFL_ERR_MISSING) {
        s->caught_up = true;
        return MSFL_OK;
    }
    return status;
}

msfl_status client_sealed_begin(client_part_state *p) {
    const msfl_status status = client_sealed_catch_up(p);
    if (status == MSFL_OK || is_passing(status)) return status;
    client_say(p->run, MSFL_EVENT_WARNING, "this hospital cannot follow the job: %s", msfl_error_message());
    client_reporter_say(p->run->hub->reporter, p->run->id, 0, "failed", 0, msfl_status_text(status));
    p->sealed->caught_up = true;
    return MSFL_OK;
}
