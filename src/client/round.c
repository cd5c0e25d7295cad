/* One round of a hospital: what is asked, whether it may be, the weights, the training, the upload. */
#include "client/part.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/observe.h"
#include "client/data.h"
#include "client/sealed.h"
#include "client/tally.h"
#include "client/weights.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* --- what is asked --- */

static msfl_status fetch_plan(client_part_state *p) {
    char *text;
    size_t length;
    job_plan_clear(&p->plan);
    if (p->sealed != NULL) return client_sealed_plan(p, msfl_site_round(p->site), &p->plan);
    msfl_status status = client_link_plan(p->link, p->run->id, msfl_site_round(p->site)->info.number, &text, &length);
    if (status != MSFL_OK) return status;
    status = job_plan_parse(text, length, p->run->shape, &p->plan);
    msfl_free(text);
    return status;
}

void client_round_say(client_part_state *p, const char *state, const char *text) {
    p->doing = state;
    p->reported_ms = client_now_ms();
    client_reporter_say(p->run->hub->reporter, p->run->id, p->plan.round, state, 0, text);
}

/* --- what is trained --- */

static bool is_trained(const client_part_state *p, const msfl_announcement *a) {
    return p->has_result && p->result_round == p->plan.round && p->result_kind == p->plan.kind &&
           p->result_rate == p->plan.learning_rate && memcmp(p->result_model, a->info.model, MSFL_HASH_BYTES) == 0 &&
           memcmp(p->result_layout, a->info.layout, MSFL_HASH_BYTES) == 0;
}

static void moved(void *ctx, uint64_t done, uint64_t total) {
    client_part_state *p = ctx;
    const msfl_event e = {
        .kind = MSFL_EVENT_PROGRESS, .track = p->run->id, .client = 0, .done = done, .total = total, .loss = NAN};
    msfl_observe(&p->observer, &e);
}

static msfl_status learn(client_part_state *p, const msfl_announcement *a) {
    const job_shape *shape = p->run->shape;
    float *weights = NULL;
    const net_progress progress = {moved, p};
    client_round_say(p, "downloading", "");
    msfl_status status = p->sealed != NULL ? client_sealed_weights(p, p->plan.model, &weights)
                                           : client_weights_fetch(p->link, p->run->id, p->plan.model, a->info.model,
                                                                  p->run->folder, shape, &progress, &weights);
    if (status != MSFL_OK) return status;
    client_result_clear(&p->result);
    p->has_result = false;
    client_round_say(p, p->plan.kind == JOB_UPDATE ? "training" : "evaluating", "");
    status = client_learner_run(p->learner, &p->plan, weights, &p->result);
    msfl_free(weights);
    if (status != MSFL_OK) return status;
    p->has_result = true;
    p->result_round = p->plan.round;
    p->result_kind = p->plan.kind;
    p->result_rate = p->plan.learning_rate;
    memcpy(p->result_model, a->info.model, MSFL_HASH_BYTES);
    memcpy(p->result_layout, a->info.layout, MSFL_HASH_BYTES);
    return MSFL_OK;
}

/* --- what leaves --- */

static msfl_status encrypt(client_part_state *p, const msfl_announcement *a, const msfl_update_layout *layout) {
    msfl_packed *ctx = NULL;
    msfl_effects effects = {0};
    const msfl_update_input input = {
        .values = p->result.delta,
        .n_samples = p->result.n_samples,
        .counters = p->result.counters,
        .rounding_seed =
            p->plan.kind == JOB_UPDATE ? job_rounding_seed(p->run->spec.seed, p->seat.party, p->plan.round - 1) : 0};
    msfl_status status = msfl_update_check(layout, &input);
    if (status == MSFL_OK) status = msfl_packed_new(&a->info.params, &ctx);
    if (status == MSFL_OK) status = msfl_site_start(p->site, ctx, a->info.model, a->info.layout, &effects);
    if (status == MSFL_OK) status = client_part_carry_out(p, &effects, NULL);
    msfl_effects_clear(&effects);
    if (status == MSFL_OK) {
        client_round_say(p, "encrypting", "");
        status = client_upload(p, ctx, layout, &input);
    }
    msfl_packed_free(ctx);
    return status;
}

static msfl_status check_layout(const msfl_announcement *a, const msfl_update_layout *layout) {
    uint8_t hash[MSFL_HASH_BYTES];
    msfl_update_layout_hash(layout, hash);
    if (memcmp(hash, a->info.layout, sizeof hash) == 0) return MSFL_OK;
    return msfl_fail(MSFL_ERR_MISMATCH,
                     "round %" PRIu64 ": the plan's kind and clipping bounds are not those that were announced",
                     a->info.number);
}

/* The first weights are the description's: by their hash, or by its seed. Those of later rounds are the coordinator's
 * word; the record names them. */
