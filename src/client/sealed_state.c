/* The course as this hospital knows it, kept in its store. */
#include "client/sealed.h"

#include "base/error.h"
#include "base/mem.h"
#include "round/message.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { VERSION = 1, KEY_MAX = JOB_ID_MAX + 24 };

void sealed_state_clear(sealed_state *s) {
    msfl_free(s->rounds);
    *s = (sealed_state){0};
}

msfl_status sealed_copy(sealed_state *to, const sealed_state *from) {
    *to = *from;
    to->rounds = msfl_alloc((size_t)from->n_rounds + 1, sizeof *to->rounds);
    to->capacity = (size_t)from->n_rounds + 1;
    if (to->rounds == NULL) {
        *to = (sealed_state){0};
        return MSFL_NO_MEMORY;
    }
    if (from->n_rounds > 0) memcpy(to->rounds, from->rounds, from->n_rounds * sizeof *to->rounds);
    return MSFL_OK;
}

/* --- bytes --- */

static void put_round(msfl_buffer *b, const sealed_round *r, uint32_t n_structures) {
    const double figures[] = {r->learning_rate,   r->train_loss,          r->train_accuracy,
                              r->validation.loss, r->validation.accuracy, r->validation.rank};
    msfl_put32(b, r->round);
    msfl_put32(b, r->cohort);
    msfl_put64(b, r->number);
    msfl_put64(b, r->clipped);
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++)
        msfl_put_f64(b, figures[i]);
    job_scores_put_dice(&r->validation, n_structures, b);
}

static void get_round(msfl_reader *in, sealed_round *r, uint32_t n_structures) {
    double *const figures[] = {&r->learning_rate,   &r->train_loss,          &r->train_accuracy,
                               &r->validation.loss, &r->validation.accuracy, &r->validation.rank};
    r->round = msfl_get32(in);
    r->cohort = msfl_get32(in);
    r->number = msfl_get64(in);
    r->clipped = msfl_get64(in);
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++)
        *figures[i] = msfl_get_f64(in);
    job_scores_get_dice(in, n_structures, &r->validation);
}

static void get_hash(msfl_reader *r, uint8_t out[MSFL_HASH_BYTES]) {
    const uint8_t *bytes = msfl_get_bytes(r, MSFL_HASH_BYTES);
    if (bytes != NULL) memcpy(out, bytes, MSFL_HASH_BYTES);
}

static void put_state(const job_shape *shape, msfl_buffer *b, const sealed_state *s) {
    msfl_put32(b, VERSION);
    msfl_put_bytes(b, s->task, MSFL_HASH_BYTES);
    msfl_put64(b, s->number);
    job_course_put(&s->course, b);
    msfl_put32(b, s->awaits);
    msfl_put32(b, s->newest);
    msfl_put_bytes(b, s->newest_name, MSFL_HASH_BYTES);
    msfl_put_bytes(b, s->best_name, MSFL_HASH_BYTES);
    msfl_put_bytes(b, s->newest_hash, MSFL_HASH_BYTES);
    msfl_put_bytes(b, s->best_hash, MSFL_HASH_BYTES);
    put_round(b, &s->current, shape->n_structures);
    msfl_put32(b, s->tested);
    msfl_put_f64(b, s->test.loss);
    msfl_put_f64(b, s->test.accuracy);
    msfl_put_f64(b, s->test.rank);
    msfl_put64(b, s->test.n);
    job_scores_put_dice(&s->test, shape->n_structures, b);
    msfl_put32(b, s->n_rounds);
    for (uint32_t i = 0; i < s->n_rounds; i++)
        put_round(b, &s->rounds[i], shape->n_structures);
}

