#include "job/spec.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "job/aggregate.h"
#include "job/pixels.h"
#include "job/spec_fields.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

job_spec job_spec_default(void) {
    job_spec spec = {.scheme = "packed",
                     .delivery = MSFL_DELIVERY_COORDINATOR,
                     .value_bits = 24,
                     .security_bits = 128,
                     .min_cohort = 3,
                     .deadline_s = 3600,
                     .attempts_max = 5,
                     .rule = {.n_rounds = 8, .plateau_patience = 3, .plateau_factor = 0.5},
                     .aggregate = "fedavg",
                     .server_learning_rate = JOB_SERVER_LEARNING_RATE,
                     .train = msfl_train_options_default(),
                     .normalise = "image",
                     .test_fraction = 0.2,
                     .validation_fraction = 0.1,
                     .evaluate = true,
                     .test = true,
                     .seed = 1};
    spec.train.augment = true;
    spec.rule.learning_rate = spec.train.learning_rate;
    return spec;
}

job_stride job_spec_stride(const job_spec *spec, uint32_t round, double learning_rate) {
    return job_stride_of(&spec->rule, spec->server_learning_rate, round, learning_rate);
}

void job_spec_clear(job_spec *spec) {
    msfl_free(spec->model_yaml);
    msfl_free(spec->tensors);
    for (uint32_t i = 0; spec->classes != NULL && i < spec->n_classes; i++)
        msfl_free(spec->classes[i]);
    msfl_free((void *)spec->classes);
    memset(spec, 0, sizeof *spec);
}

/* --- fields --- */

typedef struct reader {
    const char *name;
    const msfl_yaml *at;
} reader;