static msfl_status check_start(client_part_state *p, const msfl_announcement *a) {
    static const uint8_t zero[MSFL_HASH_BYTES];
    const job_shape *shape = p->run->shape;
    uint8_t expected[MSFL_HASH_BYTES];
    if (p->plan.kind != JOB_UPDATE || p->plan.model != 0) return MSFL_OK;
    memcpy(expected, shape->spec->initial, sizeof expected);
    if (memcmp(expected, zero, sizeof zero) == 0) {
        float *weights = msfl_alloc(shape->n_values, sizeof *weights);
        msfl_status status = weights == NULL ? MSFL_NO_MEMORY : job_shape_initial(shape, weights);
        if (status == MSFL_OK) job_weights_hash(shape, weights, expected);
        msfl_free(weights);
        if (status != MSFL_OK) return status;
    }
    if (memcmp(expected, a->info.model, sizeof expected) == 0) return MSFL_OK;
    return msfl_fail(MSFL_ERR_MISMATCH, "not what the job's description says: other weights to begin with");
}

/* Stays out of this round and listens on. `public`: the message is of rules and may be told, as far as
 * client_policy_told says. */
static void skip(client_part_state *p, uint64_t number, const char *state, msfl_status status, bool is_public) {
    char told[CLIENT_TOLD_MAX];
    p->skipped = number;
    client_say(p->run, MSFL_EVENT_WARNING, "round %" PRIu64 ": without us: %s", number, msfl_error_message());
    client_policy_told(msfl_error_message(), told, sizeof told);
    client_round_say(p, state, is_public ? told : msfl_status_text(status));
}

/* Numbers begin anew under a new roster: only the whole announcement tells rounds apart. */
static bool is_same(const msfl_announcement *a, const msfl_announcement *b) {
    uint8_t one[MSFL_HASH_BYTES], other[MSFL_HASH_BYTES];
    msfl_announcement_id(a, one);
    msfl_announcement_id(b, other);
    return memcmp(one, other, sizeof one) == 0;
}

msfl_status client_round_take(client_part_state *p) {
    const msfl_announcement a = *msfl_site_round(p->site);
    const uint64_t number = a.info.number;
    const client_tally so_far = client_tally_read(p->run->hub->store, p->run->id);
    msfl_update_layout *layout = NULL;
    msfl_status status = fetch_plan(p);
    if (client_is_passing(status)) return status;
    if (status == MSFL_ERR_MISSING) return client_part_ask(p); /* it is over; the inbox says what is now */
    if (status == MSFL_OK) {
        status = client_policy_round(&p->run->hub->policy, p->run->shape, p->seat.info, &a, &p->plan, &so_far);
    }
    if (status == MSFL_OK) status = client_data_accepts(&p->run->hub->site, &p->run->spec);
    const client_subject about = {p->run->hash, a.info.model, a.info.layout};
    if (status == MSFL_OK) status = client_course_check(p->run->hub->store, &about, p->plan.kind, p->plan.round);
    if (status == MSFL_OK && !p->run->hub->policy.second_sums) {
        /* As a member this hospital would not release it: nothing has to be trained for that. */
        status = client_released_check(p->run->hub->store, &about, p->plan.kind == JOB_UPDATE);
    }
    if (status == MSFL_OK) status = job_plan_layout(&p->plan, p->run->shape, &layout);
    if (status == MSFL_OK) status = check_layout(&a, layout);
    if (status == MSFL_OK) status = check_start(p, &a);
    if (client_is_passing(status)) goto failed;
    if (status != MSFL_OK) {
        skip(p, number, "refused", status, true);
        goto done;
    }
    client_say(p->run, MSFL_EVENT_PHASE, "round %" PRIu32 " of %" PRIu32 ": %s (number %" PRIu64 ")", p->plan.round,
               p->run->spec.rule.n_rounds, job_kind_name(p->plan.kind), number);
    if (!is_trained(p, &a)) status = learn(p, &a);
    if (client_is_passing(status)) goto failed;
    if (status == MSFL_ERR_POLICY) {
        skip(p, number, "refused", status, true);
        goto done;
    }
    if (status != MSFL_OK) {
        /* Without images of this kind nothing has failed. */
        skip(p, number, status == MSFL_ERR_MISSING && p->plan.kind != JOB_UPDATE ? "waiting" : "failed", status, false);
        goto done;
    }
    /* Training took its time: is it this round still? */
    status = client_part_ask(p);
    if (status != MSFL_OK) goto failed;
    const msfl_announcement *now = p->site == NULL ? NULL : msfl_site_round(p->site);
    if (now == NULL || msfl_site_phase_of(p->site) != MSFL_SITE_OFFERED || !is_same(now, &a)) {
        client_say(p->run, MSFL_EVENT_WARNING, "round %" PRIu64 " was closed before this hospital was done", number);
        p->seen = 0;
        goto done;
    }
    status = encrypt(p, &a, layout);
    if (status != MSFL_OK && !client_is_passing(status)) {
        skip(p, number, "failed", status, false);
        goto done;
    }
failed:
    msfl_update_layout_free(layout);
    return status;
done:
    msfl_update_layout_free(layout);
    return MSFL_OK;
}
