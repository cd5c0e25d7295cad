/* A description as canonical JSON: the same for the same content, so that its hash names it. */
#include "base/error.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "job/spec.h"
#include "job/spec_fields.h"
#include "text/json.h"

#include <stdio.h>
#include <stdlib.h>

/* A float by the fewest decimals that give it back. */
static json_t *shortest(float v) {
    char text[32];
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)v);
        if (strtof(text, NULL) == v) break;
    }
    return json_real(strtod(text, NULL));
}

static json_t *hex(const uint8_t bytes[MSFL_HASH_BYTES]) {
    char text[2 * MSFL_HASH_BYTES + 1];
    msfl_hex(bytes, MSFL_HASH_BYTES, text);
    return json_string(text);
}

#define TO_NAME(v)      json_string(v)
#define TO_LINE(v)      json_string(v)
#define TO_WORDS(v)     json_string(v)
#define TO_SCHEME(v)    json_string(v)
#define TO_NORMAL(v)    json_string(v)
#define TO_U32(v)       json_integer((json_int_t)(v))
#define TO_U64(v)       json_integer((json_int_t)(v))
#define TO_F64(v)       json_real(v)
#define TO_F32(v)       shortest(v)
#define TO_FLAG(v)      json_boolean(v)
#define TO_HASH(v)      hex(v)
#define TO_DELIVERY(v)  json_string((v) == MSFL_DELIVERY_CLIENTS ? "clients" : "coordinator")
#define TO_NORMS(v)     json_string(job_norms_words[v])
#define TO_SCHEDULE(v)  json_string(job_schedule_words[v])
#define TO_KEEP(v)      json_string((v) ? "last" : "best")
#define TO_OPTIMIZER(v) json_string((v) == MSFL_ADAM ? "adam" : "sgd")

static bool is_zero(const uint8_t hash[MSFL_HASH_BYTES]) {
    static const uint8_t zero[MSFL_HASH_BYTES];
    return msfl_equal(hash, zero, sizeof zero);
}

static json_t *tensors_json(const job_spec *spec) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < spec->n_tensors; i++) {
        const job_tensor *t = &spec->tensors[i];
        json_t *shape = json_array(), *object = json_object();
        for (uint32_t k = 0; k < t->rank; k++)
            json_array_append_new(shape, json_integer((json_int_t)t->shape[k]));
        json_object_set_new(object, "name", json_string(t->name));
        json_object_set_new(object, "shape", shape);
        json_object_set_new(object, "statistic", json_boolean(t->statistic));
        json_array_append_new(list, object);
    }
    return list;
}

static json_t *spec_json(const job_spec *spec) {
    json_t *o = json_object();
#define PUT(kind, key, field, min, max) json_object_set_new(o, key, TO_##kind(spec->field));
    JOB_SPEC_FIELDS(PUT)
#undef PUT
    if (spec->nonce[0] == 0) json_object_del(o, "nonce");
    if (is_zero(spec->initial)) json_object_del(o, "initial");
    if (is_zero(spec->recipe)) json_object_del(o, "recipe");
    if (spec->recipe_name[0] == 0) json_object_del(o, "recipe_name");
    /* Fields that came later are not there at their defaults: a description keeps its hash. */
    if (spec->augmentation[0] == 0) json_object_del(o, "augmentation");
    if (spec->train.dice == msfl_train_options_default().dice) json_object_del(o, "dice");
    if (!spec->balance) json_object_del(o, "balance");
    if (spec->norms == JOB_NORMS_SHARED) json_object_del(o, "norms");
    if (spec->train.focal == 0) json_object_del(o, "focal");
    if (spec->train.proximal == 0) json_object_del(o, "proximal");
    if (spec->train.n_steps == 0) json_object_del(o, "local_steps");
    if (spec->logit_adjustment == 0) json_object_del(o, "logit_adjustment");
    if (spec->rule.n_averaged == 0) json_object_del(o, "average_rounds");
    if (!spec->rule.keeps_last) json_object_del(o, "keep");
    if (spec->rule.schedule == JOB_SCHEDULE_CONSTANT) json_object_del(o, "schedule");
    if (spec->server_learning_rate == JOB_SERVER_LEARNING_RATE) json_object_del(o, "server_learning_rate");
    json_object_set_new(o, "format", json_string("medsecurefl-job"));
    json_object_set_new(o, "version", json_integer(1));
    if (spec->model_yaml != NULL) json_object_set_new(o, "model", json_string(spec->model_yaml));
    if (spec->n_tensors > 0) json_object_set_new(o, "tensors", tensors_json(spec));
    if (spec->n_classes > 0) {
        json_t *list = json_array();
        for (uint32_t i = 0; i < spec->n_classes; i++)
            json_array_append_new(list, json_string(spec->classes[i]));
        json_object_set_new(o, "classes", list);
    }
    return o;
}

msfl_status job_spec_text(const job_spec *spec, char **text) {
    *text = NULL;
    json_t *o = spec_json(spec);
    char *dumped = o == NULL ? NULL : json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(o);
    if (dumped == NULL) return MSFL_NO_MEMORY;
    *text = msfl_format("%s", dumped);
    free(dumped);
    return *text == NULL ? MSFL_NO_MEMORY : MSFL_OK;
}
