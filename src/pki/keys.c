#include "pki/keys.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

msfl_status pki_keys_new(pki_keys *out) {
    *out = (pki_keys){0};
    msfl_status status = pki_key_new(&out->tls, &out->tls_length);
    return status == MSFL_OK ? pki_identity_new(NULL, &out->identity) : status;
}

msfl_status pki_keys_of(const char *folder, const msfl_unlock *unlock, pki_keep keep, pki_keys *out,
                        pki_config *config) {
    *out = (pki_keys){0};
    *config = (pki_config){0};
    char *text = NULL, *tls = msfl_path_join(folder, PKI_FILE_KEY),
         *identity = msfl_path_join(folder, PKI_FILE_IDENTITY);
    size_t length;
    msfl_status status = tls == NULL || identity == NULL ? MSFL_NO_MEMORY : msfl_crypto_init();
    if (status == MSFL_OK) status = pki_folder_read(folder, PKI_FILE_CONFIG, PKI_CONFIG_BYTES_MAX, &text, &length);
    if (status == MSFL_OK) status = pki_config_parse(PKI_FILE_CONFIG, text, length, config);
    if (status == MSFL_OK) status = pki_identity_read(identity, PKI_FILE_IDENTITY, unlock, &out->identity);
    if (status == MSFL_OK) {
        status = keep == PKI_KEEP_BOTH ? pki_secret_read(tls, PKI_FILE_KEY, unlock, &out->tls, &out->tls_length)
                                       : pki_key_new(&out->tls, &out->tls_length);
    }
    msfl_free(text);
    msfl_free(tls);
    msfl_free(identity);
    return status == MSFL_OK ? status : msfl_fail_in(status, "the kit %s", folder);
}

void pki_keys_clear(pki_keys *keys) {
    msfl_secret_free(keys->tls);
    msfl_secret_free(keys->identity);
    *keys = (pki_keys){0};
}

static msfl_status refuse_keys(const char *path) {
    if (!msfl_file_exists(path)) return MSFL_OK;
    return msfl_fail(MSFL_ERR_EXISTS, "%s is there; keys are never overwritten", path);
}

msfl_status pki_keys_write(const pki_keys *keys, const char *folder, const pki_sealer *sealer) {
    char *tls = msfl_path_join(folder, PKI_FILE_KEY), *identity = msfl_path_join(folder, PKI_FILE_IDENTITY);
    msfl_status status = tls == NULL || identity == NULL ? MSFL_NO_MEMORY : MSFL_OK;
    if (status == MSFL_OK) status = refuse_keys(tls);
    if (status == MSFL_OK) status = refuse_keys(identity);
    if (status == MSFL_OK) status = pki_secret_write(tls, PKI_FILE_KEY, keys->tls, keys->tls_length, sealer);
    if (status == MSFL_OK) status = pki_identity_write(identity, PKI_FILE_IDENTITY, keys->identity, sealer);
    msfl_free(tls);
    msfl_free(identity);
    return status;
}

msfl_status pki_keys_request(const pki_keys *keys, const char *federation, const char *name, pki_role role,
                             msfl_buffer *text, pki_request *request) {
    char *csr = NULL;
    msfl_status status = pki_csr_new(keys->tls, keys->tls_length, name, &csr);
    if (status == MSFL_OK) status = pki_request_make(federation, name, role, keys->identity, csr, text);
    if (status == MSFL_OK) status = pki_request_parse("the request", (const char *)text->bytes, text->length, request);
    msfl_free(csr);
    return status;
}
