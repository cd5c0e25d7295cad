/* From an opened sum to what follows from it: the next weights, or figures. Memory: slices beside the machine's sum.
 * Totals are decoded chunk by chunk into the file of the next weights, the global ones come from theirs. */
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "coordinator/engine_private.h"
#include "job/aggregate.h"
#include "job/figures.h"

#include <inttypes.h>
#include <math.h>

enum { SLICE = 1 << 20 }; /* values of weights in memory at a time: whole pages */

typedef struct opened {
    uint64_t counters[MSFL_COUNTERS_MAX];
    uint8_t result[MSFL_HASH_BYTES]; /* as msfl_result_hash */
    float *mean;                     /* of an update, in a draft of the weights; NULL for figures */
    uint32_t cohort;
} opened;

/** As msfl_hash_add_u64 of each, many at a time: 25 million calls would take longer than the hash. */
static void add_totals(msfl_hash *h, const uint64_t *totals, uint32_t n) {
    enum { MANY = 1024 };
    uint8_t bytes[MANY * sizeof *totals];
    for (uint32_t i = 0; i < n;) {
        uint32_t k = 0;
        for (; k < MANY && i < n; k++, i++)
            msfl_store64(bytes + k * sizeof *totals, totals[i]);
        msfl_hash_add(h, bytes, k * sizeof *totals);
    }
}

/** Decode all chunks. ERR_NUMERIC: totals that no hospitals could have made. */
static msfl_status decode(coord_entry *j, const job_plan *plan, opened *o) {
    msfl_update_layout *layout = NULL;
    msfl_update_decoder *decoder = NULL;
    uint64_t *totals = NULL;
    msfl_status status = job_plan_layout(plan, j->job->shape, &layout);
    if (status != MSFL_OK) return status;
    const uint64_t n_slots = msfl_update_slots(layout), n_chunks = coord_driver_chunks(j->driver, n_slots);
    totals = msfl_alloc(coord_driver_chunk_slots(j->driver, n_slots, 0), sizeof *totals);
    status = totals == NULL ? MSFL_NO_MEMORY : msfl_update_decoder_new(layout, o->cohort, &decoder);
    msfl_hash h;
    msfl_hash_init(&h, "msfl.round.result.v1");
    msfl_hash_add_u64(&h, n_slots);
    uint64_t first = 0, passed = 0; /* slots; values that were let go */
    const uint64_t n_before = n_slots - msfl_update_values(layout);
    msfl_status bad = MSFL_OK;
    for (uint64_t c = 0; c < n_chunks && status == MSFL_OK; c++) {
        const uint32_t n = coord_driver_chunk_slots(j->driver, n_slots, c);
        status = coord_driver_total(j->driver, c, totals);
        if (status != MSFL_OK) break;
        add_totals(&h, totals, n);
        /* The hash is of all totals, also of those that make no sense. */
        if (bad == MSFL_OK) bad = msfl_update_decode(decoder, first, n, totals, o->mean);
        first += n;
        for (; o->mean != NULL && passed + SLICE + n_before <= first; passed += SLICE)
            coord_job_passed(o->mean, passed, SLICE);
    }
    msfl_hash_final(&h, o->result);
    const uint32_t n_counters = plan->kind == JOB_UPDATE ? JOB_UPDATE_COUNTERS : JOB_EVAL_COUNTERS;
    for (uint32_t k = 0; k < n_counters && status == MSFL_OK && bad == MSFL_OK; k++)
        o->counters[k] = msfl_update_counter(decoder, k);
    msfl_update_decoder_free(decoder);
    msfl_update_layout_free(layout);
    msfl_free(totals);
    return status != MSFL_OK ? status : bad;
}

static double span(const coord_view *v, msfl_phase from, msfl_phase to) {
    const uint64_t a = v->phase_ms[from], b = v->phase_ms[to];
    return a == 0 || b < a ? NAN : (double)(b - a);
}

static uint64_t slice(uint64_t from, uint64_t end) {
    return end - from < SLICE ? end - from : SLICE;
}

/** The next bounds, from the largest of each tensor. */
static msfl_status bound(const coord_job *job, const job_plan *plan, const opened *o, float *clip) {
    const job_clip_rule rule = coord_job_clip_rule(job);
    float *most = msfl_alloc(rule.n_tensors, sizeof *most);
    if (most == NULL) return MSFL_NO_MEMORY;
    uint64_t at = 0, passed = 0;
    for (uint32_t t = 0; t < rule.n_tensors && job_clip_follows(&rule); t++) {
        const uint64_t end = at + rule.counts[t];
        while (at < end) {
            for (const uint64_t stop = at + slice(at, end); at < stop; at++)
                most[t] = fmaxf(most[t], fabsf(o->mean[at]));
            for (; passed + SLICE <= at; passed += SLICE)
                coord_job_passed(o->mean, passed, SLICE);
        }
    }
    job_clip_next_most(&rule, plan->clip, most, o->counters[JOB_CLIPPED], o->cohort, clip);
    msfl_free(most);
    return MSFL_OK;
}

