/* Three hospitals with real machines and invented training, and the hub that they talk to: jobs from beginning to end.
 */
#ifndef TEST_COORDINATOR_WARD_H
#define TEST_COORDINATOR_WARD_H

#include "hub.h"
#include "job/figures.h"
#include "round/message.h"

/* --- hospitals --- */

typedef struct kept {
    uint64_t number, chunk;
    uint8_t *bytes;
    size_t length;
} kept;

typedef struct hospital {
    uint32_t number;
    const msfl_roster *roster;
    msfl_identity_secret *secret;
    msfl_site *site;
    msfl_member *member;
    kept *kept;
    size_t n_kept;
    bool absent;
} hospital;

static inline msfl_status site_put(void *self, uint64_t number, uint32_t client, uint64_t chunk, const uint8_t *bytes,
                                   size_t length) {
    hospital *p = self;
    (void)client;
    p->kept = realloc(p->kept, (p->n_kept + 1) * sizeof *p->kept);
    assert_non_null(p->kept);
    kept *k = &p->kept[p->n_kept++];
    *k = (kept){number, chunk, malloc(length), length};
    memcpy(k->bytes, bytes, length);
    return MSFL_OK;
}

static inline msfl_status site_get(void *self, uint64_t number, uint32_t client, uint64_t chunk, uint8_t *bytes,
                                   size_t length) {
    hospital *p = self;
    (void)client;
    for (size_t i = p->n_kept; i-- > 0;) {
        if (p->kept[i].number != number || p->kept[i].chunk != chunk) continue;
        assert_int_equal(p->kept[i].length, length);
        memcpy(bytes, p->kept[i].bytes, length);
        return MSFL_OK;
    }
    return msfl_fail(MSFL_ERR_MISSING, "no such chunk");
}

typedef struct world {
    hub hub;
    pki_kit *kits[HOSPITALS];
    msfl_roster *roster;
    hospital h[HOSPITALS];
    job_spec spec;
    job_shape *shape;
    msfl_packed *ctx;
} world;

static const char description[] =
    "{\"format\":\"medsecurefl-job\",\"version\":1,\"name\":\"tiny\",\"tensors\":[{\"name\":\"w\",\"shape\":[%u,75],"
    "\"statistic\":false},{\"name\":\"m\",\"shape\":[17],\"statistic\":true}],\"rounds\":2,\"bits\":16,"
    "\"samples_max\":64,\"deadline_s\":600,\"seed\":7,\"nonce\":\"00112233445566778899aabbccddeeff\"%s}";

static inline void world_make(world *w, const char *name, uint32_t rows, const char *more, long die_at) {
    const size_t n_values = (size_t)rows * 75 + 17;
    float *initial = malloc(n_values * sizeof *initial);
    char text[1024];
    msfl_status status;
    msfl_buffer out = {0};
    memset(w, 0, sizeof *w);
    assert_non_null(initial);
    for (size_t i = 0; i < n_values; i++)
        initial[i] = 0.25f * (float)(i % 9);
    ok(msfl_file_write(at("initial.f32"), initial, n_values * sizeof *initial));
    free(initial);
    snprintf(w->hub.folder, sizeof w->hub.folder, "%s", at(name));
    for (uint32_t i = 0; i < HOSPITALS; i++)
        w->kits[i] = kit_of(names[i]);
    ok(pki_roster_round(w->kits[0]->roster, &w->roster));
    snprintf(text, sizeof text, description, rows, more);
    start(&w->hub, die_at);
    /* a submission that dies may be made again, under the same nonce */
    do { /* also after a failure of the disk */
        while (!ask(&w->hub, OP_SUBMIT, 0, 1, text, strlen(text), &status, &out)) {
        }
    } while (status == MSFL_ERR_IO);
    if (status == MSFL_ERR_EXISTS) {
        (void)ask(&w->hub, OP_LIST, 0, 0, "", 0, &status, &out);
        msfl_put8(&out, 0);
        const char *id = strstr((const char *)out.bytes, "\"id\":\"");
        assert_non_null(id);
        snprintf(w->hub.job, sizeof w->hub.job, "%.13s", id + 6);
    } else {
        ok(status);
        snprintf(w->hub.job, sizeof w->hub.job, "%.*s", (int)out.length, (const char *)out.bytes);
    }
    stop(&w->hub, false);
    start(&w->hub, die_at); /* that knows the job's name */
    while (!ask(&w->hub, OP_TEXT, 0, 0, "", 0, &status, &out)) {
    }
    ok(status);
    ok(job_spec_parse("job", (const char *)out.bytes, out.length, false, &w->spec));
    ok(job_shape_new(&w->spec, &w->shape));
    msfl_params params;
    ok(job_shape_params(w->shape, msfl_roster_borrow(w->roster), &params));
    ok(msfl_packed_new(&params, &w->ctx));
    uint8_t hash[32], task[32];
    job_hash((const char *)out.bytes, out.length, hash);
    job_task(hash, msfl_roster_hash(w->roster), task);
    for (uint32_t i = 0; i < HOSPITALS; i++) {
        hospital *p = &w->h[i];
        p->number = i;
        p->roster = w->roster;
        ok(pki_round_secret(w->kits[i]->identity, &p->secret));
        msfl_site_config site = {
            .roster = w->roster, .secret = p->secret, .client = i, .spool = {p, site_put, site_get}};
        msfl_member_config member = {.roster = w->roster, .secret = p->secret, .party = i};
        memcpy(site.task, task, 32);
        memcpy(member.task, task, 32);
        ok(msfl_site_new(&site, &p->site));
        ok(msfl_member_new(&member, &p->member));
    }
    msfl_buffer_clear(&out);
}

