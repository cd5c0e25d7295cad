#include "client/policy.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "text/yaml.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

client_policy client_policy_default(void) {
    return (client_policy){.packed = true,
                           .committee = true,
                           .authority = true,
                           .to_coordinator = true,
                           .to_clients = true,
                           .min_cohort = 3,
                           .security_bits = 128,
                           .sums_per_job = 500,
                           .sums_per_day = 500,
                           .values_max = 50000000,
                           .images_min = 1,
                           .brought_weights = true,
                           .trainers = CLIENT_BUILTIN | CLIENT_COMMAND,
                           .any_model = true};
}

void client_policy_clear(client_policy *p) {
    for (uint32_t i = 0; i < p->n_models; i++)
        msfl_free(p->models[i]);
    memset(p, 0, sizeof *p);
}

/* --- the file --- */

typedef struct word {
    const char *text;
    uint32_t bit;
} word;

/* A list of words, each of which is a bit; replaces what `bits` was. */
static msfl_status words(const char *name, const msfl_yaml *map, const char *key, const word *known, uint32_t *bits) {
    const msfl_yaml *list = msfl_yaml_get(map, key);
    if (list == NULL) return MSFL_OK;
    if (list->kind != MSFL_YAML_SEQUENCE) return msfl_yaml_fail(name, list, "%s is a list", key);
    *bits = 0;
    for (const msfl_yaml *at = list->first; at != NULL; at = at->next) {
        const word *w = known;
        while (w->text != NULL && (at->kind != MSFL_YAML_SCALAR || strcmp(at->text, w->text) != 0))
            w++;
        if (w->text == NULL) {
            return msfl_yaml_fail(name, at, "'%s' is not known for %s: %s, %s%s%s",
                                  at->kind == MSFL_YAML_SCALAR ? at->text : "...", key, known[0].text, known[1].text,
                                  known[2].text != NULL ? ", " : "", known[2].text != NULL ? known[2].text : "");
        }
        *bits |= w->bit;
    }
    return MSFL_OK;
}

static msfl_status number(const char *name, const msfl_yaml *map, const char *key, uint32_t min, uint32_t max,
                          uint32_t *out) {
    const msfl_yaml *node = msfl_yaml_get(map, key);
    return node == NULL ? MSFL_OK : msfl_yaml_u32(name, node, key, min, max, out);
}

static msfl_status read_models(const char *name, const msfl_yaml *list, client_policy *p) {
    if (list == NULL) return MSFL_OK;
    if (list->kind == MSFL_YAML_SCALAR && strcmp(list->text, "any") == 0) return MSFL_OK;
    p->any_model = false;
    if (list->kind != MSFL_YAML_SEQUENCE || list->n > CLIENT_MODELS_MAX) {
        return msfl_yaml_fail(name, list, "models is 'any', or a list of at most %d names and hashes",
                              CLIENT_MODELS_MAX);
    }
    for (const msfl_yaml *at = list->first; at != NULL; at = at->next) {
        if (at->kind != MSFL_YAML_SCALAR) return msfl_yaml_fail(name, at, "a model is a name or a hash");
        p->models[p->n_models] = msfl_strdup(at->text);
        if (p->models[p->n_models] == NULL) return MSFL_NO_MEMORY;
        p->n_models++;
    }
    return MSFL_OK;
}

