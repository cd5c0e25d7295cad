#include "job/scores.h"

#include <math.h>

job_scores job_scores_none(void) {
    job_scores s = {.loss = NAN, .accuracy = NAN, .rank = NAN};
    for (int c = 0; c < JOB_MASK_CLASSES; c++)
        s.dice[c] = NAN;
    return s;
}

job_scores job_scores_of(const uint64_t counters[JOB_EVAL_COUNTERS], uint32_t n_structures) {
    job_scores s = job_scores_none();
    s.n = counters[JOB_EVAL_N];
    if (s.n > 0) {
        s.loss = (double)counters[JOB_EVAL_LOSS] / JOB_LOSS_ONE / (double)s.n;
        s.accuracy = (double)counters[JOB_EVAL_CORRECT] / (double)s.n;
    }
    s.rank = n_structures > 0 ? job_counters_dice(counters) : job_counters_auc(counters);
    for (uint32_t c = 1; c <= n_structures && c <= JOB_MASK_CLASSES; c++)
        s.dice[c - 1] = job_counters_structure(counters, c);
    return s;
}

void job_scores_put_dice(const job_scores *s, uint32_t n_structures, msfl_buffer *out) {
    for (uint32_t c = 0; c < n_structures; c++)
        msfl_put_f64(out, s->dice[c]);
}

void job_scores_get_dice(msfl_reader *r, uint32_t n_structures, job_scores *s) {
    for (uint32_t c = 0; c < n_structures; c++)
        s->dice[c] = msfl_get_f64(r);
}

json_t *job_round_json(const job_shape *shape, double train_loss, double train_accuracy, const job_scores *v,
                       double learning_rate) {
    json_t *o =
        json_pack("{s:o,s:o,s:o,s:o,s:o,s:o}", "train_loss", msfl_json_real(train_loss), "train_accuracy",
                  msfl_json_real(train_accuracy), "validation_loss", msfl_json_real(v->loss), "validation_accuracy",
                  msfl_json_real(v->accuracy), shape->n_structures > 0 ? "validation_dice" : "validation_auc",
                  msfl_json_real(v->rank), "learning_rate", msfl_json_real(learning_rate));
    if (shape->n_structures == 0) return o;
    json_t *list = json_array();
    for (uint32_t c = 0; c < shape->n_structures; c++)
        json_array_append_new(list, msfl_json_real(v->dice[c]));
    json_object_set_new(o, "validation_structures", list);
    return o;
}

json_t *job_test_json(const job_shape *shape, const job_scores *t) {
    json_t *o = json_pack("{s:o,s:o,s:o}", shape->n_structures > 0 ? "dice" : "auc", msfl_json_real(t->rank),
                          "accuracy", msfl_json_real(t->accuracy), "loss", msfl_json_real(t->loss));
    if (shape->n_structures == 0) return o;
    json_t *list = json_array();
    for (uint32_t c = 0; c < shape->n_structures; c++) {
        json_t *one = json_pack("{s:i,s:o}", "class", (int)c + 1, "dice", msfl_json_real(t->dice[c]));
        if (c + 1 < shape->spec->n_classes) {
            json_object_set_new(one, "name", msfl_json_string(shape->spec->classes[c + 1]));
        }
        json_array_append_new(list, one);
    }
    json_object_set_new(o, "structures", list);
    return o;
}