/** The new weights on disk, their hash, and the next bounds. */
static msfl_status aggregate(coord_entry *j, const job_plan *plan, opened *o, float *clip,
                             uint8_t hash[MSFL_HASH_BYTES]) {
    const coord_job *job = j->job;
    const job_aggregate *rule;
    const float *global = NULL;
    const uint64_t n_values = job->shape->n_values;
    msfl_status status = job_aggregate_find(job->spec.aggregate, &rule);
    if (status == MSFL_OK) status = bound(job, plan, o, clip);
    if (status == MSFL_OK) job_sent_spread(&job->shape->sent, o->mean);
    float *carried = NULL;
    const bool carries = status == MSFL_OK && job_carried(rule, &job->spec.rule) > 0;
    if (carries) status = coord_job_moments(job, rule, plan->model, &carried);
    if (status == MSFL_OK) status = coord_job_map(job, plan->model, &global);
    if (status != MSFL_OK) {
        msfl_free(carried);
        return status;
    }
    const job_stride stride = job_spec_stride(&job->spec, plan->round, plan->learning_rate);
    msfl_hash h;
    job_weights_hash_begin(job->shape, &h);
    for (uint64_t i = 0; i < n_values; i += SLICE) {
        const uint64_t n = slice(i, n_values);
        job_step(rule, o->mean + i, carried, global + i, o->mean + i, i, n, n_values, &stride);
        msfl_hash_add(&h, o->mean + i, n * sizeof *o->mean);
        coord_job_passed(global, i, n);
        coord_job_passed(o->mean, i, n);
    }
    msfl_hash_final(&h, hash);
    coord_job_unmap(job, global);
    /* Before the weights that they belong to: whoever finds weights finds what is carried beside them. */
    if (carries) status = coord_job_moments_save(job, rule, plan->round, hash, carried);
    msfl_free(carried);
    return status == MSFL_OK ? coord_job_draft_keep(job, plan->round, o->mean) : status;
}

static double ratio(uint64_t a, uint64_t b, double unit) {
    return b == 0 ? NAN : (double)a / unit / (double)b;
}

void coord_round_done(coord_entry *j, double judgement, uint64_t now_ms) {
    coord_job *job = j->job;
    const bool best = job_course_take(&job->course, &job->spec.rule, judgement);
    if (best) memcpy(job->best_hash, job->newest_hash, MSFL_HASH_BYTES);
    job->current.ended_ms = now_ms;
    job->history[job->n_history++] = job->current; /* room was made when the update was taken */
    job->failures = 0;
    job->stage = JOB_UPDATE;
    if (!job_course_wants_more(&job->course, &job->spec.rule) && job->spec.test) job->stage = JOB_TEST;
}

/** With the lock: what the opened sum of an update says. */
static void take_update(coord_entry *j, const job_plan *plan, const opened *o, const coord_view *v, const float *clip,
                        const uint8_t hash[MSFL_HASH_BYTES], double open_ms, uint64_t now_ms) {
    coord_job *job = j->job;
    const uint64_t *c = o->counters;
    job->current = (coord_history){.round = plan->round,
                                   .cohort = o->cohort,
                                   .number = plan->number,
                                   .clipped = c[JOB_CLIPPED],
                                   .learning_rate = plan->learning_rate,
                                   .train_loss = ratio(c[JOB_LOSS], c[JOB_SEEN], JOB_LOSS_ONE),
                                   .train_accuracy = ratio(c[JOB_CORRECT], c[JOB_SEEN], 1),
                                   .validation = job_scores_none(),
                                   .ms_collect = span(v, MSFL_PHASE_COLLECTING, MSFL_PHASE_CERTIFYING),
                                   .ms_certify = span(v, MSFL_PHASE_CERTIFYING, MSFL_PHASE_RELEASING),
                                   .ms_release = span(v, MSFL_PHASE_RELEASING, MSFL_PHASE_OPENED),
                                   .ms_open = open_ms,
                                   .bytes_in = v->bytes_in,
                                   .bytes_out = v->bytes_out};
    memcpy(job->current.model, hash, MSFL_HASH_BYTES);
    job->newest = plan->round;
    memcpy(job->newest_hash, hash, MSFL_HASH_BYTES);
    memcpy(job->clip, clip, job->shape->sent.n_tensors * sizeof *clip);
    job->failures = 0;
    job->stage = JOB_EVALUATE;
    if (!job->spec.evaluate) coord_round_done(j, NAN, now_ms);
}

