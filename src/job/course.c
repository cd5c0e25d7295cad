#include "job/course.h"

#include "base/error.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const char *const job_schedule_words[] = {"constant", "linear", NULL};

/* Where plateaus do not lower it too, a straight line from the first round's rate down to 1 / n_rounds of it. No
 * cosine: its last bit is another in every mathematical library, and hospitals that open sums themselves must agree in
 * all. */
static double fall(const job_rule *rule, uint32_t n_done) {
    if (rule->schedule == JOB_SCHEDULE_CONSTANT || n_done >= rule->n_rounds) return 1;
    return (double)(rule->n_rounds - n_done) / (double)(rule->n_rounds - n_done + 1);
}

msfl_status job_rule_check(const job_rule *rule) {
    if (rule->n_averaged > rule->n_rounds) {
        return msfl_fail(MSFL_ERR_USAGE, "the mean of the last %u rounds, and there are %u", rule->n_averaged,
                         rule->n_rounds);
    }
    if (rule->n_averaged > 0 && rule->patience > 0) {
        return msfl_fail(MSFL_ERR_USAGE, "patience may end a training before its last rounds, whose mean is asked for: "
                                         "leave out one of the two");
    }
    return MSFL_OK;
}

void job_course_init(job_course *c, const job_rule *rule) {
    *c = (job_course){.best_loss = INFINITY, .learning_rate = rule->learning_rate};
}

bool job_course_wants_more(const job_course *c, const job_rule *rule) {
    return !c->stopped && c->n_done < rule->n_rounds;
}

double job_judgement(bool of_pixels, double validation_loss, double validation_dice) {
    return of_pixels ? 1 - validation_dice : validation_loss;
}

bool job_course_take(job_course *c, const job_rule *rule, double loss) {
    c->n_done++;
    c->learning_rate *= fall(rule, c->n_done);
    const bool better = isnan(loss) || loss < c->best_loss, kept = better || rule->keeps_last || rule->n_averaged > 0;
    if (kept) c->best_round = c->n_done;
    if (better) {
        if (!isnan(loss)) c->best_loss = loss;
        c->n_stale = 0;
        c->n_plateau = 0;
        return true;
    }
    c->n_stale++;
    c->n_plateau++;
    if (rule->plateau_patience > 0 && c->n_plateau >= rule->plateau_patience) {
        c->learning_rate *= rule->plateau_factor;
        c->n_plateau = 0;
    }
    if (rule->patience > 0 && c->n_stale >= rule->patience) {
        c->stopped = true;
        snprintf(c->why, sizeof c->why, "validation has not improved for %u rounds", c->n_stale);
    }
    return kept;
}

void job_course_put(const job_course *c, msfl_buffer *out) {
    msfl_put32(out, c->n_done);
    msfl_put32(out, c->best_round);
    msfl_put32(out, c->n_stale);
    msfl_put32(out, c->n_plateau);
    msfl_put32(out, c->stopped);
    msfl_put_f64(out, c->best_loss);
    msfl_put_f64(out, c->learning_rate);
    msfl_put_bytes(out, c->why, sizeof c->why);
}

bool job_course_get(job_course *c, const job_rule *rule, msfl_reader *r) {
    job_course got = {0};
    got.n_done = msfl_get32(r);
    got.best_round = msfl_get32(r);
    got.n_stale = msfl_get32(r);
    got.n_plateau = msfl_get32(r);
    got.stopped = msfl_get32(r) != 0;
    got.best_loss = msfl_get_f64(r);
    got.learning_rate = msfl_get_f64(r);
    const uint8_t *why = msfl_get_bytes(r, sizeof got.why);
    if (why == NULL) return false;
    memcpy(got.why, why, sizeof got.why - 1);
    if (got.n_done > rule->n_rounds || got.best_round > got.n_done || got.n_stale > got.n_done ||
        got.n_plateau > got.n_done || isnan(got.best_loss) || got.best_loss < 0 ||
        !(got.learning_rate > 0 && got.learning_rate <= 100)) {
        return false;
    }
    *c = got;
    return true;
}

/* --- clipping bounds --- */

/* From 20 bits on the grid over +-8 is finer than 2^-16 and nothing needs tuning. Below, every tensor gets its own
 * range: a first guess, then a margin over the largest mean update of the last round. It is
 * doubled while many values are cut. All of that comes out of opened sums, like everything that decides a round. */
enum { BITS_WITHOUT_TUNING = 20 };
static const float clip_wide = 8.0f, clip_first = 0.5f, clip_least = 1e-4f, margin = 4.0f;

static bool adaptive(const job_clip_rule *rule) {
    return rule->clip <= 0 && rule->value_bits < BITS_WITHOUT_TUNING;
}

void job_clip_init(const job_clip_rule *rule, float *clip) {
    float fixed = rule->clip > 0 ? (float)rule->clip : clip_wide;
    /* Moving statistics may jump in the first round, weights hardly. */
    for (uint32_t i = 0; i < rule->n_tensors; i++)
        clip[i] = adaptive(rule) && rule->weight[i] ? clip_first : fixed;
}

bool job_clip_follows(const job_clip_rule *rule) {
    return adaptive(rule);
}

void job_clip_next_most(const job_clip_rule *rule, const float *clip, const float *most, uint64_t n_clipped,
                        uint32_t cohort, float *next) {
    if (!adaptive(rule)) {
        memcpy(next, clip, rule->n_tensors * sizeof *next);
        return;
    }
    bool many_clipped = (double)n_clipped > 1e-3 * (double)cohort * (double)rule->n_values;
    for (uint32_t i = 0; i < rule->n_tensors; i++) {
        float wanted = fmaxf(margin * most[i], clip_least);
        if (many_clipped) wanted = fmaxf(wanted, 2.0f * clip[i]);
        next[i] = fminf(wanted, clip_wide);
    }
}

void job_clip_next(const job_clip_rule *rule, const float *clip, const float *mean, uint64_t n_clipped, uint32_t cohort,
                   float *next) {
    for (uint32_t i = 0; i < rule->n_tensors; i++) {
        next[i] = 0;
        for (uint64_t k = 0; k < rule->counts[i]; k++)
            next[i] = fmaxf(next[i], fabsf(mean[k]));
        mean += rule->counts[i];
    }
    job_clip_next_most(rule, clip, next, n_clipped, cohort, next);
}
