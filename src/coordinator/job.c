#include "coordinator/job.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

#include <math.h>
#include <stdio.h>

enum { VERSION = 1 };

const char *coord_state_name(coord_state state) {
    static const char *const names[] = {"queued", "running", "done", "aborted", "failed"};
    return (unsigned)state < sizeof names / sizeof names[0] ? names[state] : "unknown";
}

msfl_status coord_job_new(const char *text, size_t length, const char *folder, coord_job **out) {
    *out = NULL;
    coord_job *j = msfl_alloc(1, sizeof *j);
    if (j == NULL) return MSFL_NO_MEMORY;
    msfl_status status = job_spec_parse("job", text, length, false, &j->spec);
    if (status == MSFL_OK) status = job_shape_new(&j->spec, &j->shape);
    if (status != MSFL_OK) goto done;
    j->text = msfl_strndup(text, length);
    j->text_length = length;
    job_hash(text, length, j->hash);
    job_id(&j->spec, j->hash, j->id);
    j->folder = msfl_path_join(folder, j->id);
    j->clip = msfl_alloc(j->shape->sent.n_tensors, sizeof *j->clip);
    if (j->text == NULL || j->folder == NULL || j->clip == NULL) {
        status = MSFL_NO_MEMORY;
        goto done;
    }
    job_course_init(&j->course, &j->spec.rule);
    const job_clip_rule rule = coord_job_clip_rule(j);
    job_clip_init(&rule, j->clip);
    j->stage = JOB_UPDATE;
    *out = j;
    j = NULL;
done:
    coord_job_free(j);
    return status;
}

void coord_job_free(coord_job *j) {
    if (j == NULL) return;
    job_shape_free(j->shape);
    job_spec_clear(&j->spec);
    msfl_free(j->text);
    msfl_free(j->folder);
    msfl_free(j->clip);
    msfl_free(j->history);
    msfl_free(j);
}

job_clip_rule coord_job_clip_rule(const coord_job *j) {
    return job_shape_clip_rule(j->shape);
}

job_plan coord_job_plan(const coord_job *j) {
    job_plan plan = {.number = j->number, .kind = j->stage, .learning_rate = j->course.learning_rate};
    switch (j->stage) {
    case JOB_UPDATE:
        plan.round = j->course.n_done + 1;
        plan.model = j->course.n_done;
        plan.clip = j->clip;
        break;
    case JOB_EVALUATE:
        plan.round = j->course.n_done + 1;
        plan.model = plan.round;
        break;
    case JOB_TEST:
        plan.round = j->course.n_done;
        plan.model = j->course.best_round;
        break;
    }
    return plan;
}

void coord_job_attempt(coord_job *j, const char *why, uint64_t now_ms) {
    if (j->n_attempts == COORD_ATTEMPTS_KEPT) {
        memmove(j->attempts, j->attempts + 1, (COORD_ATTEMPTS_KEPT - 1) * sizeof j->attempts[0]);
        j->n_attempts--;
    }
    coord_attempt *a = &j->attempts[j->n_attempts++];
    *a = (coord_attempt){.number = j->number, .ended_ms = now_ms, .round = coord_job_plan(j).round, .kind = j->stage};
    (void)snprintf(a->why, sizeof a->why, "%s", why);
}

/* --- bytes --- */

static void put_history(msfl_buffer *b, const coord_history *h, uint32_t n_structures) {
    msfl_put32(b, h->round);
    msfl_put32(b, h->cohort);
    msfl_put64(b, h->number);
    msfl_put64(b, h->clipped);
    msfl_put64(b, h->ended_ms);
    const double figures[] = {h->learning_rate,       h->train_loss,      h->train_accuracy, h->validation.loss,
                              h->validation.accuracy, h->validation.rank, h->ms_collect,     h->ms_certify,
                              h->ms_release,          h->ms_open};
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++)
        msfl_put_f64(b, figures[i]);
    msfl_put64(b, h->bytes_in);
    msfl_put64(b, h->bytes_out);
    msfl_put_bytes(b, h->model, sizeof h->model);
    job_scores_put_dice(&h->validation, n_structures, b);
}

