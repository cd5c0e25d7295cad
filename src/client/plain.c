/* A job of scheme plain: for comparisons, where policy.yaml names it. The coordinator sees every hospital's update. */
#include "client/part.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/observe.h"
#include "client/data.h"
#include "client/tally.h"
#include "client/weights.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static msfl_status hear_plan(client_part_state *p, bool *asked) {
    msfl_buffer frames;
    const uint8_t *text;
    size_t length;
    bool failed = false;
    *asked = false;
    msfl_status status = client_link_inbox(p->link, p->run->id, &p->seen, p->seen == 0 ? 0 : CLIENT_WAIT_S, &frames);
    msfl_reader r = msfl_reader_init(frames.bytes, frames.length);
    if (status == MSFL_OK && client_frame_next(&r, &text, &length, &failed)) {
        job_plan_clear(&p->plan);
        status = job_plan_parse((const char *)text, length, p->run->shape, &p->plan);
        *asked = status == MSFL_OK;
    }
    msfl_buffer_clear(&frames);
    return status;
}

/* Nothing is announced here, so there is no hash to hold them against. */
static msfl_status fetch_weights(client_part_state *p, float **weights) {
    static const uint8_t nothing[MSFL_HASH_BYTES];
    const job_shape *shape = p->run->shape;
    char *path = msfl_path_join(p->run->folder, "model-plain");
    *weights = NULL;
    if (path == NULL) return MSFL_NO_MEMORY;
    msfl_status status = client_link_model(p->link, p->run->id, p->plan.model, nothing, path, shape->n_values, NULL);
    if (status == MSFL_OK) status = client_weights_read(path, shape, weights);
    msfl_free(path);
    return status;
}

static msfl_status read_body(void *ctx, uint64_t offset, uint8_t *out, size_t length) {
    memcpy(out, ((const msfl_buffer *)ctx)->bytes + offset, length);
    return MSFL_OK;
}

static msfl_status send(client_part_state *p, const client_result *result) {
    const bool update = p->plan.kind == JOB_UPDATE;
    const uint32_t n = update ? JOB_UPDATE_COUNTERS : JOB_EVAL_COUNTERS;
    msfl_buffer body = {0};
    char path[160];
    snprintf(path, sizeof path, "/v1/jobs/%s/plain/r%" PRIu64, p->run->id, p->plan.number);
    msfl_put32(&body, n);
    msfl_put64(&body, result->n_samples);
    for (uint32_t i = 1; i < n; i++)
        msfl_put64(&body, result->counters[i - 1]);
    for (uint64_t i = 0; update && i < result->n_values; i++) {
        uint32_t raw;
        memcpy(&raw, &result->delta[i], sizeof raw);
        msfl_put32(&body, raw);
    }
    const net_source source = {.read = read_body, .ctx = &body, .length = body.length};
    msfl_status status = body.status;
    if (status == MSFL_OK) status = client_tally_add(p->run->hub->store, p->run->id);
    if (status == MSFL_OK) status = net_client_upload(client_link_net(p->link), path, &source, NULL);
    if (status == MSFL_OK) {
        client_say(p->run, MSFL_EVENT_CLIENT_DONE, "%zu bytes sent, NOT ENCRYPTED", body.length);
    }
    if (body.bytes != NULL) msfl_wipe(body.bytes, body.length);
    msfl_buffer_clear(&body);
    return status;
}

static msfl_status step(client_part_state *p) {
    client_hub *hub = p->run->hub;
    client_result result = {0};
    float *weights = NULL;
    bool asked = false;
    msfl_status status = MSFL_OK;
    if (p->link == NULL) status = client_hub_link(hub, &p->run->over, 6, &p->link);
    if (status == MSFL_OK) status = hear_plan(p, &asked);
    if (status != MSFL_OK || !asked || p->plan.number == p->skipped) return status;
    const client_tally so_far = client_tally_read(hub->store, p->run->id);
    status = client_policy_plan(&hub->policy, p->run->shape, &p->plan, &so_far);
    if (status == MSFL_OK) status = client_data_accepts(&hub->site, &p->run->spec);
    bool refused = status != MSFL_OK;
    if (!refused) {
        client_say(p->run, MSFL_EVENT_PHASE, "round %" PRIu32 ": %s, NOT ENCRYPTED", p->plan.round,
                   job_kind_name(p->plan.kind));
        client_round_say(p, p->plan.kind == JOB_UPDATE ? "training" : "evaluating", "");
        status = fetch_weights(p, &weights);
    }
    if (status == MSFL_OK) status = client_learner_run(p->learner, &p->plan, weights, &result);
    refused = refused || status == MSFL_ERR_POLICY;
    if (status == MSFL_OK) {
        client_round_say(p, "uploading", "");
        status = send(p, &result);
    }
    client_result_clear(&result);
    msfl_free(weights);
    if (client_is_passing(status)) return status;
    p->skipped = p->plan.number; /* done, or not to be done */
    if (status != MSFL_OK) {
        char told[CLIENT_TOLD_MAX];
        client_policy_told(msfl_error_message(), told, sizeof told);
        const bool empty = status == MSFL_ERR_MISSING && p->plan.kind != JOB_UPDATE;
        client_say(p->run, MSFL_EVENT_WARNING, "round %" PRIu32 ": without us: %s", p->plan.round,
                   msfl_error_message());
        client_round_say(p,
                         refused ? "refused"
                         : empty ? "waiting"
                                 : "failed",
                         refused ? told : msfl_status_text(status));
    }
    return MSFL_OK;
}

msfl_status client_plain(client_part_state *p) {
    client_hub *hub = p->run->hub;
    uint32_t failures = 0;
    msfl_status status = client_seat_take(hub, p->run->hash, &p->seat);
    if (status == MSFL_OK) status = client_part_permits(p);
    if (status == MSFL_OK) status = client_part_learner(p);
    if (status != MSFL_OK) return status;
    client_say(p->run, MSFL_EVENT_WARNING,
               "this job is NOT ENCRYPTED: the coordinator sees this hospital's update; policy.yaml allows it");
    while (!msfl_is_set(&p->run->over)) {
        status = step(p);
        if (status == MSFL_ERR_CANCELLED) break;
        if (status == MSFL_OK) {
            failures = 0;
            continue;
        }
        if (client_run_wait(p->run, &failures) != MSFL_OK) break;
        client_link_free(p->link);
        p->link = NULL;
        p->seen = 0;
    }
    return MSFL_OK;
}
