/* Sums that this hospital opens: what it knows of the course by them, what it tells of them, when they count. */
#include "client/sealed.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "client/weights.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

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
    if (client_is_passing(status)) return status;
    status = client_link_post(p->link, p->run->id, frames, &answer);
    msfl_buffer_clear(&answer);
    if (status == MSFL_OK || client_is_passing(status)) return status;
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
