/* medsecurefl encrypt: a model file or an array, under a public key. */
#include "base/error.h"
#include "cmd.h"
#include "files.h"
#include "medsecurefl/array.h"
#include "medsecurefl/model.h"

#include <stdio.h>
#include <string.h>

/** What is encrypted, and who owns it. */
typedef struct subject {
    msfl_model *model;
    msfl_model_extra extra;
    float *weights;
    msfl_array array;
    msfl_content content;
    const float *values;
} subject;

static void subject_clear(subject *s) {
    msfl_array_clear(&s->array);
    msfl_floats_free(s->weights);
    msfl_model_extra_clear(&s->extra);
    msfl_model_free(s->model);
}

static msfl_status load_model(const char *path, subject *s) {
    msfl_status status = msfl_model_load(path, &s->model, &s->weights, &s->extra);
    if (status != MSFL_OK) return status;
    s->values = s->weights;
    s->content = (msfl_content){
        .kind = MSFL_CONTENT_MODEL,
        .n_values = msfl_model_info_borrow(s->model)->n_values,
        .model_yaml = msfl_model_yaml(s->model),
        .n_names = s->extra.class_names != NULL ? s->extra.n_classes : 0,
        .class_names = (const char *const *)s->extra.class_names,
        .normalise = s->extra.normalise,
        .recipe = s->extra.recipe,
    };
    return MSFL_OK;
}

static msfl_status load_array(const char *path, const char *name, subject *s) {
    msfl_status status = msfl_array_load(path, name, &s->array);
    if (status != MSFL_OK) return status;
    s->values = s->array.values;
    s->content = (msfl_content){.kind = MSFL_CONTENT_VECTOR, .n_values = s->array.n_values, .rank = s->array.rank};
    memcpy(s->content.dims, s->array.dims, sizeof s->content.dims);
    if (s->content.rank == 0) { /* a single number */
        s->content.rank = 1;
        s->content.dims[0] = 1;
    }
    return MSFL_OK;
}

_Static_assert((int)MSFL_CONTENT_DIMS_MAX == (int)MSFL_ARRAY_DIMS_MAX, "one shape fits the other");

static msfl_status load(const char *path, const char *name, subject *s) {
    switch (cli_file_kind_of(path)) {
    case CLI_FILE_MODEL:
        if (name != NULL) return msfl_fail(MSFL_ERR_USAGE, "--array is for .npz files, and %s is a model", path);
        return load_model(path, s);
    case CLI_FILE_KEY:
    case CLI_FILE_REVOCATION:
        return msfl_fail(MSFL_ERR_USAGE, "%s is a file of keys; encrypt takes a model (.h5) or an array", path);
    case CLI_FILE_CIPHER:
        return msfl_fail(MSFL_ERR_USAGE, "%s is encrypted already", path);
    default:
        return load_array(path, name, s);
    }
}

msfl_status cmd_encrypt(int argc, char **argv) {
    const char *key_path = NULL, *out = NULL, *name = NULL, *revocations = NULL, *input = NULL;
    bool force = false, quiet = false;
    msfl_cipher_options o = {.samples = 1};
    const cli_option options[] = {
        {"key", CLI_TEXT, &key_path, 0, 0, "k"},
        {"out", CLI_TEXT, &out, 0, 0, "o"},
        {"array", CLI_TEXT, &name, 0, 0, NULL},
        {"round", CLI_U64, &o.round, 0, 9007199254740992.0, NULL},
        {"samples", CLI_U64, &o.samples, 1, 28147497671.0, NULL},
        {"clip-values", CLI_FLAG, &o.clip_values, 0, 0, NULL},
        {"revocations", CLI_TEXT, &revocations, 0, 0, NULL},
        {"force", CLI_FLAG, &force, 0, 0, "f"},
        {"quiet", CLI_FLAG, &quiet, 0, 0, "q"},
        {0},
    };
    size_t n;
    msfl_status status = cli_parse(argc, argv, options, &input, 1, &n);
    if (status != MSFL_OK) return status;
    if (n != 1 || key_path == NULL || out == NULL) {
        return msfl_fail(MSFL_ERR_USAGE, "encrypt takes --key public.msk, one file, and -o FILE.msc; see --help");
    }
    msfl_observer observer;
    o.replace = force;
    o.observer = &observer;
    subject s = {0};
    msfl_keyfile *key = NULL;
    uint64_t n_clipped = 0;
    status = cli_refuse_existing(out, force);
    if (status == MSFL_OK) status = msfl_keyfile_read(key_path, &key);
    if (status == MSFL_OK && msfl_keyfile_info_borrow(key)->half != MSFL_KEY_PUBLIC) {
        status =
            msfl_fail(MSFL_ERR_MISMATCH, "%s is a secret key; encrypting takes the public one, public.msk", key_path);
    }
    if (status == MSFL_OK) status = cli_refuse_revoked(key, revocations, false);
    if (status == MSFL_OK) status = load(input, name, &s);
    if (status == MSFL_OK) {
        cli_terminal *terminal = cli_watch(input, quiet, &observer);
        status = msfl_cipher_encrypt(key, &s.content, s.values, &o, out, &n_clipped);
        cli_terminal_free(terminal);
        if (status == MSFL_ERR_NUMERIC) status = msfl_fail_in(status, "%s", input);
    }
    if (status == MSFL_OK && n_clipped > 0) {
        fprintf(stderr, "warning: %llu of %llu values were moved to the edge of the key's range\n",
                (unsigned long long)n_clipped, (unsigned long long)s.content.n_values);
    }
    subject_clear(&s);
    msfl_keyfile_free(key);
    return status;
}
