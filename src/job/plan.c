#include "job/plan.h"

#include "base/error.h"
#include "base/mem.h"
#include "job/figures.h"
#include "text/json.h"

#include <math.h>
#include <string.h>

static const char *const kinds[] = {"update", "evaluate", "test"};
enum { KINDS = sizeof kinds / sizeof kinds[0], PLAN_TEXT_MAX = 1 << 16 };
static const double whole_max = 0x1p53;

const char *job_kind_name(job_kind kind) {
    return (unsigned)kind < KINDS ? kinds[kind] : "unknown";
}

void job_plan_clear(job_plan *plan) {
    msfl_free(plan->clip);
    memset(plan, 0, sizeof *plan);
}

msfl_status job_plan_text(const job_plan *plan, uint32_t n_tensors, char **text) {
    *text = NULL;
    json_t *o = json_pack("{s:I, s:I, s:s, s:I, s:f}", "number", (json_int_t)plan->number, "round",
                          (json_int_t)plan->round, "kind", job_kind_name(plan->kind), "model", (json_int_t)plan->model,
                          "learning_rate", plan->learning_rate);
    if (o == NULL) return MSFL_NO_MEMORY;
    if (plan->clip != NULL) {
        json_t *list = json_array();
        for (uint32_t i = 0; i < n_tensors; i++)
            json_array_append_new(list, json_real((double)plan->clip[i]));
        json_object_set_new(o, "clip", list);
    }
    msfl_status status = msfl_json_text(o, true, text);
    json_decref(o);
    return status;
}

static bool whole(const json_t *o, const char *key, double max, uint64_t *out) {
    const json_t *v = json_object_get(o, key);
    if (!json_is_integer(v) || json_integer_value(v) < 0 || (double)json_integer_value(v) > max) return false;
    *out = (uint64_t)json_integer_value(v);
    return true;
}

static bool read_clip(const json_t *list, uint32_t n, float *clip) {
    if (!json_is_array(list) || json_array_size(list) != n) return false;
    for (uint32_t i = 0; i < n; i++) {
        const json_t *v = json_array_get(list, i);
        clip[i] = json_is_number(v) ? (float)json_number_value(v) : 0;
        if (!(clip[i] > 0) || !isfinite(clip[i])) return false;
    }
    return true;
}

static bool read(const json_t *o, const job_shape *shape, job_plan *out) {
    uint64_t round, model;
    const job_rule *rule = &shape->spec->rule;
    if (!whole(o, "number", whole_max, &out->number) || out->number == 0) return false;
    if (!whole(o, "round", rule->n_rounds, &round) || !whole(o, "model", rule->n_rounds, &model)) return false;
    out->round = (uint32_t)round;
    out->model = (uint32_t)model;
    const char *kind = json_string_value(json_object_get(o, "kind"));
    uint32_t k = 0;
    while (kind != NULL && k < KINDS && strcmp(kinds[k], kind) != 0)
        k++;
    if (kind == NULL || k == KINDS) return false;
    out->kind = (job_kind)k;
    const json_t *rate = json_object_get(o, "learning_rate");
    out->learning_rate = json_is_number(rate) ? json_number_value(rate) : 0;
    if (!(out->learning_rate > 0 && out->learning_rate <= 100)) return false;
    /* A round trains from what the one before made; figures are of what it has made itself. */
    if (round == 0 || (out->kind == JOB_UPDATE && model != round - 1) ||
        (out->kind == JOB_EVALUATE && model != round)) {
        return false;
    }
    if (out->kind != JOB_UPDATE) return json_object_get(o, "clip") == NULL;
    return read_clip(json_object_get(o, "clip"), shape->sent.n_tensors, out->clip);
}

msfl_status job_plan_parse(const char *text, size_t length, const job_shape *shape, job_plan *out) {
    *out = (job_plan){0};
    json_t *o;
    msfl_status status = msfl_json_parse("round plan", text, length, PLAN_TEXT_MAX, &o);
    if (status != MSFL_OK) return status;
    out->clip = msfl_alloc(shape->sent.n_tensors, sizeof *out->clip);
    if (out->clip == NULL) {
        status = MSFL_NO_MEMORY;
    } else if (!read(o, shape, out)) {
        status = msfl_fail(MSFL_ERR_FORMAT, "round plan: not one of this job");
    }
    json_decref(o);
    if (status != MSFL_OK) {
        job_plan_clear(out);
    } else if (out->kind != JOB_UPDATE) {
        msfl_free(out->clip);
        out->clip = NULL;
    }
    return status;
}

msfl_status job_plan_layout(const job_plan *plan, const job_shape *shape, msfl_update_layout **out) {
    /* The figures of test images are of a model whose validation figures were opened before, and members answer for one
     * (model, layout) once: so the layouts differ, in the bound on counter 0, which is 1 in either. */
    if (plan->kind == JOB_TEST) {
        *out = NULL;
        return msfl_update_layout_new(shape->spec->value_bits, JOB_EVAL_COUNTERS, 2, NULL, 0, out);
    }
    return job_shape_layout(shape, plan->kind == JOB_UPDATE ? plan->clip : NULL, out);
}
