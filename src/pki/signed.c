#include "pki/signed.h"

#include "base/error.h"
#include "pki/names.h"

static const char FIELD[] = "signature: ";
enum { FIELD_BYTES = sizeof FIELD - 1, LINE_BYTES = FIELD_BYTES + 2 * MSFL_SIGN_BYTES + 1 };

static void hash_of(const char *label, const void *bytes, size_t length, uint8_t out[MSFL_HASH_BYTES]) {
    msfl_hash h;
    msfl_hash_init(&h, label);
    msfl_hash_add(&h, bytes, length);
    msfl_hash_final(&h, out);
}

msfl_status pki_signed_close(msfl_buffer *text, const char *label, const uint8_t secret[MSFL_SIGN_SECRET_BYTES]) {
    if (text->status != MSFL_OK) return text->status;
    uint8_t hash[MSFL_HASH_BYTES], signature[MSFL_SIGN_BYTES];
    char hex[2 * MSFL_SIGN_BYTES + 1];
    hash_of(label, text->bytes, text->length, hash);
    msfl_sign(secret, hash, sizeof hash, signature);
    msfl_hex(signature, sizeof signature, hex);
    msfl_put_text(text, "%s%s\n", FIELD, hex);
    return text->status;
}

msfl_status pki_signed_check(const char *name, const char *text, size_t length, const char *label,
                             const uint8_t key[MSFL_SIGN_PUBLIC_BYTES]) {
    uint8_t hash[MSFL_HASH_BYTES], signature[MSFL_SIGN_BYTES];
    char hex[2 * MSFL_SIGN_BYTES + 1];
    bool has_line = length > LINE_BYTES && text[length - 1] == '\n';
    if (has_line) {
        const char *line = text + length - LINE_BYTES;
        memcpy(hex, line + FIELD_BYTES, sizeof hex - 1);
        hex[sizeof hex - 1] = 0;
        has_line =
            line[-1] == '\n' && memcmp(line, FIELD, FIELD_BYTES) == 0 && pki_hex_read(hex, signature, sizeof signature);
    }
    if (!has_line) {
        return msfl_fail(MSFL_ERR_FORMAT, "%s does not end in a signature: it was cut off, or edited", name);
    }
    hash_of(label, text, length - LINE_BYTES, hash);
    if (msfl_sign_verify(key, hash, sizeof hash, signature)) return MSFL_OK;
    return msfl_fail(MSFL_ERR_CRYPTO, "%s is not signed by the key that it must be signed by, or was changed", name);
}
