#include "federation/config.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "job/aggregate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One line per option: X(kind, JSON name, field). Everything that changes the result stands here. */
#define CONFIG_LIST(X)                                                                                                 \
    X(TEXT, data, data)                                                                                                \
    X(TEXT, model, model)                                                                                              \
    X(TEXT, partition, partition)                                                                                      \
    X(TEXT, recipe, recipe)                                                                                            \
    X(TEXT, labels, labels)                                                                                            \
    X(TEXT, patient, patient)                                                                                          \
    X(TEXT, data_key, data_key)                                                                                        \
    X(TEXT, shift, shift)                                                                                              \
    X(TEXT, label, label)                                                                                              \
    X(TEXT, scheme, scheme)                                                                                            \
    X(TEXT, custody, custody)                                                                                          \
    X(TEXT, delivery, delivery)                                                                                        \
    X(U32, clients, n_clients)                                                                                         \
    X(U32, rounds, n_rounds)                                                                                           \
    X(U32, bits, value_bits)                                                                                           \
    X(U32, security, security_bits)                                                                                    \
    X(F64, clip, clip)                                                                                                 \
    X(U32, size, size)                                                                                                 \
    X(U32, channels, channels)                                                                                         \
    X(U32, normalise, normalise)                                                                                       \
    X(FLAG, augment, augment)                                                                                          \
    X(FLAG, flip_horizontal, flip_horizontal)                                                                          \
    X(FLAG, refuse_bad, refuse_bad)                                                                                    \
    X(FLAG, allow_two_sites, allow_two_sites)                                                                          \
    X(U32, phantom_images, phantom_images)                                                                             \
    X(F64, test_fraction, test_fraction)                                                                               \
    X(F64, validation_fraction, validation_fraction)                                                                   \
    X(U32, optimizer, train.optimizer)                                                                                 \
    X(F32, lr, train.learning_rate)                                                                                    \
    X(F32, momentum, train.momentum)                                                                                   \
    X(F32, weight_decay, train.weight_decay)                                                                           \
    X(F32, label_smoothing, train.label_smoothing)                                                                     \
    X(U32, batch, train.batch)                                                                                         \
    X(U32, local_epochs, train.n_epochs)                                                                               \
    X(U32, patience, patience)                                                                                         \
    X(U32, plateau_patience, plateau_patience)                                                                         \
    X(F64, plateau_factor, plateau_factor)                                                                             \
    X(U32, compare, compare)                                                                                           \
    X(U32, bootstrap, n_bootstrap)                                                                                     \
    X(U64, seed, seed)

/* The same for options that came later: X(kind, JSON name, field, default). At its default, such a field is not
 * written, so that the runs of before keep their hash. */
#define CONFIG_LATER(X)                                                                                                \
    X(TEXT, augmentation, augmentation, NULL)                                                                          \
    X(FLAG, balance, balance, false)                                                                                   \
    X(F32, focal, train.focal, 0.0f)                                                                                   \
    X(F32, dice, train.dice, 1.0f)                                                                                     \
    X(F32, proximal, train.proximal, 0.0f)                                                                             \
    X(U32, local_steps, train.n_steps, 0)                                                                              \
    X(F64, logit_adjustment, logit_adjustment, 0)                                                                      \
    X(TEXT, aggregate, aggregate, NULL)                                                                                \
    X(F64, server_lr, server_learning_rate, JOB_SERVER_LEARNING_RATE)                                                  \
    X(TEXT, schedule, schedule, NULL)                                                                                  \
    X(U32, average_rounds, average_rounds, 0)                                                                          \
    X(FLAG, keep_last, keep_last, false)                                                                               \
    X(U32, views, n_views, 1)                                                                                          \
    X(TEXT, norms, norms, NULL)                                                                                        \
    X(TEXT, masks, masks, NULL)

#define TO_TEXT(v) ((v) == NULL ? json_null() : json_string(v))
#define TO_U32(v)  json_integer((json_int_t)(v))
#define TO_U64(v)  json_integer((json_int_t)(v))
#define TO_F32(v)  shortest(v)
#define TO_F64(v)  json_real(v)
#define TO_FLAG(v) json_boolean(v)

/* A float by the fewest decimals that give it back: 0.001 and not 0.00100000004749745. */
static json_t *shortest(float v) {
    char text[32];
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)v);
        if (strtof(text, NULL) == v) break;
    }
    return json_real(strtod(text, NULL));
}