static void get_hash(msfl_reader *r, uint8_t out[MSFL_HASH_BYTES]) {
    const uint8_t *bytes = msfl_get_bytes(r, MSFL_HASH_BYTES);
    if (bytes != NULL) memcpy(out, bytes, MSFL_HASH_BYTES);
}

static void get_history(msfl_reader *r, coord_history *h, uint32_t n_structures) {
    h->round = msfl_get32(r);
    h->cohort = msfl_get32(r);
    h->number = msfl_get64(r);
    h->clipped = msfl_get64(r);
    h->ended_ms = msfl_get64(r);
    double *const figures[] = {&h->learning_rate,       &h->train_loss,      &h->train_accuracy, &h->validation.loss,
                               &h->validation.accuracy, &h->validation.rank, &h->ms_collect,     &h->ms_certify,
                               &h->ms_release,          &h->ms_open};
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++)
        *figures[i] = msfl_get_f64(r);
    h->bytes_in = msfl_get64(r);
    h->bytes_out = msfl_get64(r);
    get_hash(r, h->model);
    job_scores_get_dice(r, n_structures, &h->validation);
}

static void put_line(msfl_buffer *b, const char why[COORD_WHY_MAX + 1]) {
    msfl_put_bytes(b, why, COORD_WHY_MAX + 1);
}

static void get_line(msfl_reader *r, char why[COORD_WHY_MAX + 1]) {
    const uint8_t *bytes = msfl_get_bytes(r, COORD_WHY_MAX + 1);
    if (bytes != NULL) memcpy(why, bytes, COORD_WHY_MAX);
}

void coord_job_put(const coord_job *j, msfl_buffer *b) {
    msfl_put32(b, VERSION);
    msfl_put_bytes(b, j->hash, sizeof j->hash);
    msfl_put64(b, j->order);
    msfl_put32(b, (uint32_t)j->state);
    put_line(b, j->why);
    msfl_put64(b, j->submitted_ms);
    msfl_put64(b, j->started_ms);
    msfl_put64(b, j->ended_ms);
    job_course_put(&j->course, b);
    msfl_put32(b, j->shape->sent.n_tensors);
    for (uint32_t i = 0; i < j->shape->sent.n_tensors; i++)
        msfl_put_f64(b, (double)j->clip[i]);
    msfl_put32(b, j->newest);
    msfl_put_bytes(b, j->newest_hash, sizeof j->newest_hash);
    msfl_put_bytes(b, j->best_hash, sizeof j->best_hash);
    msfl_put_bytes(b, j->initial_hash, sizeof j->initial_hash);
    msfl_put32(b, (uint32_t)j->stage);
    msfl_put32(b, j->failures);
    msfl_put32(b, j->open);
    msfl_put64(b, j->number);
    msfl_put32(b, j->epoch);
    msfl_put_bytes(b, j->task, sizeof j->task);
    put_history(b, &j->current, j->shape->n_structures);
    msfl_put32(b, j->n_history);
    for (uint32_t i = 0; i < j->n_history; i++)
        put_history(b, &j->history[i], j->shape->n_structures);
    msfl_put32(b, j->n_attempts);
    for (uint32_t i = 0; i < j->n_attempts; i++) {
        const coord_attempt *a = &j->attempts[i];
        msfl_put64(b, a->number);
        msfl_put64(b, a->ended_ms);
        msfl_put32(b, a->round);
        msfl_put32(b, (uint32_t)a->kind);
        put_line(b, a->why);
    }
    msfl_put32(b, j->test.known);
    msfl_put_f64(b, j->test.scores.loss);
    msfl_put_f64(b, j->test.scores.accuracy);
    msfl_put_f64(b, j->test.scores.rank);
    msfl_put64(b, j->test.scores.n);
    job_scores_put_dice(&j->test.scores, j->shape->n_structures, b);
    msfl_put32(b, j->records);
    msfl_put_bytes(b, j->head, sizeof j->head);
    msfl_put64(b, j->verified_ms);
}