msfl_status client_policy_parse(const char *name, const char *text, size_t length, client_policy *out) {
    static const char *const keys[] = {
        "schemes",      "custody",      "delivery",        "min_cohort",      "security_bits",
        "sums_per_job", "sums_per_day", "values_max",      "models",          "trainers",
        "second_sums",  "images_min",   "samples_max_min", "brought_weights", NULL};
    static const word schemes[] = {{"packed", 1}, {"plain", 2}, {NULL, 0}};
    static const word custodies[] = {{"committee", 1}, {"authority", 2}, {"coordinator", 4}, {NULL, 0}};
    static const word deliveries[] = {{"coordinator", 1}, {"clients", 2}, {NULL, 0}};
    static const word trainers[] = {{"built-in", CLIENT_BUILTIN}, {"command", CLIENT_COMMAND}, {NULL, 0}};
    uint32_t scheme = 1, custody = 3, delivery = 3, values = 0;
    *out = client_policy_default();
    msfl_yaml *root;
    msfl_status status = msfl_yaml_parse(name, text, length, &root);
    if (status != MSFL_OK) return status;
    values = (uint32_t)out->values_max;
    status = msfl_yaml_only(name, root, keys);
    if (status == MSFL_OK) status = words(name, root, "schemes", schemes, &scheme);
    if (status == MSFL_OK) status = words(name, root, "custody", custodies, &custody);
    if (status == MSFL_OK) status = words(name, root, "delivery", deliveries, &delivery);
    if (status == MSFL_OK) status = words(name, root, "trainers", trainers, &out->trainers);
    if (status == MSFL_OK) status = number(name, root, "min_cohort", 2, MSFL_CLIENTS_MAX, &out->min_cohort);
    if (status == MSFL_OK) status = number(name, root, "security_bits", 128, 256, &out->security_bits);
    if (status == MSFL_OK) status = number(name, root, "sums_per_job", 0, 1000000, &out->sums_per_job);
    if (status == MSFL_OK) status = number(name, root, "sums_per_day", 0, 1000000, &out->sums_per_day);
    if (status == MSFL_OK) status = number(name, root, "values_max", 1, UINT32_MAX, &values);
    if (status == MSFL_OK) status = number(name, root, "images_min", 1, UINT32_MAX, &out->images_min);
    if (status == MSFL_OK) status = number(name, root, "samples_max_min", 1, UINT32_MAX, &out->samples_max_min);
    if (status == MSFL_OK) status = read_models(name, msfl_yaml_get(root, "models"), out);
    const msfl_yaml *second = msfl_yaml_get(root, "second_sums");
    if (status == MSFL_OK && second != NULL) {
        status = msfl_yaml_bool(name, second, "second_sums", &out->second_sums);
    }
    const msfl_yaml *brought = msfl_yaml_get(root, "brought_weights");
    if (status == MSFL_OK && brought != NULL) {
        status = msfl_yaml_bool(name, brought, "brought_weights", &out->brought_weights);
    }
    out->packed = (scheme & 1) != 0;
    out->plain = (scheme & 2) != 0;
    out->committee = (custody & 1) != 0;
    out->authority = (custody & 2) != 0;
    out->coordinator = (custody & 4) != 0;
    out->to_coordinator = (delivery & 1) != 0;
    out->to_clients = (delivery & 2) != 0;
    out->values_max = values;
    out->from_file = true;
    msfl_yaml_free(root);
    return status;
}

msfl_status client_policy_read(const char *folder, client_policy *out) {
    uint8_t *text = NULL;
    size_t length;
    *out = client_policy_default();
    char *path = msfl_path_join(folder, CLIENT_FILE_POLICY);
    if (path == NULL) return MSFL_NO_MEMORY;
    msfl_status status = msfl_file_read(path, MSFL_YAML_BYTES_MAX, &text, &length);
    /* A file that is there and cannot be read is not the same as none: then the operator wanted something. */
    if (status == MSFL_ERR_MISSING) {
        status = MSFL_OK;
    } else if (status == MSFL_OK) {
        status = client_policy_parse(path, (const char *)text, length, out);
    }
    msfl_free(text);
    msfl_free(path);
    return status;
}

char *client_policy_text(const client_policy *p) {
    char models[32] = "any";
    if (!p->any_model) (void)snprintf(models, sizeof models, "%" PRIu32 " named", p->n_models);
    return msfl_format(
        "%s: schemes%s%s; custody%s%s%s; delivery%s%s; %" PRIu32 " hospitals or more; %" PRIu32
        " bits; at most %" PRIu32 " sums of a job and %" PRIu32 " a day; %" PRIu64
        " values; models: %s; trainers%s%s%s; updates of %" PRIu32 " images or more%s",
        p->from_file ? "policy.yaml" : "no policy.yaml, so the strict defaults", p->packed ? " packed" : "",
        p->plain ? " plain (NOT encrypted)" : "", p->committee ? " committee" : "", p->authority ? " authority" : "",
        p->coordinator ? " coordinator (which could open single updates)" : "", p->to_coordinator ? " coordinator" : "",
        p->to_clients ? " clients" : "", p->min_cohort, p->security_bits, p->sums_per_job, p->sums_per_day,
        p->values_max, models, (p->trainers & CLIENT_BUILTIN) != 0 ? " built-in" : "",
        (p->trainers & CLIENT_COMMAND) != 0 ? " command" : "",
        p->second_sums ? "; second sums on a model (which can open single updates)" : "", p->images_min,
        p->brought_weights ? "" : "; no weights that were brought");
}

/* --- a job --- */

#define REFUSE(rule, ...) msfl_fail(MSFL_ERR_POLICY, "policy " rule ": " __VA_ARGS__)

