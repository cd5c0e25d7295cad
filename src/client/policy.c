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
                           .bounds = client_bounds_default(),
                           .brought = CLIENT_BROUGHT_TENSORS,
                           .trainers = CLIENT_BUILTIN | CLIENT_COMMAND,
                           .builtin_models = true,
                           .tensors = true};
}

void client_policy_clear(client_policy *p) {
    for (uint32_t i = 0; i < p->n_models; i++)
        msfl_free(p->models[i]);
    memset(p, 0, sizeof *p);
}

/* --- the file --- */

static msfl_status number(const char *name, const msfl_yaml *map, const char *key, uint32_t min, uint32_t max,
                          uint32_t *out) {
    const msfl_yaml *node = msfl_yaml_get(map, key);
    return node == NULL ? MSFL_OK : msfl_yaml_u32(name, node, key, min, max, out);
}

static msfl_status read_models(const char *name, const msfl_yaml *list, client_policy *p) {
    if (list == NULL) return MSFL_OK;
    if (list->kind == MSFL_YAML_SCALAR && strcmp(list->text, "any") == 0) {
        p->any_model = true;
        return MSFL_OK;
    }
    p->builtin_models = p->tensors = false;
    if (list->kind != MSFL_YAML_SEQUENCE || list->n > CLIENT_MODELS_MAX) {
        return msfl_yaml_fail(name, list, "models is 'any', or a list of at most %d names and hashes",
                              CLIENT_MODELS_MAX);
    }
    for (const msfl_yaml *at = list->first; at != NULL; at = at->next) {
        if (at->kind != MSFL_YAML_SCALAR) return msfl_yaml_fail(name, at, "a model is a name or a hash");
        const bool builtin = strcmp(at->text, "built-in") == 0, tensors = strcmp(at->text, "tensors") == 0;
        p->builtin_models = p->builtin_models || builtin;
        p->tensors = p->tensors || tensors;
        if (builtin || tensors) continue;
        p->models[p->n_models] = msfl_strdup(at->text);
        if (p->models[p->n_models] == NULL) return MSFL_NO_MEMORY;
        p->n_models++;
    }
    return MSFL_OK;
}

static msfl_status read_brought(const char *name, const msfl_yaml *node, client_policy *p) {
    bool always;
    if (node == NULL) return MSFL_OK;
    if (node->kind == MSFL_YAML_SCALAR && strcmp(node->text, "tensors") == 0) {
        p->brought = CLIENT_BROUGHT_TENSORS;
        return MSFL_OK;
    }
    msfl_status status = msfl_yaml_bool(name, node, "brought_weights ('tensors', or)", &always);
    if (status == MSFL_OK) p->brought = always ? CLIENT_BROUGHT_ALWAYS : CLIENT_BROUGHT_NEVER;
    return status;
}