static bool get_lists(coord_job *j, msfl_reader *r) {
    get_history(r, &j->current, j->shape->n_structures);
    j->n_history = msfl_get32(r);
    if (r->failed || j->n_history > j->spec.rule.n_rounds) return false;
    /* And one that is not finished yet. */
    const size_t wanted = (size_t)j->n_history + 1;
    if (msfl_grow((void **)&j->history, &j->history_capacity, wanted, sizeof *j->history) != MSFL_OK) return false;
    for (uint32_t i = 0; i < j->n_history; i++)
        get_history(r, &j->history[i], j->shape->n_structures);
    j->n_attempts = msfl_get32(r);
    if (r->failed || j->n_attempts > COORD_ATTEMPTS_KEPT) return false;
    for (uint32_t i = 0; i < j->n_attempts; i++) {
        coord_attempt *a = &j->attempts[i];
        a->number = msfl_get64(r);
        a->ended_ms = msfl_get64(r);
        a->round = msfl_get32(r);
        a->kind = (job_kind)msfl_get32(r);
        get_line(r, a->why);
    }
    return !r->failed;
}

static bool get_all(coord_job *j, msfl_reader *r) {
    uint8_t hash[MSFL_HASH_BYTES] = {0};
    if (msfl_get32(r) != VERSION) return false;
    get_hash(r, hash);
    if (memcmp(hash, j->hash, sizeof hash) != 0) return false;
    j->order = msfl_get64(r);
    j->state = (coord_state)msfl_get32(r);
    get_line(r, j->why);
    j->submitted_ms = msfl_get64(r);
    j->started_ms = msfl_get64(r);
    j->ended_ms = msfl_get64(r);
    if (!job_course_get(&j->course, &j->spec.rule, r) || msfl_get32(r) != j->shape->sent.n_tensors) return false;
    for (uint32_t i = 0; i < j->shape->sent.n_tensors; i++) {
        j->clip[i] = (float)msfl_get_f64(r);
        if (!(j->clip[i] > 0) || !isfinite(j->clip[i])) return false;
    }
    j->newest = msfl_get32(r);
    get_hash(r, j->newest_hash);
    get_hash(r, j->best_hash);
    get_hash(r, j->initial_hash);
    const uint32_t stage = msfl_get32(r);
    j->stage = (job_kind)stage;
    j->failures = msfl_get32(r);
    j->open = msfl_get32(r) != 0;
    j->number = msfl_get64(r);
    j->epoch = msfl_get32(r);
    get_hash(r, j->task);
    if (!get_lists(j, r)) return false;
    j->test.known = msfl_get32(r) != 0;
    j->test.scores.loss = msfl_get_f64(r);
    j->test.scores.accuracy = msfl_get_f64(r);
    j->test.scores.rank = msfl_get_f64(r);
    j->test.scores.n = msfl_get64(r);
    job_scores_get_dice(r, j->shape->n_structures, &j->test.scores);
    j->records = msfl_get32(r);
    get_hash(r, j->head);
    j->verified_ms = msfl_get64(r);
    return !r->failed && msfl_reader_left(r) == 0 && stage <= JOB_TEST && (unsigned)j->state <= COORD_FAILED &&
           j->newest <= j->spec.rule.n_rounds;
}

msfl_status coord_job_get(coord_job *j, const uint8_t *bytes, size_t length) {
    msfl_reader r = msfl_reader_init(bytes, length);
    if (!get_all(j, &r)) return msfl_fail(MSFL_ERR_FORMAT, "the state of job %s cannot be read", j->id);
    return MSFL_OK;
}