msfl_status client_policy_duty(const client_policy *p, const job_spec *spec, const msfl_roster_info *roster) {
    const bool packed = strcmp(spec->scheme, "packed") == 0, plain = strcmp(spec->scheme, "plain") == 0;
    if (!(packed && p->packed) && !(plain && p->plain)) {
        return REFUSE("schemes", "'%s' is not allowed%s", spec->scheme,
                      plain ? ": the updates would leave this hospital unencrypted" : "");
    }
    const bool held = (roster->custody == MSFL_CUSTODY_COMMITTEE && p->committee) ||
                      (roster->custody == MSFL_CUSTODY_AUTHORITY && p->authority) ||
                      (roster->custody == MSFL_CUSTODY_COORDINATOR && p->coordinator);
    if (packed && !held) {
        return REFUSE("custody", "keys held by %s are not allowed (%s)", msfl_custody_name(roster->custody),
                      msfl_custody_trust(roster->custody));
    }
    if (!(spec->delivery == MSFL_DELIVERY_COORDINATOR && p->to_coordinator) &&
        !(spec->delivery == MSFL_DELIVERY_CLIENTS && p->to_clients)) {
        return REFUSE("delivery", "sums that the %s opens are not allowed",
                      spec->delivery == MSFL_DELIVERY_CLIENTS ? "hospitals" : "coordinator");
    }
    if (spec->min_cohort < p->min_cohort) {
        return REFUSE("min_cohort", "the job opens sums of %" PRIu32 " hospitals, %" PRIu32 " are wanted",
                      spec->min_cohort, p->min_cohort);
    }
    if (packed && spec->security_bits < p->security_bits) {
        return REFUSE("security_bits", "the job has %" PRIu32 " bits, %" PRIu32 " are wanted", spec->security_bits,
                      p->security_bits);
    }
    return MSFL_OK;
}

/* A name stands for the built-in network of that name alone: anybody may call a network "cnn-small". */
static bool is_named(const char *name, const msfl_model *model, const char *hex) {
    if (strcmp(name, hex) == 0) return true;
    const msfl_model_info *info = msfl_model_info_borrow(model);
    if (strcmp(info->name, name) != 0 || strchr(name, '/') != NULL || strchr(name, '.') != NULL) return false;
    msfl_model *ours;
    uint8_t a[MSFL_HASH_BYTES], b[MSFL_HASH_BYTES];
    if (msfl_model_new_volume(name, info->depth, info->height, info->width, info->channels, info->n_classes, &ours) !=
        MSFL_OK) {
        return false;
    }
    msfl_model_hash(ours, a);
    msfl_model_hash(model, b);
    msfl_model_free(ours);
    return memcmp(a, b, sizeof a) == 0;
}

static msfl_status check_model(const client_policy *p, const job_shape *shape) {
    if (p->any_model) return MSFL_OK;
    char hex[2 * MSFL_HASH_BYTES + 1] = "tensors";
    if (shape->model != NULL) {
        uint8_t hash[MSFL_HASH_BYTES];
        msfl_model_hash(shape->model, hash);
        msfl_hex(hash, sizeof hash, hex);
    }
    for (uint32_t i = 0; i < p->n_models; i++) {
        if (shape->model == NULL ? strcmp(p->models[i], hex) == 0 : is_named(p->models[i], shape->model, hex)) {
            return MSFL_OK;
        }
    }
    return REFUSE("models", "the network '%s' with hash %s is not among those allowed",
                  shape->model == NULL ? "tensors" : msfl_model_info_borrow(shape->model)->name, hex);
}

/* Steps of a few images, with weights made for it, leave these images in the update as they are. */
msfl_status client_policy_update(const client_policy *p, const job_spec *spec, uint64_t n_samples) {
    const uint64_t steps = spec->train.n_steps, seen = steps * spec->train.batch;
    const uint64_t n = steps > 0 && seen < n_samples ? seen : n_samples;
    if (n >= p->images_min) return MSFL_OK;
    return REFUSE("images_min", "an update would be made of fewer than %" PRIu32 " images", p->images_min);
}

/* Of what the job says; what of it rests on this hospital's images is asked before each update. */
static msfl_status check_training(const client_policy *p, const job_spec *spec) {
    static const uint8_t none[MSFL_HASH_BYTES];
    if (spec->samples_max < p->samples_max_min) {
        return REFUSE("samples_max_min", "the job bounds a hospital's images by %" PRIu64 ", %" PRIu32 " are wanted",
                      spec->samples_max, p->samples_max_min);
    }
    if (!p->brought_weights && memcmp(spec->initial, none, sizeof none) != 0) {
        return REFUSE("brought_weights", "the job begins with weights that somebody brought");
    }
    return client_policy_update(p, spec, UINT64_MAX);
}

static uint64_t sums_of(const job_spec *spec) {
    return (uint64_t)spec->rule.n_rounds * (spec->evaluate ? 2 : 1) + (spec->test ? 1 : 0);
}

