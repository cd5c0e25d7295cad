/* What a job leaves behind: agg_model.h5, agg_model_last.h5 (or .f32 where the network is the hospitals' own),
 * metrics.jsonl, result.json. docs/formats/result.md has the fields. */
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "coordinator/engine_private.h"
#include "medsecurefl/scheme.h"
#include "text/json.h"

#include <math.h>

static bool encrypts(const coord_job *j) {
    return strcmp(j->spec.scheme, "plain") != 0;
}

json_t *coord_best_json(const coord_job *j) {
    const bool told = j->spec.test && !job_course_wants_more(&j->course, &j->spec.rule);
    return coord_is_sealed(j) && !told ? json_null() : json_integer(j->course.best_round);
}

json_t *coord_history_figures(const coord_job *j, const coord_history *h) {
    return job_round_json(j->shape, h->train_loss, h->train_accuracy, &h->validation, h->learning_rate);
}

static json_t *round_json(const coord_job *j, const coord_history *h) {
    char model[2 * MSFL_HASH_BYTES + 1];
    msfl_hex(h->model, MSFL_HASH_BYTES, model);
    return json_pack("{s:i,s:I,s:o,s:i,s:o,s:s,s:I,s:I,s:{s:o,s:o,s:o,s:o}}", "round", (int)h->round, "number",
                     (json_int_t)h->number, encrypts(j) ? "encrypted" : "plain", coord_history_figures(j, h), "cohort",
                     (int)h->cohort, "clipped", coord_is_sealed(j) ? json_null() : json_integer((json_int_t)h->clipped),
                     "model", model, "bytes_in", (json_int_t)h->bytes_in, "bytes_out", (json_int_t)h->bytes_out, "ms",
                     "collect", msfl_json_real(h->ms_collect), "certify", msfl_json_real(h->ms_certify), "release",
                     msfl_json_real(h->ms_release), "open", msfl_json_real(h->ms_open));
}

msfl_status coord_write_metrics(const coord_job *j) {
    msfl_buffer lines = {0};
    msfl_status status = MSFL_OK;
    for (uint32_t i = 0; i < j->n_history && status == MSFL_OK; i++) {
        char *line = NULL;
        json_t *round = round_json(j, &j->history[i]);
        status = round == NULL ? MSFL_NO_MEMORY : msfl_json_text(round, true, &line);
        json_decref(round);
        if (status == MSFL_OK) msfl_put_text(&lines, "%s\n", line);
        msfl_free(line);
    }
    char *path = msfl_path_join(j->folder, "metrics.jsonl");
    if (status == MSFL_OK) status = path == NULL ? MSFL_NO_MEMORY : lines.status;
    if (status == MSFL_OK) status = msfl_file_write(path, lines.bytes, lines.length);
    msfl_buffer_clear(&lines);
    msfl_free(path);
    return status;
}

static msfl_status save_model(const coord_job *j, const char *name, uint32_t index) {
    const float *weights = NULL;
    char *path = msfl_format("%s/%s.%s", j->folder, name, j->shape->model != NULL ? "h5" : "f32");
    msfl_status status = path == NULL ? MSFL_NO_MEMORY : coord_job_map(j, index, &weights);
    if (status == MSFL_OK && j->shape->model != NULL) {
        char recipe[2 * MSFL_HASH_BYTES + 1];
        const msfl_model_facts facts = job_spec_facts(&j->spec, recipe);
        status = msfl_model_save(path, j->shape->model, weights, &facts);
    } else if (status == MSFL_OK) {
        status = msfl_file_write(path, weights, j->shape->n_values * sizeof *weights);
    }
    coord_job_unmap(j, weights);
    msfl_free(path);
    return status;
}

static const char *trust(const coord_engine *e, const coord_job *j) {
    const msfl_scheme *plain;
    if (encrypts(j)) {
        return e->members->round == NULL ? "" : msfl_custody_trust(msfl_roster_borrow(e->members->round)->custody);
    }
    return msfl_scheme_find("plain", &plain) == MSFL_OK ? msfl_scheme_trust(plain) : "not encrypted";
}

json_t *coord_test_json(const coord_job *j) {
    if (!j->test.known) return json_null();
    json_t *o = job_test_json(j->shape, &j->test.scores);
    json_object_set_new(o, "n", coord_is_sealed(j) ? json_null() : json_integer((json_int_t)j->test.scores.n));
    return o;
}

static json_t *test_json(const coord_job *j) {
    json_t *o = coord_test_json(j);
    if (json_is_object(o)) json_object_set_new(o, "best_round", coord_best_json(j));
    return o;
}

static json_t *attempts_json(const coord_job *j) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < j->n_attempts; i++) {
        const coord_attempt *a = &j->attempts[i];
        json_array_append_new(list, json_pack("{s:I,s:i,s:s,s:s,s:o,s:I}", "number", (json_int_t)a->number, "round",
                                              (int)a->round, "kind", job_kind_name(a->kind), "outcome", "aborted",
                                              "why", msfl_json_string(a->why), "ended_ms", (json_int_t)a->ended_ms));
    }
    return list;
}

static msfl_status write_result(const coord_engine *e, const coord_job *j, coord_state state, const char *why) {
    char hash[2 * MSFL_HASH_BYTES + 1], head[2 * MSFL_HASH_BYTES + 1], *path = msfl_path_join(j->folder, "result.json");
    msfl_hex(j->hash, MSFL_HASH_BYTES, hash);
    msfl_hex(j->head, MSFL_HASH_BYTES, head);
    json_t *rounds = json_array();
    for (uint32_t i = 0; i < j->n_history; i++)
        json_array_append_new(rounds, round_json(j, &j->history[i]));
    json_t *o = json_pack("{s:s,s:s,s:s,s:s,s:s,s:b,s:s,s:b,s:i,s:i,s:o,s:o,s:o,s:o,s:o,s:{s:i,s:s}}", "version",
                          msfl_version(), "job", j->id, "hash", hash, "state", coord_state_name(state), "scheme",
                          j->spec.scheme, "encrypts", (int)encrypts(j), "trust", trust(e, j), "complete",
                          (int)(state == COORD_DONE), "rounds_done", (int)j->course.n_done, "rounds_planned",
                          (int)j->spec.rule.n_rounds, "stopped", why[0] != 0 ? msfl_json_string(why) : json_null(),
                          "best_round", coord_best_json(j), encrypts(j) ? "encrypted" : "plain", test_json(j), "rounds",
                          rounds, "attempts", attempts_json(j), "audit", "records", (int)j->records, "head", head);
    if (j->shape->n_structures > 0) json_object_set_new(o, "task", json_string("segmentation"));
    msfl_status status = o == NULL || path == NULL ? MSFL_NO_MEMORY : msfl_json_write(path, o);
    json_decref(o);
    msfl_free(path);
    return status;
}

msfl_status coord_write_products(const coord_engine *e, const coord_entry *entry, coord_state state, const char *why) {
    const coord_job *j = entry->job;
    if (coord_is_sealed(j)) return write_result(e, j, state, why); /* the models are the hospitals' */
    msfl_status status = save_model(j, "agg_model", j->course.best_round);
    if (status == MSFL_OK) status = save_model(j, "agg_model_last", j->newest);
    return status == MSFL_OK ? write_result(e, j, state, why) : status;
}