static void take_figures(coord_entry *j, const job_plan *plan, const opened *o, uint64_t now_ms) {
    coord_job *job = j->job;
    const job_scores scores = job_scores_of(o->counters, job->shape->n_structures);
    if (plan->kind == JOB_TEST) {
        job->test = (coord_test){true, scores};
        return;
    }
    job->current.validation = scores;
    coord_round_done(j, job_judgement(job->shape->n_structures > 0, scores.loss, scores.rank), now_ms);
}

static void count(coord_engine *e, const coord_view *v, double open_ms) {
    const double spans[] = {span(v, MSFL_PHASE_COLLECTING, MSFL_PHASE_CERTIFYING),
                            span(v, MSFL_PHASE_CERTIFYING, MSFL_PHASE_RELEASING),
                            span(v, MSFL_PHASE_RELEASING, MSFL_PHASE_OPENED), open_ms};
    double *const totals[] = {&e->totals.seconds_collect, &e->totals.seconds_certify, &e->totals.seconds_release,
                              &e->totals.seconds_open};
    for (int i = 0; i < 4; i++)
        if (!isnan(spans[i])) *totals[i] += spans[i] / 1000;
    e->totals.rounds_opened++;
    e->totals.uploads += v->n_in;
}

msfl_status coord_open_sum(coord_engine *e, coord_entry *j, uint64_t now_ms) {
    const job_plan plan = coord_job_plan(j->job);
    opened o = {0};
    coord_view v = {0};
    coord_change change;
    uint8_t hash[MSFL_HASH_BYTES] = {0};
    float *clip = msfl_alloc(j->job->shape->sent.n_tensors, sizeof *clip);
    const uint64_t from = msfl_now_ns();
    msfl_status status = clip == NULL ? MSFL_NO_MEMORY : coord_driver_view(j->driver, &v);
    if (status != MSFL_OK) goto done;
    o.cohort = v.n_in;
    if (plan.kind == JOB_UPDATE) {
        status = coord_job_draft(j->job, &o.mean);
        pthread_mutex_lock(&e->lock); /* others look at the list */
        if (status == MSFL_OK) {
            status = msfl_grow((void **)&j->job->history, &j->job->history_capacity, (size_t)j->job->n_history + 1,
                               sizeof *j->job->history);
        }
        pthread_mutex_unlock(&e->lock);
    }
    if (status == MSFL_OK && strcmp(j->job->spec.scheme, "plain") == 0) {
        status = coord_plain_sum(j, &plan, v.n_clients, o.mean, o.counters, o.result);
    } else if (status == MSFL_OK) {
        status = decode(j, &plan, &o);
    }
    const bool nonsense = status == MSFL_ERR_NUMERIC;
    if (nonsense) status = MSFL_OK;
    if (status == MSFL_OK && !nonsense && plan.kind == JOB_UPDATE) status = aggregate(j, &plan, &o, clip, hash);
    if (status != MSFL_OK) goto done;
    const double open_ms = (double)(msfl_now_ns() - from) * 1e-6;
    pthread_mutex_lock(&e->lock);
    if (nonsense) {
        coord_job_attempt(j->job, "the opened sum is none that hospitals could have made", now_ms);
        /* Members answered for this model: they would refuse another round on it. */
        j->job->failures = j->job->spec.attempts_max;
    } else if (plan.kind == JOB_UPDATE) {
        take_update(j, &plan, &o, &v, clip, hash, open_ms, now_ms);
    } else {
        take_figures(j, &plan, &o, now_ms);
    }
    j->job->open = false;
    coord_change_begin(&change, e, j);
    pthread_mutex_unlock(&e->lock);
    status = coord_change_end(&change, coord_driver_finish(j->driver, o.result, &change.also), false);
    if (status != MSFL_OK) goto done;
    pthread_mutex_lock(&e->lock);
    count(e, &v, open_ms);
    pthread_mutex_unlock(&e->lock);
    coord_job_tidy(j->job);
    /* Written again with the next round if it fails now. */
    if (coord_write_metrics(j->job) != MSFL_OK) coord_log(e, COORD_WARNING, j, "%s", msfl_error_message());
    coord_log(e, nonsense ? COORD_ERROR : COORD_INFO, j, "round %u (%s, number %" PRIu64 ") is opened: %u hospitals%s",
              plan.round, job_kind_name(plan.kind), plan.number, o.cohort,
              nonsense ? ", and the sum makes no sense" : "");
done:
    coord_view_clear(&v);
    coord_job_draft_free(j->job, o.mean);
    msfl_free(clip);
    return status;
}
