/* Models that this hospital made of opened sums, and what it shows of them. */
#include "client/sealed.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/output.h"
#include "client/weights.h"
#include "medsecurefl/model.h"
#include "text/json.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

char *sealed_weights_path(const struct client_sealed *s, uint32_t index) {
    return msfl_format("%s/%06u.f32", s->folder, index);
}

msfl_status sealed_save_weights(const client_part_state *p, uint32_t index, const float *weights) {
    char *path = sealed_weights_path(p->sealed, index);
    msfl_output *output = NULL;
    msfl_status status = path == NULL ? MSFL_NO_MEMORY : msfl_folder_make(p->sealed->folder);
    if (status == MSFL_OK) status = msfl_output_open(path, MSFL_OUTPUT_REPLACE | MSFL_OUTPUT_PRIVATE, &output);
    if (status == MSFL_OK) status = msfl_output_write(output, weights, p->run->shape->n_values * sizeof *weights);
    if (status == MSFL_OK) status = msfl_output_commit(output);
    msfl_output_free(output);
    msfl_free(path);
    return status;
}

static char *moments_path(const client_part_state *p, uint32_t index) {
    return msfl_format("%s/%06u.moments", p->sealed->folder, index);
}

msfl_status sealed_moments(const client_part_state *p, const job_aggregate *rule, uint32_t index, float **moments) {
    const uint8_t *hash = p->sealed->state.newest_hash;
    const uint32_t n = job_carried(rule, &p->run->spec.rule);
    *moments = NULL;
    if (index == 0) return job_moments_load(moments, NULL, rule, n, hash, p->run->shape->n_values);
    char *path = moments_path(p, index);
    msfl_status status =
        path == NULL ? MSFL_NO_MEMORY : job_moments_load(moments, path, rule, n, hash, p->run->shape->n_values);
    msfl_free(path);
    return status;
}

msfl_status sealed_save_moments(const client_part_state *p, const job_aggregate *rule, uint32_t index,
                                const uint8_t hash[MSFL_HASH_BYTES], const float *moments) {
    const uint32_t n = job_carried(rule, &p->run->spec.rule);
    char *path = moments_path(p, index);
    msfl_status status = path == NULL ? MSFL_NO_MEMORY : msfl_folder_make(p->sealed->folder);
    if (status == MSFL_OK) status = job_moments_save(path, rule, n, hash, moments, p->run->shape->n_values);
    msfl_free(path);
    return status;
}

static msfl_status save_model(client_part_state *p, const char *name, uint32_t index) {
    const job_shape *shape = p->run->shape;
    float *weights = NULL;
    char *path = msfl_format("%s/%s.%s", p->run->folder, name, shape->model != NULL ? "h5" : "f32");
    msfl_status status = path == NULL ? MSFL_NO_MEMORY : client_sealed_weights(p, index, &weights);
    if (status == MSFL_OK && shape->model != NULL) {
        char recipe[2 * MSFL_HASH_BYTES + 1];
        const msfl_model_facts facts = job_spec_facts(&p->run->spec, recipe);
        status = msfl_model_save(path, shape->model, weights, &facts);
    } else if (status == MSFL_OK) {
        status = msfl_file_write_private(path, weights, shape->n_values * sizeof *weights);
    }
    msfl_free(weights);
    msfl_free(path);
    return status;
}

static json_t *round_json(const job_shape *shape, const sealed_round *r) {
    return json_pack("{s:i,s:I,s:o,s:i,s:I}", "round", (int)r->round, "number", (json_int_t)r->number, "encrypted",
                     job_round_json(shape, r->train_loss, r->train_accuracy, &r->validation, r->learning_rate),
                     "cohort", (int)r->cohort, "clipped", (json_int_t)r->clipped);
}

static msfl_status write_metrics(const client_part_state *p) {
    const sealed_state *s = &p->sealed->state;
    msfl_buffer lines = {0};
    msfl_status status = MSFL_OK;
    for (uint32_t i = 0; i < s->n_rounds && status == MSFL_OK; i++) {
        char *line = NULL;
        json_t *round = round_json(p->run->shape, &s->rounds[i]);
        status = round == NULL ? MSFL_NO_MEMORY : msfl_json_text(round, true, &line);
        json_decref(round);
        if (status == MSFL_OK) msfl_put_text(&lines, "%s\n", line);
        msfl_free(line);
    }
    char *path = msfl_path_join(p->run->folder, "metrics.jsonl");
    if (status == MSFL_OK) status = path == NULL ? MSFL_NO_MEMORY : lines.status;
    if (status == MSFL_OK) status = msfl_file_write_private(path, lines.bytes, lines.length);
    msfl_buffer_clear(&lines);
    msfl_free(path);
    return status;
}

static msfl_status write_result(const client_part_state *p) {
    const sealed_state *s = &p->sealed->state;
    char *path = msfl_path_join(p->run->folder, "result.json"), *text = NULL;
    json_t *test = s->tested ? job_test_json(p->run->shape, &s->test) : json_null();
    if (s->tested) {
        json_object_set_new(test, "n", json_integer((json_int_t)s->test.n));
        json_object_set_new(test, "best_round", json_integer(s->course.best_round));
    }
    json_t *o = json_pack("{s:s,s:s,s:i,s:i,s:i,s:o,s:o}", "version", msfl_version(), "job", p->run->id, "rounds_done",
                          (int)s->course.n_done, "rounds_planned", (int)p->run->spec.rule.n_rounds, "best_round",
                          (int)s->course.best_round, "stopped",
                          s->course.stopped ? msfl_json_string(s->course.why) : json_null(), "encrypted", test);
    if (p->run->shape->n_structures > 0) json_object_set_new(o, "task", json_string("segmentation"));
    msfl_status status = o == NULL || path == NULL ? MSFL_NO_MEMORY : msfl_json_text(o, false, &text);
    if (status == MSFL_OK) status = msfl_file_write_private(path, text, strlen(text));
    json_decref(o);
    msfl_free(text);
    msfl_free(path);
    return status;
}

/* The best, the newest and the one before are kept, and what may become the next. */
static void tidy(const client_part_state *p) {
    const sealed_state *s = &p->sealed->state;
    for (uint32_t i = 1; i + 1 < s->newest; i++) {
        char *moments = moments_path(p, i);
        if (moments != NULL) (void)unlink(moments);
        msfl_free(moments);
        if (i == s->course.best_round) continue;
        char *path = sealed_weights_path(p->sealed, i);
        if (path != NULL) (void)unlink(path);
        msfl_free(path);
    }
}

msfl_status sealed_write_products(client_part_state *p) {
    const sealed_state *s = &p->sealed->state;
    if (s->newest == 0) return MSFL_OK;
    msfl_status status = save_model(p, "agg_model_last", s->newest);
    if (status == MSFL_OK && s->course.best_round > 0) status = save_model(p, "agg_model", s->course.best_round);
    if (status == MSFL_OK) status = write_metrics(p);
    if (status == MSFL_OK) status = write_result(p);
    if (status == MSFL_OK) tidy(p);
    return status;
}
