/* medsecurefl inspect: what files are, in plain words. */
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "cmd.h"
#include "inspect.h"

#include <stdio.h>
#include <string.h>

void inspect_spec(const msfl_key_spec *spec, json_t *object) {
    const msfl_scheme_request *r = &spec->request;
    if (object != NULL) {
        json_object_set_new(object, "scheme", json_string(spec->scheme));
        json_object_set_new(object, "clients", json_integer(r->n_clients));
        json_object_set_new(object, "bits", json_integer(r->value_bits));
        json_object_set_new(object, "security_bits", json_integer(r->security_bits));
        json_object_set_new(object, "ring_degree", json_integer(r->ring_degree));
        json_object_set_new(object, "clip", msfl_json_real(spec->clip));
        json_object_set_new(object, "samples_max", json_integer((json_int_t)spec->samples_max));
        return;
    }
    printf("  scheme       %s, %u-bit security\n", spec->scheme, r->security_bits);
    printf("  for          sums of up to %u vectors, %u bits a value, within +-%g\n", r->n_clients, r->value_bits,
           spec->clip);
    if (spec->samples_max == 1) {
        printf("  weights      every vector counts the same\n");
    } else {
        printf("  weights      a vector may count for up to %llu samples\n", (unsigned long long)spec->samples_max);
    }
}

msfl_status inspect_done(json_t *object, json_t **json) {
    *json = object;
    return object != NULL ? MSFL_OK : msfl_fail(MSFL_ERR_MEMORY, "no memory for the answer");
}

void inspect_hex(json_t *object, const char *name, const uint8_t *bytes, size_t n) {
    char text[2 * MSFL_HASH_BYTES + 1];
    msfl_hex(bytes, n < MSFL_HASH_BYTES ? n : MSFL_HASH_BYTES, text);
    json_object_set_new(object, name, json_string(text));
}

static msfl_status inspect_one(const char *path, const inspect_options *options, json_t **json) {
    switch (cli_file_kind_of(path)) {
    case CLI_FILE_KEY:
        return inspect_key(path, options, json);
    case CLI_FILE_CIPHER:
        return inspect_cipher(path, options, json);
    case CLI_FILE_REVOCATION:
        return inspect_revocation(path, json);
    case CLI_FILE_MODEL:
        return inspect_model(path, json);
    default:
        break;
    }
    if (!msfl_file_exists(path)) return msfl_fail(MSFL_ERR_MISSING, "there is no file %s", path);
    if (msfl_is_folder(path)) return msfl_fail(MSFL_ERR_USAGE, "%s is a folder: name the files in it", path);
    return msfl_fail(MSFL_ERR_FORMAT, "%s is neither a key, a ciphertext, a revocation nor a model file", path);
}

msfl_status cmd_inspect(int argc, char **argv) {
    inspect_options o = {0};
    bool json = false;
    const cli_option options[] = {
        {"json", CLI_FLAG, &json, 0, 0, NULL},
        {"trusted", CLI_TEXT, &o.trusted, 0, 0, NULL},
        {"revocations", CLI_TEXT, &o.revocations, 0, 0, NULL},
        {"header", CLI_FLAG, &o.header_only, 0, 0, NULL},
        {"quiet", CLI_FLAG, &o.quiet, 0, 0, "q"},
        {0},
    };
    const char **paths = msfl_alloc((size_t)argc + 1, sizeof(const char *));
    if (paths == NULL) return MSFL_ERR_MEMORY;
    size_t n = 0;
    json_t *all = NULL;
    msfl_status status = cli_parse(argc, argv, options, paths, (size_t)argc, &n);
    if (status == MSFL_OK && n == 0) status = msfl_fail(MSFL_ERR_USAGE, "inspect takes one or more files; see --help");
    o.paths = paths;
    o.n_paths = n;
    all = json_array();
    for (size_t i = 0; status == MSFL_OK && i < n; i++) {
        json_t *one = NULL;
        if (!json && i > 0) printf("\n");
        status = inspect_one(paths[i], &o, json ? &one : NULL);
        if (one != NULL && json_array_append_new(all, one) != 0) status = msfl_fail(MSFL_ERR_MEMORY, "no memory");
    }
    if (status == MSFL_OK && json) {
        char *text = NULL;
        status = msfl_json_text(n == 1 ? json_array_get(all, 0) : all, false, &text);
        if (status == MSFL_OK) printf("%s\n", text);
        msfl_free(text);
    }
    json_decref(all);
    msfl_free(paths);
    return status;
}
