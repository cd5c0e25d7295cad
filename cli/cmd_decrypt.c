/* medsecurefl decrypt: open a sum with the secret key. */
#include "base/error.h"
#include "base/mem.h"
#include "cmd.h"
#include "files.h"
#include "medsecurefl/array.h"
#include "medsecurefl/model.h"
#include "text/json.h"
#include "unlock.h"

#include <stdio.h>
#include <string.h>

static bool ends_in(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static msfl_status write_model(const char *out, const msfl_content *content, const float *values, bool force) {
    msfl_model *model;
    msfl_status status =
        msfl_model_parse("the encrypted model", content->model_yaml, strlen(content->model_yaml), 0, 0, 0, 0, &model);
    if (status != MSFL_OK) return status;
    const msfl_model_info *info = msfl_model_info_borrow(model);
    if (info->n_values != content->n_values || (content->n_names != 0 && content->n_names != info->n_classes)) {
        status = msfl_fail(MSFL_ERR_FORMAT,
                           "the model described in the file has %llu values and %u classes, not %llu and %u",
                           (unsigned long long)info->n_values, info->n_classes, (unsigned long long)content->n_values,
                           content->n_names);
    } else {
        status = cli_refuse_existing(out, force); /* again: what came while a large sum was opened stays as well */
        const msfl_model_facts facts = {.class_names = content->n_names != 0 ? content->class_names : NULL,
                                        .normalise = content->normalise,
                                        .recipe = content->recipe};
        if (status == MSFL_OK) status = msfl_model_save(out, model, values, &facts);
    }
    msfl_model_free(model);
    return status;
}

static msfl_status write_values(const char *out, const msfl_content *content, float *values, bool force) {
    if (strcmp(out, "-") == 0) {
        for (uint64_t i = 0; i < content->n_values; i++)
            printf("%.9g\n", (double)values[i]);
        return MSFL_OK;
    }
    if (content->kind == MSFL_CONTENT_MODEL && !ends_in(out, ".npy")) return write_model(out, content, values, force);
    msfl_array array = {.rank = 1, .dims = {content->n_values}, .n_values = content->n_values, .values = values};
    if (content->kind == MSFL_CONTENT_VECTOR) {
        array.rank = content->rank;
        memcpy(array.dims, content->dims, sizeof array.dims);
    }
    return msfl_array_save(out, &array, force);
}

static msfl_status print_opened(const char *out, const msfl_opened *opened, bool is_sum, bool json) {
    double bound = opened->error_bound * (is_sum ? (double)opened->samples : 1.0);
    if (!json) {
        fprintf(stderr, "%s: %s of %u vectors, %llu samples; every value within %.3g of the exact %s\n", out,
                is_sum ? "the sum" : "the mean", opened->n_addends, (unsigned long long)opened->samples, bound,
                is_sum ? "sum" : "mean");
        return MSFL_OK;
    }
    char *text = NULL;
    json_t *root = json_pack("{s:o,s:s,s:I,s:I,s:o}", "out", msfl_json_string(out), "what", is_sum ? "sum" : "mean",
                             "addends", (json_int_t)opened->n_addends, "samples", (json_int_t)opened->samples,
                             "error_bound", msfl_json_real(bound));
    msfl_status status =
        root == NULL ? msfl_fail(MSFL_ERR_MEMORY, "no memory for the answer") : msfl_json_text(root, false, &text);
    if (status == MSFL_OK) printf("%s\n", text);
    msfl_free(text);
    json_decref(root);
    return status;
}

msfl_status cmd_decrypt(int argc, char **argv) {
    const char *key_path = NULL, *out = NULL, *revocations = NULL, *input = NULL;
    bool force = false, quiet = false, want_sum = false, want_mean = false, refuse = false, json = false;
    cli_unlock from = {0};
    const cli_option options[] = {
        {"key", CLI_TEXT, &key_path, 0, 0, "k"},
        {"passphrase-file", CLI_TEXT, &from.passphrase_file, 0, 0, NULL},
        {"keyfile", CLI_TEXT, &from.key_file, 0, 0, NULL},
        {"out", CLI_TEXT, &out, 0, 0, "o"},
        {"sum", CLI_FLAG, &want_sum, 0, 0, NULL},
        {"mean", CLI_FLAG, &want_mean, 0, 0, NULL},
        {"revocations", CLI_TEXT, &revocations, 0, 0, NULL},
        {"refuse-revoked", CLI_FLAG, &refuse, 0, 0, NULL},
        {"force", CLI_FLAG, &force, 0, 0, "f"},
        {"quiet", CLI_FLAG, &quiet, 0, 0, "q"},
        {"json", CLI_FLAG, &json, 0, 0, NULL},
        {0},
    };
    size_t n;
    msfl_status status = cli_parse(argc, argv, options, &input, 1, &n);
    if (status != MSFL_OK) return status;
    if (n != 1 || key_path == NULL || out == NULL) {
        return msfl_fail(MSFL_ERR_USAGE, "decrypt takes --key secret.msk, one file, and -o FILE; see --help");
    }
    if (want_sum && want_mean) return msfl_fail(MSFL_ERR_USAGE, "--sum or --mean, not both");
    if (json && strcmp(out, "-") == 0) return msfl_fail(MSFL_ERR_USAGE, "--json and -o - would share one output");
    msfl_cipher *cipher = NULL;
    msfl_keyfile *key = NULL;
    msfl_unlock *unlock = NULL;
    float *values = NULL;
    msfl_observer observer;
    msfl_opened opened;
    if (strcmp(out, "-") != 0) status = cli_refuse_existing(out, force);
    if (status == MSFL_OK) status = msfl_cipher_open(input, &cipher);
    if (status != MSFL_OK) goto done;
    const msfl_content *content = &msfl_cipher_info_borrow(cipher)->content;
    const bool is_sum = want_sum || (!want_mean && content->kind == MSFL_CONTENT_VECTOR);
    if (content->kind == MSFL_CONTENT_VECTOR && ends_in(out, ".h5")) {
        status =
            msfl_fail(MSFL_ERR_MISMATCH, "%s holds an array, not a model: write it to a .npy or a text file", input);
    }
    if (status == MSFL_OK) status = msfl_keyfile_read(key_path, &key);
    if (status == MSFL_OK && msfl_keyfile_info_borrow(key)->half != MSFL_KEY_SECRET) {
        status =
            msfl_fail(MSFL_ERR_MISMATCH, "%s is a public key; decrypting takes the secret one, secret.msk", key_path);
    }
    if (status == MSFL_OK) status = cli_refuse_revoked(key, revocations, !refuse);
    if (status == MSFL_OK) status = cli_unlock_read(&from, "", "passphrase of the key", false, &unlock);
    if (status != MSFL_OK) goto done;
    /* A header can state any number of values; the file is as long as that only if it holds them. No scheme takes less
     * than 2 (2 bits) for a value: a ciphertext is at least two of what it holds. */
    if (content->n_values / 2 > msfl_cipher_info_borrow(cipher)->file_bytes) {
        status =
            msfl_fail(MSFL_ERR_FORMAT, "%s is too short for %llu values", input, (unsigned long long)content->n_values);
        goto done;
    }
    values = msfl_alloc(content->n_values, sizeof *values);
    if (values == NULL) {
        status = MSFL_ERR_MEMORY;
        goto done;
    }
    cli_terminal *terminal = cli_watch(input, quiet, &observer);
    status =
        msfl_cipher_decrypt(cipher, key, unlock, &observer, is_sum ? NULL : values, is_sum ? values : NULL, &opened);
    cli_terminal_free(terminal);
    cli_warn_of_unlocked_memory();
    if (status == MSFL_OK) status = write_values(out, content, values, force);
    if (status == MSFL_OK && (json || !quiet)) status = print_opened(out, &opened, is_sum, json);
done:
    msfl_free(values);
    msfl_unlock_free(unlock);
    msfl_keyfile_free(key);
    msfl_cipher_free(cipher);
    return status;
}