json_t *fed_config_json(const msfl_simulate_options *o) {
    json_t *config = json_object();
#define ADD_FIELD(kind, name, field) json_object_set_new(config, #name, TO_##kind(o->field));
    CONFIG_LIST(ADD_FIELD)
#undef ADD_FIELD
#define ADD_LATER(kind, name, field, otherwise)                                                                        \
    if (o->field != (otherwise)) json_object_set_new(config, #name, TO_##kind(o->field));
    CONFIG_LATER(ADD_LATER)
#undef ADD_LATER
    return config;
}

msfl_status fed_config_hash(const msfl_simulate_options *options, uint8_t out[MSFL_HASH_BYTES]) {
    json_t *config = fed_config_json(options);
    char *text = NULL;
    msfl_status status = config == NULL ? MSFL_ERR_MEMORY : msfl_json_text(config, true, &text);
    json_decref(config);
    if (status != MSFL_OK) return status;
    msfl_hash h;
    msfl_hash_init(&h, "msfl.config.v1");
    msfl_hash_add_field(&h, text, strlen(text));
    msfl_hash_final(&h, out);
    msfl_free(text);
    return MSFL_OK;
}

msfl_status fed_config_central_hash(const msfl_simulate_options *options, uint8_t out[MSFL_HASH_BYTES]) {
    msfl_simulate_options o = *options;
    o.partition = o.scheme = "central";
    o.custody = o.delivery = NULL;
    o.n_clients = o.value_bits = o.security_bits = o.compare = o.n_bootstrap = 0;
    o.clip = 0;
    o.allow_two_sites = false;
    return fed_config_hash(&o, out);
}

static bool whole_within(const json_t *v, json_int_t max) {
    return json_is_integer(v) && json_integer_value(v) >= 0 && json_integer_value(v) <= max;
}

#define FITS_TEXT(v)        (json_is_string(v) || json_is_null(v))
#define FITS_U32(v)         whole_within(v, UINT32_MAX)
#define FITS_U64(v)         json_is_integer(v)
#define FITS_F32(v)         json_is_number(v)
#define FITS_F64(v)         json_is_number(v)
#define FITS_FLAG(v)        json_is_boolean(v)
#define FROM_TEXT(field, v) (field) = json_string_value(v)
#define FROM_U32(field, v)  (field) = (uint32_t)json_integer_value(v)
#define FROM_U64(field, v)  (field) = (uint64_t)json_integer_value(v)
#define FROM_F32(field, v)  (field) = (float)json_number_value(v)
#define FROM_F64(field, v)  (field) = json_number_value(v)
#define FROM_FLAG(field, v) (field) = json_is_true(v)

msfl_status fed_config_apply(const json_t *config, msfl_simulate_options *o) {
    const json_t *v;
    if (!json_is_object(config)) return msfl_fail(MSFL_ERR_FORMAT, "config.json does not hold an object");
#define READ_FIELD(kind, name, field)                                                                                  \
    v = json_object_get(config, #name);                                                                                \
    if (v != NULL) {                                                                                                   \
        if (!FITS_##kind(v))                                                                                           \
            return msfl_fail(MSFL_ERR_FORMAT, "config.json: '%s' has a value that does not fit", #name);               \
        FROM_##kind(o->field, v);                                                                                      \
    }
    CONFIG_LIST(READ_FIELD)
#define READ_LATER(kind, name, field, otherwise) READ_FIELD(kind, name, field)
    CONFIG_LATER(READ_LATER)
#undef READ_LATER
#undef READ_FIELD
    return MSFL_OK;
}

msfl_status fed_config_compare(const json_t *config, const msfl_simulate_options *options) {
    /* Through text and back, as the other went: both have the same number of digits. */
    json_t *direct = fed_config_json(options), *mine = NULL;
    char *text = NULL;
    msfl_status status = direct == NULL ? MSFL_ERR_MEMORY : msfl_json_text(direct, true, &text);
    json_decref(direct);
    if (status == MSFL_OK) status = msfl_json_parse("the options", text, strlen(text), SIZE_MAX, &mine);
    msfl_free(text);
    if (status != MSFL_OK) return status;
    const char *key;
    json_t *value;
    /* What is not there is at its default; null stands for that here. */
#define COMPLETE(kind, name, field, otherwise)                                                                         \
    if (json_object_get(mine, #name) == NULL && json_object_get(config, #name) != NULL)                                \
        json_object_set_new(mine, #name, json_null());
    CONFIG_LATER(COMPLETE)
#undef COMPLETE
    json_object_foreach(mine, key, value) {
        const json_t *other = json_object_get(config, key);
        if (other != NULL && json_equal(value, other)) continue;
        if (other == NULL && json_is_null(value)) continue; /* an option that the run's version did not know */
        char *was = other == NULL ? NULL : json_dumps(other, JSON_ENCODE_ANY);
        char *is = json_dumps(value, JSON_ENCODE_ANY);
        status =
            msfl_fail(MSFL_ERR_EXISTS,
                      "this folder holds a run with another '%s' (%s there, %s now): use another --out, or --resume "
                      "with --out alone",
                      key, was == NULL ? "none" : was, is == NULL ? "?" : is);
        free(was);
        free(is);
        break;
    }
    json_decref(mine);
    return status;
}