static msfl_status get_state(const job_shape *shape, const uint8_t *bytes, size_t length, sealed_state *s) {
    const job_rule *rule = &shape->spec->rule;
    msfl_reader r = msfl_reader_init(bytes, length);
    const bool known = msfl_get32(&r) == VERSION;
    get_hash(&r, s->task);
    s->number = msfl_get64(&r);
    bool good = known && job_course_get(&s->course, rule, &r);
    s->awaits = msfl_get32(&r) != 0;
    s->newest = msfl_get32(&r);
    get_hash(&r, s->newest_name);
    get_hash(&r, s->best_name);
    get_hash(&r, s->newest_hash);
    get_hash(&r, s->best_hash);
    get_round(&r, &s->current, shape->n_structures);
    s->tested = msfl_get32(&r) != 0;
    s->test.loss = msfl_get_f64(&r);
    s->test.accuracy = msfl_get_f64(&r);
    s->test.rank = msfl_get_f64(&r);
    s->test.n = msfl_get64(&r);
    job_scores_get_dice(&r, shape->n_structures, &s->test);
    const uint32_t n = msfl_get32(&r);
    good = good && !r.failed && n <= rule->n_rounds && s->newest <= rule->n_rounds;
    if (!good) return msfl_fail(MSFL_ERR_FORMAT, "what this hospital keeps of the job cannot be read");
    msfl_status status = msfl_grow((void **)&s->rounds, &s->capacity, (size_t)n + 1, sizeof *s->rounds);
    if (status != MSFL_OK) return status;
    for (; s->n_rounds < n; s->n_rounds++)
        get_round(&r, &s->rounds[s->n_rounds], shape->n_structures);
    if (r.failed || msfl_reader_left(&r) != 0) {
        return msfl_fail(MSFL_ERR_FORMAT, "what this hospital keeps of the job cannot be read");
    }
    return MSFL_OK;
}

static void put_opened(msfl_buffer *b, const sealed_opened *o) {
    msfl_put32(b, VERSION);
    msfl_put_bytes(b, o->task, MSFL_HASH_BYTES);
    msfl_put64(b, o->number);
    msfl_put32(b, (uint32_t)o->kind);
    msfl_put32(b, o->cohort);
    msfl_put_f64(b, o->learning_rate);
    for (uint32_t i = 0; i < MSFL_COUNTERS_MAX; i++)
        msfl_put64(b, o->counters[i]);
    msfl_put_bytes(b, o->hash, MSFL_HASH_BYTES);
}

static msfl_status get_opened(const uint8_t *bytes, size_t length, sealed_opened *out) {
    sealed_opened o = {0};
    msfl_reader r = msfl_reader_init(bytes, length);
    const bool known = msfl_get32(&r) == VERSION;
    get_hash(&r, o.task);
    o.number = msfl_get64(&r);
    const uint32_t kind = msfl_get32(&r);
    o.cohort = msfl_get32(&r);
    o.learning_rate = msfl_get_f64(&r);
    for (uint32_t i = 0; i < MSFL_COUNTERS_MAX; i++)
        o.counters[i] = msfl_get64(&r);
    get_hash(&r, o.hash);
    if (!known || r.failed || msfl_reader_left(&r) != 0 || kind > JOB_TEST) {
        return msfl_fail(MSFL_ERR_FORMAT, "what this hospital keeps of an opened sum cannot be read");
    }
    o.kind = (job_kind)kind;
    *out = o;
    return MSFL_OK;
}

/* --- store --- */

static msfl_status put(client_part_state *p, const char *what, msfl_buffer *bytes) {
    char key[KEY_MAX];
    (void)snprintf(key, sizeof key, "sealed/%s%s", p->run->id, what);
    msfl_status status = bytes->status;
    if (status == MSFL_OK) status = store_put(p->run->hub->store, key, bytes->bytes, bytes->length);
    msfl_buffer_clear(bytes);
    return status;
}

msfl_status sealed_keep_state(client_part_state *p, const sealed_state *state) {
    msfl_buffer b = {0};
    put_state(p->run->shape, &b, state);
    return put(p, "", &b);
}

msfl_status sealed_keep_opened(client_part_state *p, const sealed_opened *opened) {
    msfl_buffer b = {0};
    put_opened(&b, opened);
    return put(p, "/opened", &b);
}