static inline void world_clear(world *w) {
    stop(&w->hub, true);
    for (uint32_t i = 0; i < HOSPITALS; i++) {
        hospital *p = &w->h[i];
        msfl_site_free(p->site);
        msfl_member_free(p->member);
        msfl_identity_free(p->secret);
        for (size_t k = 0; k < p->n_kept; k++)
            free(p->kept[k].bytes);
        free(p->kept);
        pki_kit_free(w->kits[i]);
    }
    msfl_packed_free(w->ctx);
    msfl_roster_free(w->roster);
    job_shape_free(w->shape);
    job_spec_clear(&w->spec);
}

/** Send what the machine wants sent; losses are what the machines are for. */
static inline void deliver(world *w, hospital *p, msfl_effects *effects) {
    msfl_buffer out = {0};
    msfl_status status;
    for (size_t i = 0; i < effects->n; i++) {
        const msfl_effect *e = &effects->items[i];
        if (e->kind != MSFL_EFFECT_SEND) continue;
        if (!ask(&w->hub, OP_SEND, p->number, 0, e->bytes, e->length, &status, &out)) break;
        msfl_reader r = msfl_reader_init(out.bytes, out.length);
        while (status == MSFL_OK && msfl_reader_left(&r) > 0) {
            msfl_effects more = {0};
            const size_t n = msfl_get32(&r);
            const uint8_t *message = msfl_get_bytes(&r, n);
            assert_non_null(message);
            msfl_status ignored = msfl_site_receive(p->site, 1, message, n, &more);
            (void)ignored;
            msfl_effects_clear(&more); /* what it asks for goes out with the next resend */
        }
    }
    msfl_effects_clear(effects);
    msfl_buffer_clear(&out);
}

/** Invented training: anything that follows from weights, hospital and round. */
static inline void train(world *w, hospital *p, const job_plan *plan, const float *weights) {
    msfl_update_layout *layout;
    msfl_update_encoder *encoder;
    msfl_effects effects = {0};
    uint8_t model[32], hash[32];
    const uint64_t n = w->shape->n_values;
    float *delta = calloc(n, sizeof *delta);
    uint64_t counters[JOB_EVAL_COUNTERS] = {0};
    assert_non_null(delta);
    ok(job_plan_layout(plan, w->shape, &layout));
    job_weights_hash(w->shape, weights, model);
    msfl_update_layout_hash(layout, hash);
    ok(msfl_site_start(p->site, w->ctx, model, hash, &effects));
    for (uint64_t i = 0; i < n; i++)
        delta[i] = 0.001f * (float)((i * 7 + p->number * 13 + plan->round) % 100) - 0.05f * weights[i];
    msfl_update_input input = {.values = delta,
                               .n_samples = 10 + p->number,
                               .counters = counters,
                               .rounding_seed = job_rounding_seed(w->spec.seed, p->number, plan->round - 1)};
    if (plan->kind == JOB_UPDATE) {
        counters[0] = 5, counters[1] = 10, counters[2] = 2048, counters[3] = 0;
    } else {
        input.n_samples = 1;
        input.values = NULL;
        counters[JOB_EVAL_N - 1] = 20;
        counters[JOB_EVAL_CORRECT - 1] = 11 + plan->round;
        counters[JOB_EVAL_LOSS - 1] = 20000 - 1000 * plan->round;
        counters[JOB_EVAL_BINS - 1 + 3] = 10;
        counters[JOB_EVAL_BINS - 1 + JOB_AUC_BINS + 9] = 10;
    }
    ok(msfl_update_check(layout, &input));
    ok(msfl_update_encoder_new(layout, &input, &encoder));
    const uint64_t slots = msfl_update_slots(layout);
    uint32_t *values = calloc(msfl_packed_chunk_slots(w->ctx, slots, 0), sizeof *values);
    assert_non_null(values);
    uint64_t first = 0;
    for (uint64_t j = 0; j < msfl_packed_chunks(w->ctx, slots); j++) {
        const uint32_t count = msfl_packed_chunk_slots(w->ctx, slots, j);
        ok(msfl_update_quantise(encoder, first, count, values, NULL));
        ok(msfl_site_encrypt(p->site, j, values, &effects));
        first += count;
    }
    ok(msfl_site_finish(p->site, &effects));
    free(values);
    free(delta);
    msfl_update_encoder_free(encoder);
    msfl_update_layout_free(layout);
    deliver(w, p, &effects);
}