msfl_status client_policy_parse(const char *name, const char *text, size_t length, client_policy *out) {
    static const char *const keys[] = {CLIENT_BOUNDS_KEYS "schemes",
                                       "custody",
                                       "delivery",
                                       "min_cohort",
                                       "security_bits",
                                       "sums_per_job",
                                       "sums_per_day",
                                       "values_max",
                                       "models",
                                       "trainers",
                                       "second_sums",
                                       "brought_weights",
                                       NULL};
    static const char *const schemes[] = {"packed", "plain", NULL};
    static const char *const custodies[] = {"committee", "authority", "coordinator", NULL};
    static const char *const deliveries[] = {"coordinator", "clients", NULL};
    static const char *const trainers[] = {"built-in", "command", NULL}; /* the bits of client_trainer_kind */
    uint32_t scheme = 1, custody = 3, delivery = 3, values = 0;
    *out = client_policy_default();
    msfl_yaml *root;
    msfl_status status = msfl_yaml_parse(name, text, length, &root);
    if (status != MSFL_OK) return status;
    values = (uint32_t)out->values_max;
    status = msfl_yaml_only(name, root, keys);
    if (status == MSFL_OK) status = client_words_read(name, root, "schemes", schemes, &scheme);
    if (status == MSFL_OK) status = client_words_read(name, root, "custody", custodies, &custody);
    if (status == MSFL_OK) status = client_words_read(name, root, "delivery", deliveries, &delivery);
    if (status == MSFL_OK) status = client_words_read(name, root, "trainers", trainers, &out->trainers);
    if (status == MSFL_OK) status = number(name, root, "min_cohort", 2, MSFL_CLIENTS_MAX, &out->min_cohort);
    if (status == MSFL_OK) status = number(name, root, "security_bits", 128, 256, &out->security_bits);
    if (status == MSFL_OK) status = number(name, root, "sums_per_job", 0, 1000000, &out->sums_per_job);
    if (status == MSFL_OK) status = number(name, root, "sums_per_day", 0, 1000000, &out->sums_per_day);
    if (status == MSFL_OK) status = number(name, root, "values_max", 1, UINT32_MAX, &values);
    if (status == MSFL_OK) status = client_bounds_read(name, root, &out->bounds);
    if (status == MSFL_OK) status = read_models(name, msfl_yaml_get(root, "models"), out);
    const msfl_yaml *second = msfl_yaml_get(root, "second_sums");
    if (status == MSFL_OK && second != NULL) {
        status = msfl_yaml_bool(name, second, "second_sums", &out->second_sums);
    }
    if (status == MSFL_OK) status = read_brought(name, msfl_yaml_get(root, "brought_weights"), out);
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

static void models_text(const client_policy *p, char *out, size_t bytes) {
    if (p->any_model) {
        (void)snprintf(out, bytes, " any");
        return;
    }
    (void)snprintf(out, bytes, "%s%s, %" PRIu32 " named", p->builtin_models ? " built-in" : "",
                   p->tensors ? " tensors" : "", p->n_models);
}

char *client_policy_text(const client_policy *p) {
    static const char *const brought[] = {"; no weights that were brought",
                                          "; weights that were brought for tensors alone", ""};
    char models[64];
    models_text(p, models, sizeof models);
    char *bounds = client_bounds_text(&p->bounds);
    if (bounds == NULL) return NULL;
    char *text = msfl_format(
        "%s: schemes%s%s; custody%s%s%s; delivery%s%s; %" PRIu32 " hospitals or more; %" PRIu32
        " bits; at most %" PRIu32 " sums of a job and %" PRIu32 " a day; %" PRIu64
        " values; models:%s; trainers%s%s%s; %s%s",
        p->from_file ? "policy.yaml" : "no policy.yaml, so the strict defaults", p->packed ? " packed" : "",
        p->plain ? " plain (NOT encrypted)" : "", p->committee ? " committee" : "", p->authority ? " authority" : "",
        p->coordinator ? " coordinator (which could open single updates)" : "", p->to_coordinator ? " coordinator" : "",
        p->to_clients ? " clients" : "", p->min_cohort, p->security_bits, p->sums_per_job, p->sums_per_day,
        p->values_max, models, (p->trainers & CLIENT_BUILTIN) != 0 ? " built-in" : "",
        (p->trainers & CLIENT_COMMAND) != 0 ? " command" : "",
        p->second_sums ? "; second sums on a model (which can open single updates)" : "", bounds, brought[p->brought]);
    msfl_free(bounds);
    return text;
}

void client_policy_told(const char *message, char *out, size_t out_bytes) {
    static const char rule[] = "policy ";
    const char *end = strncmp(message, rule, sizeof rule - 1) == 0 ? strchr(message, ':') : NULL;
    const size_t length = end != NULL ? (size_t)(end - message) : strlen(message);
    if (out_bytes == 0) return;
    const size_t n = length < out_bytes ? length : out_bytes - 1;
    memcpy(out, message, n);
    out[n] = 0;
}

/* --- a job --- */

msfl_status client_policy_duty(const client_policy *p, const job_spec *spec, const msfl_roster_info *roster) {
    const bool packed = strcmp(spec->scheme, "packed") == 0, plain = strcmp(spec->scheme, "plain") == 0;
    if (!(packed && p->packed) && !(plain && p->plain)) {
        return CLIENT_REFUSE("schemes", "'%s' is not allowed%s", spec->scheme,
                             plain ? ": the updates would leave this hospital unencrypted" : "");
    }
    const bool held = (roster->custody == MSFL_CUSTODY_COMMITTEE && p->committee) ||
                      (roster->custody == MSFL_CUSTODY_AUTHORITY && p->authority) ||
                      (roster->custody == MSFL_CUSTODY_COORDINATOR && p->coordinator);
    if (packed && !held) {
        return CLIENT_REFUSE("custody", "keys held by %s are not allowed (%s)", msfl_custody_name(roster->custody),
                             msfl_custody_trust(roster->custody));
    }
    if (!(spec->delivery == MSFL_DELIVERY_COORDINATOR && p->to_coordinator) &&
        !(spec->delivery == MSFL_DELIVERY_CLIENTS && p->to_clients)) {
        return CLIENT_REFUSE("delivery", "sums that the %s opens are not allowed",
                             spec->delivery == MSFL_DELIVERY_CLIENTS ? "hospitals" : "coordinator");
    }
    if (spec->min_cohort < p->min_cohort) {
        return CLIENT_REFUSE("min_cohort", "the job opens sums of %" PRIu32 " hospitals, %" PRIu32 " are wanted",
                             spec->min_cohort, p->min_cohort);
    }
    if (packed && spec->security_bits < p->security_bits) {
        return CLIENT_REFUSE("security_bits", "the job has %" PRIu32 " bits, %" PRIu32 " are wanted",
                             spec->security_bits, p->security_bits);
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
    if (shape->model == NULL) {
        return p->tensors ? MSFL_OK
                          : CLIENT_REFUSE("models", "the job lists tensors, which are not among the networks allowed");
    }
    char hex[2 * MSFL_HASH_BYTES + 1];
    uint8_t hash[MSFL_HASH_BYTES];
    const char *name = msfl_model_info_borrow(shape->model)->name;
    msfl_model_hash(shape->model, hash);
    msfl_hex(hash, sizeof hash, hex);
    bool allowed = p->builtin_models && is_named(name, shape->model, hex);
    for (uint32_t i = 0; !allowed && i < p->n_models; i++)
        allowed = is_named(p->models[i], shape->model, hex);
    if (allowed) return MSFL_OK;
    return CLIENT_REFUSE("models",
                         "the job's network '%s' with hash %s is not among those allowed (a hash under models allows "
                         "it, once you have read what it does)",
                         name, hex);
}

static msfl_status check_brought(const client_policy *p, const job_shape *shape) {
    static const uint8_t none[MSFL_HASH_BYTES];
    if (memcmp(shape->spec->initial, none, sizeof none) == 0 || p->brought == CLIENT_BROUGHT_ALWAYS ||
        (p->brought == CLIENT_BROUGHT_TENSORS && shape->model == NULL)) {
        return MSFL_OK;
    }
    return CLIENT_REFUSE("brought_weights", "the job begins with weights that somebody brought, which is not allowed%s",
                         shape->model == NULL ? "" : " with networks of this program's kind");
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
        return CLIENT_REFUSE("values_max", "the network has %" PRIu64 " values, %" PRIu64 " are allowed",
                             shape->n_values, p->values_max);
    }
    status = check_brought(p, shape);
    if (status == MSFL_OK) status = client_bounds_job(&p->bounds, spec);
    if (status != MSFL_OK) return status;
    if (sums_of(spec) > p->sums_per_job) {
        return CLIENT_REFUSE("sums_per_job", "the job takes %" PRIu64 " sums, %" PRIu32 " are allowed", sums_of(spec),
                             p->sums_per_job);
    }
    if ((p->trainers & (uint32_t)trainer) == 0) {
        return CLIENT_REFUSE("trainers", "%s is not allowed",
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

/* Bounds that are far below an update's values leave nothing but their signs, and each hospital's can be told from the
 * weighted sum. Where they follow from sums, they are the coordinator's word, and the hospital counts what they cut. */
static msfl_status check_clip(const job_shape *shape, const job_plan *plan) {
    const job_clip_rule rule = job_shape_clip_rule(shape);
    if (plan->clip == NULL) return LIES("an update without clipping bounds");
    if (job_clip_follows(&rule)) return MSFL_OK;
    float *said = msfl_alloc(rule.n_tensors, sizeof *said);
    if (said == NULL) return MSFL_NO_MEMORY;
    job_clip_init(&rule, said);
    uint32_t i = 0;
    while (i < rule.n_tensors && said[i] == plan->clip[i])
        i++;
    const float one = i < rule.n_tensors ? said[i] : 0;
    msfl_free(said);
    if (i == rule.n_tensors) return MSFL_OK;
    return LIES("a clipping bound of %g for tensor %" PRIu32 " where %g follows from it", (double)plan->clip[i], i,
                (double)one);
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
    return plan->kind == JOB_UPDATE ? check_clip(shape, plan) : MSFL_OK;
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
        return CLIENT_REFUSE("sums_per_job", "%" PRIu32 " sums of this job are the most", p->sums_per_job);
    }
    if (tally->of_day >= p->sums_per_day) {
        return CLIENT_REFUSE("sums_per_day", "%" PRIu32 " sums a day are the most", p->sums_per_day);
    }
    return MSFL_OK;
}