msfl_status sealed_load(client_part_state *p) {
    struct client_sealed *s = p->sealed;
    char key[KEY_MAX];
    uint8_t *bytes = NULL;
    size_t length;
    (void)snprintf(key, sizeof key, "sealed/%s", p->run->id);
    msfl_status status = store_get(p->run->hub->store, key, &bytes, &length);
    if (status == MSFL_OK && bytes != NULL) status = get_state(p->run->shape, bytes, length, &s->state);
    if (status == MSFL_OK && bytes == NULL) job_course_init(&s->state.course, &p->run->spec.rule);
    msfl_free(bytes);
    if (status != MSFL_OK) {
        sealed_state_clear(&s->state);
        return status;
    }
    (void)snprintf(key, sizeof key, "sealed/%s/opened", p->run->id);
    status = store_get(p->run->hub->store, key, &bytes, &length);
    if (status == MSFL_OK && bytes != NULL) status = get_opened(bytes, length, &s->opened);
    msfl_free(bytes);
    return status;
}

bool client_sealed_is_behind(store *s, const char *job) {
    char key[KEY_MAX];
    uint8_t *state = NULL, *end = NULL;
    size_t length;
    (void)snprintf(key, sizeof key, "sealed/%s", job);
    msfl_status status = store_get(s, key, &state, &length);
    (void)snprintf(key, sizeof key, "sealed/%s/end", job);
    if (status == MSFL_OK) status = store_get(s, key, &end, &length);
    const bool behind = status == MSFL_OK && state != NULL && end == NULL;
    msfl_free(state);
    msfl_free(end);
    return behind;
}

void client_sealed_end(client_part_state *p) {
    msfl_buffer b = {0};
    msfl_put8(&b, 1);
    (void)!put(p, "/end", &b); /* else it is asked for once more */
}

/* --- what follows --- */

static double ratio(uint64_t a, uint64_t b, double unit) {
    return b == 0 ? NAN : (double)a / unit / (double)b;
}

/* As coord_round_done: a round of the course is finished. */
static msfl_status finish(const job_shape *shape, sealed_state *s, double judgement) {
    msfl_status status = msfl_grow((void **)&s->rounds, &s->capacity, (size_t)s->n_rounds + 1, sizeof *s->rounds);
    if (status != MSFL_OK) return status;
    s->awaits = false;
    if (job_course_take(&s->course, &shape->spec->rule, judgement)) {
        memcpy(s->best_name, s->newest_name, MSFL_HASH_BYTES);
        memcpy(s->best_hash, s->newest_hash, MSFL_HASH_BYTES);
    }
    s->rounds[s->n_rounds++] = s->current;
    return MSFL_OK;
}

msfl_status sealed_pass_over(const job_shape *shape, sealed_state *s, job_kind kind) {
    return s->awaits && kind != JOB_EVALUATE ? finish(shape, s, NAN) : MSFL_OK;
}

msfl_status sealed_apply(const job_shape *shape, sealed_state *s, const sealed_opened *o, const uint8_t *name) {
    const uint64_t *c = o->counters;
    msfl_status status = sealed_pass_over(shape, s, o->kind);
    if (status != MSFL_OK) return status;
    memcpy(s->task, o->task, MSFL_HASH_BYTES);
    s->number = o->number;
    if (o->kind == JOB_UPDATE) {
        s->newest = s->course.n_done + 1;
        memcpy(s->newest_hash, o->hash, MSFL_HASH_BYTES);
        if (name != NULL) memcpy(s->newest_name, name, MSFL_HASH_BYTES);
        s->current = (sealed_round){.round = s->newest,
                                    .cohort = o->cohort,
                                    .number = o->number,
                                    .clipped = c[JOB_CLIPPED],
                                    .learning_rate = o->learning_rate,
                                    .train_loss = ratio(c[JOB_LOSS], c[JOB_SEEN], JOB_LOSS_ONE),
                                    .train_accuracy = ratio(c[JOB_CORRECT], c[JOB_SEEN], 1),
                                    .validation = job_scores_none()};
        s->awaits = true;
        return shape->spec->evaluate ? MSFL_OK : finish(shape, s, NAN);
    }
    const job_scores scores = job_scores_of(c, shape->n_structures);
    if (o->kind == JOB_TEST) {
        s->tested = true;
        s->test = scores;
        return MSFL_OK;
    }
    s->current.validation = scores;
    return finish(shape, s, job_judgement(shape->n_structures > 0, scores.loss, scores.rank));
}