static inline void take_part(world *w, hospital *p) {
    const msfl_announcement *a = msfl_site_round(p->site);
    msfl_buffer plan_text = {0}, weights = {0};
    msfl_status status;
    job_plan plan;
    if (ask(&w->hub, OP_PLAN, p->number, a->info.number, "", 0, &status, &plan_text) && status == MSFL_OK) {
        ok(job_plan_parse((const char *)plan_text.bytes, plan_text.length, w->shape, &plan));
        char path[400];
        uint8_t *bytes;
        size_t length;
        snprintf(path, sizeof path, "%s/jobs/%s/models/%06u.f32", w->hub.folder, w->hub.job, plan.model);
        if (w->shape->n_values > 100000) { /* as a server that sends a file: the coordinator does not hold it */
            ok(msfl_file_read(path, 1 << 30, &bytes, &length));
            assert_int_equal(length, w->shape->n_values * 4);
            train(w, p, &plan, (const float *)(const void *)bytes);
            msfl_free(bytes);
        } else if (ask(&w->hub, OP_MODEL, p->number, plan.model, "", 0, &status, &weights)) {
            ok(status);
            assert_int_equal(weights.length, w->shape->n_values * 4);
            train(w, p, &plan, (const float *)(const void *)weights.bytes);
        }
        job_plan_clear(&plan);
    }
    msfl_buffer_clear(&plan_text);
    msfl_buffer_clear(&weights);
}

static inline void visit(world *w, hospital *p) {
    msfl_buffer out = {0};
    msfl_status status;
    msfl_effects effects = {0};
    if (!ask(&w->hub, OP_INBOX, p->number, 0, "", 0, &status, &out)) goto done;
    if (status != MSFL_OK) fail_msg("inbox: %s", msfl_status_name(status));
    msfl_reader r = msfl_reader_init(out.bytes, out.length);
    while (msfl_reader_left(&r) > 0) {
        const size_t n = msfl_get32(&r);
        const uint8_t *message = msfl_get_bytes(&r, n);
        assert_non_null(message);
        const uint32_t kind = msfl_load32(message + 8);
        if (kind == MSFL_MSG_PROPOSE || kind == MSFL_MSG_RELEASE) {
            status = msfl_member_receive(p->member, MSFL_COORDINATOR, message, n, &effects);
            if (status != MSFL_OK) fail_msg("member %u: %s", p->number, msfl_error_message());
        } else {
            msfl_status ignored = msfl_site_receive(p->site, 1, message, n, &effects);
            (void)ignored;
        }
    }
    deliver(w, p, &effects);
    if (msfl_site_phase_of(p->site) == MSFL_SITE_OFFERED) take_part(w, p);
    if (msfl_site_phase_of(p->site) == MSFL_SITE_UPLOADING) {
        ok(msfl_site_resend(p->site, &effects));
        deliver(w, p, &effects);
    }
done:
    msfl_buffer_clear(&out);
}

/** Until the job has ended; its state. */
static inline const char *run(world *w, uint64_t now_ms, int turns) {
    static char state[16];
    msfl_buffer out = {0};
    msfl_status status;
    for (int turn = 0; turn < turns; turn++, now_ms += 100) {
        for (int i = 0; i < 3; i++)
            (void)ask(&w->hub, OP_STEP, 0, now_ms, "", 0, &status, &out);
        for (uint32_t i = 0; i < HOSPITALS; i++)
            if (!w->h[i].absent) visit(w, &w->h[i]);
        if (!ask(&w->hub, OP_LIST, 0, 0, "", 0, &status, &out)) continue;
        ok(status);
        msfl_put8(&out, 0);
        const char *found = strstr((const char *)out.bytes, "\"state\":\"");
        assert_non_null(found);
        snprintf(state, sizeof state, "%.*s", (int)strcspn(found + 9, "\""), found + 9);
        if (strcmp(state, "queued") != 0 && strcmp(state, "running") != 0) break;
    }
    msfl_buffer_clear(&out);
    return state;
}

#endif