static bool is_word(const char *text, const char *also) {
    for (; *text != 0; text++) {
        bool letter = (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z');
        bool digit = *text >= '0' && *text <= '9';
        if (!letter && !digit && strchr(also, *text) == NULL) return false;
    }
    return true;
}

static msfl_status text_field(const reader *r, const char *what, size_t max, char *out) {
    const msfl_yaml *n = r->at;
    if (n->kind != MSFL_YAML_SCALAR || n->text[0] == 0 || strlen(n->text) > max || !is_word(n->text, "-_./")) {
        return msfl_yaml_fail(r->name, n, "%s must have 1 to %zu letters, digits, '-', '_', '.' or '/'", what, max);
    }
    memcpy(out, n->text, strlen(n->text) + 1);
    return MSFL_OK;
}

static msfl_status words_field(const reader *r, const char *what, size_t max, char *out) {
    const msfl_yaml *n = r->at;
    if (n->kind != MSFL_YAML_SCALAR || n->text[0] == 0 || strlen(n->text) > max || !is_word(n->text, "-.=,")) {
        return msfl_yaml_fail(r->name, n, "%s must have 1 to %zu letters, digits, '-', '.', '=' or ','", what, max);
    }
    memcpy(out, n->text, strlen(n->text) + 1);
    return MSFL_OK;
}

/* One line of text. */
static msfl_status line_field(const reader *r, const char *what, size_t max, char *out) {
    const msfl_yaml *n = r->at;
    bool good = n->kind == MSFL_YAML_SCALAR && n->text[0] != 0 && strlen(n->text) <= max;
    for (const unsigned char *t = good ? (const unsigned char *)n->text : NULL; t != NULL && *t != 0; t++)
        good = good && *t >= 0x20 && *t != 0x7f;
    if (!good) return msfl_yaml_fail(r->name, n, "%s must be one line of 1 to %zu bytes", what, max);
    memcpy(out, n->text, strlen(n->text) + 1);
    return MSFL_OK;
}

static msfl_status u64_field(const reader *r, const char *what, uint64_t min, uint64_t max, uint64_t *out) {
    double v;
    msfl_status status = msfl_yaml_f64(r->name, r->at, what, (double)min, (double)max, &v);
    if (status != MSFL_OK) return status;
    if (v != floor(v)) return msfl_yaml_fail(r->name, r->at, "%s must be a whole number", what);
    *out = (uint64_t)v;
    return MSFL_OK;
}

static msfl_status f32_field(const reader *r, const char *what, double min, double max, float *out) {
    double v;
    msfl_status status = msfl_yaml_f64(r->name, r->at, what, min, max, &v);
    if (status == MSFL_OK) *out = (float)v;
    return status;
}

static msfl_status hex_field(const reader *r, const char *what, uint8_t out[MSFL_HASH_BYTES]) {
    const char *t = r->at->kind == MSFL_YAML_SCALAR ? r->at->text : "";
    bool good = strlen(t) == (size_t)2 * MSFL_HASH_BYTES && strspn(t, "0123456789abcdef") == strlen(t);
    for (size_t i = 0; good && i < MSFL_HASH_BYTES; i++) {
        const char pair[3] = {t[2 * i], t[2 * i + 1], 0};
        out[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return good ? MSFL_OK : msfl_yaml_fail(r->name, r->at, "%s must be 64 hexadecimal digits", what);
}

static msfl_status choice_field(const reader *r, const char *what, const char *const *choices, uint32_t *out) {
    return msfl_yaml_choice(r->name, r->at, what, choices, out);
}

static const char *const deliveries[] = {"coordinator", "clients", NULL};
static const char *const optimizers[] = {"sgd", "adam", NULL};
static const char *const keeps[] = {"best", "last", NULL};
static const char *const normals[] = {"image", "set", "none", NULL};
static const char *const schemes[] = {"packed", "plain", NULL};

/* What a field's kind does with the node at `r`. */
#define READ_NAME(field, min, max)   text_field(r, what, (size_t)(max), field)
#define READ_LINE(field, min, max)   line_field(r, what, (size_t)(max), field)
#define READ_WORDS(field, min, max)  words_field(r, what, (size_t)(max), field)
#define READ_U32(field, min, max)    msfl_yaml_u32(r->name, r->at, what, (uint32_t)(min), (uint32_t)(max), &(field))
#define READ_U64(field, min, max)    u64_field(r, what, (uint64_t)(min), (uint64_t)(max), &(field))
#define READ_F64(field, min, max)    msfl_yaml_f64(r->name, r->at, what, min, max, &(field))
#define READ_F32(field, min, max)    f32_field(r, what, min, max, &(field))
#define READ_FLAG(field, min, max)   msfl_yaml_bool(r->name, r->at, what, &(field))
#define READ_HASH(field, min, max)   hex_field(r, what, field)
#define READ_SCHEME(field, min, max) copy_choice(r, what, schemes, field)
#define READ_NORMAL(field, min, max) copy_choice(r, what, normals, field)
#define READ_DELIVERY(field, min, max)                                                                                 \
    (status = choice_field(r, what, deliveries, &k), (field) = (msfl_delivery)(k + 1), status)
#define READ_NORMS(field, min, max)                                                                                    \
    (status = choice_field(r, what, job_norms_words, &k), (field) = (job_norms)k, status)
#define READ_SCHEDULE(field, min, max)                                                                                 \
    (status = choice_field(r, what, job_schedule_words, &k), (field) = (job_schedule)k, status)
#define READ_KEEP(field, min, max) (status = choice_field(r, what, keeps, &k), (field) = k == 1, status)
#define READ_OPTIMIZER(field, min, max)                                                                                \
    (status = choice_field(r, what, optimizers, &k), (field) = (msfl_optimizer)k, status)

static msfl_status copy_choice(const reader *r, const char *what, const char *const *choices, char *out) {
    uint32_t k = 0;
    msfl_status status = choice_field(r, what, choices, &k);
    if (status == MSFL_OK) memcpy(out, choices[k], strlen(choices[k]) + 1);
    return status;
}

static msfl_status read_fields(reader *r, const msfl_yaml *root, job_spec *spec) {
    msfl_status status = MSFL_OK;
    uint32_t k = 0;
    const char *what;
#define READ(kind, key, field, min, max)                                                                               \
    what = key;                                                                                                        \
    r->at = msfl_yaml_get(root, what);                                                                                 \
    if (r->at != NULL) status = READ_##kind(spec->field, min, max);                                                    \
    if (status != MSFL_OK) return status;
    JOB_SPEC_FIELDS(READ)
#undef READ
    return status;
}

/* --- lists --- */

static msfl_status read_classes(const reader *r, job_spec *spec) {
    const msfl_yaml *list = r->at;
    if (list->kind != MSFL_YAML_SEQUENCE || list->n < 2 || list->n > JOB_CLASSES_MAX) {
        return msfl_yaml_fail(r->name, list, "classes must be a list of 2 to %d names", JOB_CLASSES_MAX);
    }
    spec->classes = (char **)msfl_alloc(list->n, sizeof *spec->classes);
    if (spec->classes == NULL) return MSFL_NO_MEMORY;
    for (const msfl_yaml *c = list->first; c != NULL; c = c->next) {
        if (c->kind != MSFL_YAML_SCALAR || c->text[0] == 0 || strlen(c->text) > 64) {
            return msfl_yaml_fail(r->name, c, "a class has a name of 1 to 64 bytes");
        }
        for (const unsigned char *t = (const unsigned char *)c->text; *t != 0; t++) {
            if (*t < 0x20 || *t == 0x7f) return msfl_yaml_fail(r->name, c, "a class name is one line of text");
        }
        char *copy = msfl_format("%s", c->text);
        if (copy == NULL) return MSFL_NO_MEMORY;
        spec->classes[spec->n_classes++] = copy;
    }
    return MSFL_OK;
}

static msfl_status read_tensor(const char *name, const msfl_yaml *at, job_tensor *t) {
    static const char *const keys[] = {"name", "shape", "statistic", NULL};
    msfl_status status = msfl_yaml_only(name, at, keys);
    if (status != MSFL_OK) return status;
    reader r = {name, msfl_yaml_get(at, "name")};
    if (r.at == NULL) return msfl_yaml_fail(name, at, "a tensor has a name");
    status = text_field(&r, "name", sizeof t->name - 1, t->name);
    const msfl_yaml *flag = msfl_yaml_get(at, "statistic");
    if (status == MSFL_OK && flag != NULL) status = msfl_yaml_bool(name, flag, "statistic", &t->statistic);
    if (status != MSFL_OK) return status;
    const msfl_yaml *shape = msfl_yaml_get(at, "shape");
    if (shape == NULL || shape->kind != MSFL_YAML_SEQUENCE || shape->n < 1 || shape->n > JOB_RANK_MAX) {
        return msfl_yaml_fail(name, at, "a tensor has a shape of 1 to %d numbers", JOB_RANK_MAX);
    }
    t->count = 1;
    for (const msfl_yaml *n = shape->first; n != NULL; n = n->next) {
        r.at = n;
        status = u64_field(&r, "shape", 1, MSFL_MODEL_VALUES_MAX, &t->shape[t->rank]);
        if (status != MSFL_OK) return status;
        t->count *= t->shape[t->rank++];
        if (t->count > MSFL_MODEL_VALUES_MAX) {
            return msfl_yaml_fail(name, n, "more than %d values", MSFL_MODEL_VALUES_MAX);
        }
    }
    return MSFL_OK;
}

static msfl_status read_tensors(const reader *r, job_spec *spec) {
    const msfl_yaml *list = r->at;
    if (list->kind != MSFL_YAML_SEQUENCE || list->n < 1 || list->n > MSFL_MODEL_TENSORS_MAX) {
        return msfl_yaml_fail(r->name, list, "tensors must be a list of 1 to %d", MSFL_MODEL_TENSORS_MAX);
    }
    spec->tensors = msfl_alloc(list->n, sizeof *spec->tensors);
    if (spec->tensors == NULL) return MSFL_NO_MEMORY;
    uint64_t n_values = 0;
    for (const msfl_yaml *t = list->first; t != NULL; t = t->next) {
        msfl_status status = read_tensor(r->name, t, &spec->tensors[spec->n_tensors]);
        if (status != MSFL_OK) return status;
        n_values += spec->tensors[spec->n_tensors++].count;
        if (n_values > MSFL_MODEL_VALUES_MAX) {
            return msfl_yaml_fail(r->name, t, "more than %d values in all", MSFL_MODEL_VALUES_MAX);
        }
    }
    for (uint32_t i = 0; i < spec->n_tensors; i++) {
        for (uint32_t j = 0; j < i; j++) {
            if (strcmp(spec->tensors[i].name, spec->tensors[j].name) == 0) {
                return msfl_yaml_fail(r->name, list, "two tensors are called '%s'", spec->tensors[i].name);
            }
        }
    }
    return MSFL_OK;
}

/* The network, with all shapes resolved: from then on its description is its canonical text. */
static msfl_status read_model(const reader *r, const msfl_yaml *root, bool trusted, job_spec *spec) {
    static const char *const keys[] = {"height", "width", "channels", "depth", NULL};
    uint32_t size[4] = {0, 0, 0, 0};
    const msfl_yaml *input = msfl_yaml_get(root, "input");
    if (input != NULL) {
        msfl_status status = msfl_yaml_only(r->name, input, keys);
        for (int i = 0; i < 4 && status == MSFL_OK; i++) {
            const msfl_yaml *n = msfl_yaml_get(input, keys[i]);
            if (n != NULL) status = msfl_yaml_u32(r->name, n, keys[i], 1, 4096, &size[i]);
        }
        if (status != MSFL_OK) return status;
    }
    if (r->at->kind != MSFL_YAML_SCALAR) {
        return msfl_yaml_fail(r->name, r->at, "model must be a name, a path, or a description as one text");
    }
    const char *text = r->at->text;
    msfl_model *model = NULL;
    msfl_status status;
    if (strchr(text, '\n') != NULL && size[3] != 0) {
        return msfl_yaml_fail(r->name, input, "depth stands in the description itself, not beside it");
    }
    if (strchr(text, '\n') != NULL) {
        status = msfl_model_parse("model", text, strlen(text), size[0], size[1], size[2], spec->n_classes, &model);
    } else if (!trusted && (strchr(text, '/') != NULL || strchr(text, '.') != NULL)) {
        return msfl_yaml_fail(r->name, r->at, "model must be a name or a description: paths are not opened here");
    } else {
        status = msfl_model_new_volume(text, size[3], size[0], size[1], size[2], spec->n_classes, &model);
    }
    if (status != MSFL_OK) return msfl_fail_in(status, "%s: model", r->name);
    /* As for `simulate`: a volume is as much to learn from as a batch of pictures. */
    if (msfl_model_info_borrow(model)->is_volume && msfl_yaml_get(root, "batch") == NULL) spec->train.batch = 1;
    status = job_pixels_check(r->name, spec, msfl_model_info_borrow(model));
    if (status != MSFL_OK) {
        msfl_model_free(model);
        return status;
    }
    if ((spec->balance || spec->logit_adjustment > 0) && msfl_model_info_borrow(model)->n_classes > JOB_CLASSES_MAX) {
        msfl_model_free(model);
        return msfl_fail(MSFL_ERR_USAGE, "%s: %s: the network has more than %d classes", r->name,
                         spec->balance ? "balance" : "logit_adjustment", JOB_CLASSES_MAX);
    }
    job_sent sent;
    const job_aggregate *rule = NULL;
    status = job_sent_init(model, spec->norms, &sent);
    const char *what = status == MSFL_OK ? "aggregate" : "norms";
    if (status == MSFL_OK) status = job_aggregate_find(spec->aggregate, &rule);
    if (status == MSFL_OK) status = job_aggregate_check(rule, &sent);
    job_sent_clear(&sent);
    if (status != MSFL_OK) {
        msfl_model_free(model);
        return msfl_fail_in(status, "%s: %s", r->name, what);
    }
    spec->model_yaml = msfl_format("%s", msfl_model_yaml(model));
    if (spec->n_classes > 0 && msfl_model_info_borrow(model)->n_classes != spec->n_classes) {
        status = msfl_yaml_fail(r->name, r->at, "the network has %u classes, the job %u",
                                msfl_model_info_borrow(model)->n_classes, spec->n_classes);
    }
    msfl_model_free(model);
    return status == MSFL_OK && spec->model_yaml == NULL ? MSFL_NO_MEMORY : status;
}

/* --- the whole --- */

static msfl_status check_name(const char *name) {
    size_t n = strlen(name);
    bool good = n >= 1 && n <= JOB_NAME_MAX && name[0] != '-' && name[n - 1] != '-' && strstr(name, "--") == NULL;
    for (size_t i = 0; good && i < n; i++)
        good = (name[i] >= 'a' && name[i] <= 'z') || (name[i] >= '0' && name[i] <= '9') || name[i] == '-';
    return good ? MSFL_OK
                : msfl_fail(MSFL_ERR_FORMAT,
                            "a job's name has 1 to %d lower-case letters, digits and single '-' inside, not '%.50s'",
                            JOB_NAME_MAX, name);
}

msfl_model_facts job_spec_facts(const job_spec *spec, char recipe[2 * MSFL_HASH_BYTES + 1]) {
    static const uint8_t none[MSFL_HASH_BYTES];
    const bool named = memcmp(spec->recipe, none, sizeof none) != 0;
    msfl_hex(spec->recipe, MSFL_HASH_BYTES, recipe);
    return (msfl_model_facts){.class_names = (const char *const *)spec->classes,
                              .normalise = spec->normalise,
                              .recipe = named ? recipe : NULL,
                              .recipe_name = named && spec->recipe_name[0] != 0 ? spec->recipe_name : NULL};
}

msfl_status job_spec_augment(const job_spec *spec, msfl_augment *out) {
    *out = msfl_augment_default();
    msfl_status status = spec->augmentation[0] == 0 ? MSFL_OK : msfl_augment_parse(spec->augmentation, out);
    out->flip_horizontal = out->flip_horizontal || spec->flip_horizontal;
    return status;
}

static msfl_status check(const char *name, const job_spec *spec) {
    const job_aggregate *rule;
    msfl_augment augment;
    msfl_status status = check_name(spec->name);
    if (status == MSFL_OK) {
        status = job_spec_augment(spec, &augment);
        if (status != MSFL_OK) return msfl_fail_in(status, "%s", name);
    }
    if (status == MSFL_OK) status = job_aggregate_find(spec->aggregate, &rule);
    if (status != MSFL_OK) return status;
    if (spec->test_fraction + spec->validation_fraction >= 0.9) {
        return msfl_fail(MSFL_ERR_USAGE, "%s: test and validation fractions of %g and %g leave too little to train on",
                         name, spec->test_fraction, spec->validation_fraction);
    }
    if (spec->target_cohort != 0 && spec->target_cohort < spec->min_cohort) {
        return msfl_fail(MSFL_ERR_USAGE, "%s: a target_cohort of %u below the min_cohort of %u", name,
                         spec->target_cohort, spec->min_cohort);
    }
    status = job_rule_check(&spec->rule);
    if (status != MSFL_OK) return msfl_fail_in(status, "%s: average_rounds", name);
    if (spec->rule.n_averaged > 0 && spec->norms != JOB_NORMS_SHARED) {
        return msfl_fail(MSFL_ERR_USAGE,
                         "%s: average_rounds and norms: layers that hospitals keep for themselves are in no mean",
                         name);
    }
    if (spec->train.focal > 0 && spec->train.label_smoothing > 0) {
        return msfl_fail(MSFL_ERR_USAGE, "%s: focal loss and label smoothing exclude each other", name);
    }
    if (spec->train.n_steps > 0 && spec->train.n_epochs != 1) {
        return msfl_fail(MSFL_ERR_USAGE, "%s: local_steps is said instead of local_epochs, not beside it", name);
    }
    if (spec->n_tensors > 0) status = job_pixels_check(name, spec, NULL);
    if (status != MSFL_OK) return status;
    for (uint32_t i = 0; i < spec->n_tensors && rule->n_moments > 0; i++) {
        if (!spec->tensors[i].statistic) continue;
        return msfl_fail(MSFL_ERR_USAGE,
                         "%s: aggregate %s and a statistic, tensor '%s': only fedavg averages it rightly", name,
                         rule->name, spec->tensors[i].name);
    }
    if (spec->norms != JOB_NORMS_SHARED && spec->n_tensors > 0) {
        return msfl_fail(MSFL_ERR_USAGE, "%s: norms needs a network, whose normalisation layers are known", name);
    }
    if (spec->samples_max == 0) {
        return msfl_fail(MSFL_ERR_USAGE,
                         "%s: samples_max is missing: a bound that the whole federation may know on the training "
                         "images of any one hospital, such as 4096 (a closer bound keeps more precision)",
                         name);
    }
    static const uint8_t none[MSFL_HASH_BYTES];
    if (spec->recipe_name[0] != 0 && memcmp(spec->recipe, none, sizeof none) == 0) {
        return msfl_fail(MSFL_ERR_USAGE, "%s: recipe_name without recipe, the hash that counts", name);
    }
    if (spec->nonce[0] != 0 && (strlen(spec->nonce) != 32 || strspn(spec->nonce, "0123456789abcdef") != 32)) {
        return msfl_fail(MSFL_ERR_FORMAT, "%s: nonce must be 32 hexadecimal digits", name);
    }
    return MSFL_OK;
}

static msfl_status read_root(reader *r, const msfl_yaml *root, bool trusted, job_spec *spec) {
#define KEY(kind, key, field, min, max) key,
    static const char *const keys[] = {
        JOB_SPEC_FIELDS(KEY) "format", "version", "model", "input", "classes", "tensors", NULL};
#undef KEY
    msfl_status status = msfl_yaml_only(r->name, root, keys);
    if (status != MSFL_OK) return status;
    const msfl_yaml *format = msfl_yaml_get(root, "format"), *version = msfl_yaml_get(root, "version");
    if (format == NULL || format->kind != MSFL_YAML_SCALAR || strcmp(format->text, "medsecurefl-job") != 0) {
        return msfl_yaml_fail(r->name, format == NULL ? root : format, "'format: medsecurefl-job' is missing");
    }
    uint32_t number;
    if (version == NULL) return msfl_yaml_fail(r->name, root, "'version: 1' is missing");
    status = msfl_yaml_u32(r->name, version, "version", 1, 1, &number);
    if (status == MSFL_OK) status = read_fields(r, root, spec);
    r->at = msfl_yaml_get(root, "classes");
    if (status == MSFL_OK && r->at != NULL) status = read_classes(r, spec);
    if (status != MSFL_OK) return status;
    const msfl_yaml *tensors = msfl_yaml_get(root, "tensors");
    r->at = msfl_yaml_get(root, "model");
    if ((tensors == NULL) == (r->at == NULL)) {
        return msfl_yaml_fail(r->name, root, "a job has either a model or tensors");
    }
    if (tensors != NULL) {
        r->at = tensors;
        return read_tensors(r, spec);
    }
    return read_model(r, root, trusted, spec);
}

msfl_status job_spec_parse(const char *name, const char *text, size_t length, bool trusted, job_spec *out) {
    msfl_yaml *root;
    *out = job_spec_default();
    msfl_status status = msfl_yaml_parse(name, text, length, &root);
    if (status != MSFL_OK) return status;
    reader r = {name, root};
    status = read_root(&r, root, trusted, out);
    out->rule.learning_rate = out->train.learning_rate;
    if (status == MSFL_OK) status = check(name, out);
    msfl_yaml_free(root);
    return status;
}

/* --- names --- */

void job_hash(const char *text, size_t length, uint8_t out[MSFL_HASH_BYTES]) {
    msfl_hash h;
    msfl_hash_init(&h, "msfl.job.v1");
    msfl_hash_add_field(&h, text, length);
    msfl_hash_final(&h, out);
}

void job_task(const uint8_t job[MSFL_HASH_BYTES], const uint8_t roster[MSFL_HASH_BYTES], uint8_t out[MSFL_HASH_BYTES]) {
    msfl_hash h;
    msfl_hash_init(&h, "msfl.job.task.v1");
    msfl_hash_add(&h, job, MSFL_HASH_BYTES);
    msfl_hash_add(&h, roster, MSFL_HASH_BYTES);
    msfl_hash_final(&h, out);
}

void job_id(const job_spec *spec, const uint8_t job[MSFL_HASH_BYTES], char out[JOB_ID_MAX + 1]) {
    char digits[9];
    msfl_hex(job, 4, digits);
    snprintf(out, JOB_ID_MAX + 1, "%s-%s", spec->name, digits);
}
