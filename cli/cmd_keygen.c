/* medsecurefl keygen: a fresh key pair in a folder. */
#include "base/error.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "cmd.h"
#include "files.h"
#include "text/json.h"
#include "unlock.h"

#include <stdio.h>

/** What the key that was just made is good for: from its public file, as anyone reads it. */
static msfl_status print_result(const char *folder, const msfl_keystore_result *result, bool json) {
    char *path = msfl_format("%s/public.msk", folder);
    msfl_keyfile *file = NULL;
    msfl_setup *setup = NULL;
    msfl_keys *keys = NULL;
    msfl_status status = path == NULL ? MSFL_ERR_MEMORY : msfl_keyfile_read(path, &file);
    if (status == MSFL_OK) {
        status = msfl_keyfile_open(file, msfl_keyfile_info_borrow(file)->spec.request.n_values, NULL, &setup, &keys);
    }
    if (status != MSFL_OK) goto done;
    const msfl_keyfile_info *info = msfl_keyfile_info_borrow(file);
    char id[2 * MSFL_KEY_ID_BYTES + 1], fingerprint[2 * MSFL_HASH_BYTES + MSFL_HASH_BYTES / 2 + 1];
    msfl_hex(result->key_id, sizeof result->key_id, id);
    msfl_scheme_facts facts;
    msfl_setup_facts(setup, &facts);
    if (json) {
        char hex[2 * MSFL_HASH_BYTES + 1], *text = NULL;
        msfl_hex(result->fingerprint, sizeof result->fingerprint, hex);
        json_t *root = json_pack(
            "{s:s,s:s,s:s,s:s,s:s,s:I,s:I,s:f,s:I,s:f,s:I,s:I}", "folder", folder, "scheme", info->spec.scheme,
            "key_id", id, "fingerprint", hex, "parameters", facts.parameters, "clients",
            (json_int_t)info->spec.request.n_clients, "bits", (json_int_t)info->spec.request.value_bits, "clip",
            info->spec.clip, "samples_max", (json_int_t)info->spec.samples_max, "security_bits", facts.security_bits,
            "values", (json_int_t)info->spec.request.n_values, "upload_bytes", (json_int_t)facts.upload_bytes);
        status = root == NULL ? msfl_fail(MSFL_ERR_MEMORY, "no memory for the answer, or a name that is not UTF-8")
                              : msfl_json_text(root, false, &text);
        if (status == MSFL_OK) printf("%s\n", text);
        msfl_free(text);
        json_decref(root);
        goto done;
    }
    cli_grouped_hex(result->fingerprint, sizeof result->fingerprint, fingerprint);
    printf("key          %s (%s)\n", id, info->spec.scheme);
    printf("parameters   %s\n", facts.parameters);
    printf("holds        sums of up to %u vectors, %u bits a value, within +-%g\n", info->spec.request.n_clients,
           info->spec.request.value_bits, info->spec.clip);
    printf("fingerprint  %s\n", fingerprint);
    printf("to encrypt   %.*s/public.msk: give it to every hospital, and compare the fingerprint another way\n",
           cli_folder_length(folder), folder);
    printf("to open      %.*s/secret.msk: whoever has it and its passphrase can open every single file\n",
           cli_folder_length(folder), folder);
done:
    msfl_keys_free(keys);
    msfl_setup_free(setup);
    msfl_keyfile_free(file);
    msfl_free(path);
    return status;
}

msfl_status cmd_keygen(int argc, char **argv) {
    msfl_key_spec spec = msfl_key_spec_default();
    msfl_scheme_request *r = &spec.request;
    cli_unlock from = {0};
    const char *out = NULL;
    bool json = false;
    const cli_option options[] = {
        {"scheme", CLI_TEXT, &spec.scheme, 0, 0, NULL},
        {"clients", CLI_U32, &r->n_clients, 1, MSFL_CLIENTS_MAX, NULL},
        {"bits", CLI_U32, &r->value_bits, MSFL_VALUE_BITS_MIN, MSFL_VALUE_BITS_MAX, NULL},
        {"clip", CLI_F64, &spec.clip, 0x1p-20, 0x1p30, NULL},
        {"values", CLI_U64, &r->n_values, 1, 17179869184.0, NULL},
        {"samples-max", CLI_U64, &spec.samples_max, 1, 28147497671.0, NULL},
        {"security", CLI_U32, &r->security_bits, 112, 256, NULL},
        {"ring", CLI_U32, &r->ring_degree, 0, MSFL_RING_DEGREE_MAX, NULL},
        {"passphrase-file", CLI_TEXT, &from.passphrase_file, 0, 0, NULL},
        {"keyfile", CLI_TEXT, &from.key_file, 0, 0, NULL},
        {"out", CLI_TEXT, &out, 0, 0, "o"},
        {"json", CLI_FLAG, &json, 0, 0, NULL},
        {0},
    };
    msfl_status status = cli_parse(argc, argv, options, NULL, 0, NULL);
    if (status != MSFL_OK) return status;
    if (out == NULL) return msfl_fail(MSFL_ERR_USAGE, "keygen takes --out FOLDER; see --help");
    spec.clip = (double)(float)spec.clip; /* the range of floats is a float */
    const msfl_scheme *scheme;
    status = msfl_scheme_find(spec.scheme, &scheme);
    if (status != MSFL_OK) return status;
    msfl_unlock *unlock = NULL;
    /* A scheme without keys is told so before anything is asked. */
    if ((msfl_scheme_traits(scheme) & MSFL_SCHEME_KEY_PAIR) != 0) {
        status = cli_unlock_read(&from, "", "passphrase for the new key", true, &unlock);
        if (status != MSFL_OK) return status;
    }
    msfl_keystore_result result;
    status = msfl_keystore_create(out, &spec, unlock, &result);
    msfl_unlock_free(unlock);
    cli_warn_of_unlocked_memory();
    return status == MSFL_OK ? print_result(out, &result, json) : status;
}
