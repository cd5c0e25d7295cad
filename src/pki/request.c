#include "pki/request.h"

#include "base/error.h"
#include "base/mem.h"
#include "pki/signed.h"
#include "text/yaml.h"

#include <time.h>

static const char LABEL[] = "msfl.pki.request.v1";
static const char FORMAT[] = "medsecurefl-request";

msfl_status pki_request_make(const char *federation, const char *name, pki_role role, const pki_identity *identity,
                             const char *csr_pem, msfl_buffer *out) {
    char sign[2 * MSFL_SIGN_PUBLIC_BYTES + 1], box[2 * MSFL_X25519_BYTES + 1];
    msfl_hex(identity->sign, sizeof identity->sign, sign);
    msfl_hex(identity->box, sizeof identity->box, box);
    msfl_put_text(out,
                  "format: %s\nversion: 1\nfederation: %s\nname: %s\nrole: %s\ncreated: %lld\nsign: \"%s\"\n"
                  "box: \"%s\"\ncsr: |\n",
                  FORMAT, federation, name, pki_role_name(role), (long long)time(NULL), sign, box);
    for (const char *at = csr_pem; *at != 0;) {
        size_t n = strcspn(at, "\n");
        msfl_put_text(out, "  %.*s\n", (int)n, at);
        at += n + (at[n] == '\n');
    }
    return pki_signed_close(out, LABEL, identity->sign_secret);
}

static const msfl_yaml *scalar(const msfl_yaml *map, const char *key, size_t size) {
    const msfl_yaml *node = msfl_yaml_get(map, key);
    return node != NULL && node->kind == MSFL_YAML_SCALAR && strlen(node->text) < size ? node : NULL;
}

static msfl_status read_fields(const char *name, const msfl_yaml *root, pki_request *r) {
    static const char *const keys[] = {"format", "version", "federation", "name",      "role", "created",
                                       "sign",   "box",     "csr",        "signature", NULL};
    static const char *const formats[] = {FORMAT, NULL};
    msfl_status status = msfl_yaml_only(name, root, keys);
    if (status != MSFL_OK) return status;
    const msfl_yaml *format = scalar(root, "format", 64), *version = scalar(root, "version", 8),
                    *federation = scalar(root, "federation", sizeof r->federation),
                    *party = scalar(root, "name", sizeof r->name), *role = scalar(root, "role", 32),
                    *sign = scalar(root, "sign", 65), *box = scalar(root, "box", 65),
                    *csr = scalar(root, "csr", sizeof r->csr);
    if (format == NULL || version == NULL || federation == NULL || party == NULL || role == NULL || sign == NULL ||
        box == NULL || csr == NULL) {
        return msfl_fail(MSFL_ERR_FORMAT, "%s is not a request, or a field is missing", name);
    }
    uint32_t number;
    status = msfl_yaml_choice(name, format, "format", formats, &number);
    if (status == MSFL_OK) status = msfl_yaml_u32(name, version, "version", 1, 1, &number);
    if (status == MSFL_OK) status = pki_name_check("federation", federation->text);
    if (status == MSFL_OK) status = pki_name_check("name", party->text);
    if (status == MSFL_OK) status = pki_role_find(role->text, &r->role);
    if (status == MSFL_OK &&
        (!pki_hex_read(sign->text, r->sign, sizeof r->sign) || !pki_hex_read(box->text, r->box, sizeof r->box))) {
        status = msfl_fail(MSFL_ERR_FORMAT, "%s: sign and box are 64 hexadecimal digits each", name);
    }
    if (status != MSFL_OK) return status;
    memcpy(r->federation, federation->text, strlen(federation->text) + 1);
    memcpy(r->name, party->text, strlen(party->text) + 1);
    memcpy(r->csr, csr->text, strlen(csr->text) + 1);
    return MSFL_OK;
}

msfl_status pki_request_parse(const char *name, const char *text, size_t length, pki_request *out) {
    *out = (pki_request){0};
    if (length > PKI_REQUEST_BYTES_MAX) return msfl_fail(MSFL_ERR_LIMIT, "%s: %zu bytes are no request", name, length);
    msfl_yaml *root = NULL;
    msfl_status status = msfl_yaml_parse(name, text, length, &root);
    if (status == MSFL_OK) status = read_fields(name, root, out);
    msfl_yaml_free(root);
    if (status == MSFL_OK) status = pki_signed_check(name, text, length, LABEL, out->sign);
    if (status == MSFL_OK) status = pki_csr_check(out->csr, strlen(out->csr), out->key);
    if (status != MSFL_OK) {
        *out = (pki_request){0};
        return status;
    }
    msfl_hash h;
    uint8_t hash[MSFL_HASH_BYTES];
    msfl_hash_init(&h, "msfl.pki.request-fingerprint.v1");
    msfl_hash_add(&h, text, length);
    msfl_hash_final(&h, hash);
    memcpy(out->fingerprint, hash, sizeof out->fingerprint);
    return MSFL_OK;
}