msfl_status client_policy_job(const client_policy *p, const job_shape *shape, const msfl_roster_info *roster,
                              client_trainer_kind trainer) {
    const job_spec *spec = shape->spec;
    msfl_status status = client_policy_duty(p, spec, roster);
    if (status == MSFL_OK) status = check_model(p, shape);
    if (status != MSFL_OK) return status;
    if (shape->n_values > p->values_max) {
        return REFUSE("values_max", "the network has %" PRIu64 " values, %" PRIu64 " are allowed", shape->n_values,
                      p->values_max);
    }
    status = check_training(p, spec);
    if (status != MSFL_OK) return status;
    if (sums_of(spec) > p->sums_per_job) {
        return REFUSE("sums_per_job", "the job takes %" PRIu64 " sums, %" PRIu32 " are allowed", sums_of(spec),
                      p->sums_per_job);
    }
    if ((p->trainers & (uint32_t)trainer) == 0) {
        return REFUSE("trainers", "%s is not allowed",
                      trainer == CLIENT_COMMAND ? "a command that trains" : "the built-in trainer");
    }
    if (trainer == CLIENT_BUILTIN && shape->model == NULL) {
        return msfl_fail(MSFL_ERR_UNSUPPORTED,
                         "the job's network is known by its tensors alone: name a trainer in site.yaml");
    }
    return MSFL_OK;
}

/* --- a round --- */

#define LIES(...) msfl_fail(MSFL_ERR_MISMATCH, "not what the job's description says: " __VA_ARGS__)

static bool same_params(const msfl_params *a, const msfl_params *b) {
    bool same = a->ring_degree == b->ring_degree && a->n_primes == b->n_primes &&
                a->security_bits == b->security_bits && a->n_clients == b->n_clients &&
                a->value_bits == b->value_bits && a->slot_bits == b->slot_bits &&
                a->slots_per_coefficient == b->slots_per_coefficient && a->log_t == b->log_t;
    for (uint32_t i = 0; same && i < a->n_primes && i < MSFL_PRIMES_MAX; i++)
        same = a->primes[i] == b->primes[i];
    return same;
}

static msfl_status check_announcement(const job_shape *shape, const msfl_roster_info *roster,
                                      const msfl_announcement *a, const job_plan *plan) {
    const job_spec *spec = shape->spec;
    msfl_params params;
    msfl_status status = job_shape_params(shape, roster, &params);
    if (status != MSFL_OK) return status;
    const uint64_t slots = plan->kind == JOB_UPDATE ? shape->update_slots : shape->evaluation_slots;
    if (a->info.number != plan->number) {
        return LIES("the plan of round %" PRIu64 " where %" PRIu64 " was announced", plan->number, a->info.number);
    }
    if (a->info.min_cohort != spec->min_cohort) {
        return LIES("a minimum of %" PRIu32 " hospitals where %" PRIu32 " were described", a->info.min_cohort,
                    spec->min_cohort);
    }
    if (a->delivery != spec->delivery) return LIES("the sum would be delivered to another party");
    if (a->info.n_clients != roster->n_clients) {
        return LIES("%" PRIu32 " hospitals, the roster has %" PRIu32, a->info.n_clients, roster->n_clients);
    }
    if (a->info.n_values != slots) {
        return LIES("a vector of %" PRIu64 " values instead of %" PRIu64, a->info.n_values, slots);
    }
    if (!same_params(&a->info.params, &params)) return LIES("other encryption parameters than follow from it");
    return MSFL_OK;
}

static msfl_status check_plan(const job_shape *shape, const job_plan *plan) {
    const job_spec *spec = shape->spec;
    if (plan->kind == JOB_EVALUATE && !spec->evaluate) return LIES("figures of validation images are asked for");
    if (plan->kind == JOB_TEST && !spec->test) return LIES("figures of test images are asked for");
    if (plan->round > spec->rule.n_rounds) {
        return LIES("round %" PRIu32 " of %" PRIu32, plan->round, spec->rule.n_rounds);
    }
    if (plan->kind == JOB_UPDATE &&
        !(plan->learning_rate > 0 && plan->learning_rate <= spec->rule.learning_rate * (1 + 1e-9))) {
        return LIES("a learning rate of %g where %g is the highest", plan->learning_rate, spec->rule.learning_rate);
    }
    return MSFL_OK;
}

msfl_status client_policy_round(const client_policy *p, const job_shape *shape, const msfl_roster_info *roster,
                                const msfl_announcement *a, const job_plan *plan, const client_tally *tally) {
    msfl_status status = check_announcement(shape, roster, a, plan);
    return status == MSFL_OK ? client_policy_plan(p, shape, plan, tally) : status;
}

msfl_status client_policy_plan(const client_policy *p, const job_shape *shape, const job_plan *plan,
                               const client_tally *tally) {
    msfl_status status = check_plan(shape, plan);
    if (status != MSFL_OK) return status;
    if (tally->of_job >= p->sums_per_job) {
        return REFUSE("sums_per_job", "%" PRIu32 " sums of this job are the most", p->sums_per_job);
    }
    if (tally->of_day >= p->sums_per_day) {
        return REFUSE("sums_per_day", "%" PRIu32 " sums a day are the most", p->sums_per_day);
    }
    return MSFL_OK;
}
