#include "dataset/hospital.h"

#include "base/error.h"
#include "base/output.h"
#include "base/private.h"

#include <string.h>

static const char magic[] = "medsecurefl-hospital-key-1 ";
enum { KEY = MSFL_HASH_BYTES, MAGIC = sizeof magic - 1, TEXT = MAGIC + 2 * KEY + 1 };

struct msfl_hospital {
    uint8_t key[KEY];
};

msfl_status msfl_hospital_make(const char *path) {
    msfl_status status = msfl_crypto_init();
    if (status != MSFL_OK) return status;
    uint8_t *key = msfl_secret_alloc(KEY);
    char *text = msfl_secret_alloc(TEXT + 1);
    msfl_output *out = NULL;
    status = key == NULL || text == NULL ? MSFL_ERR_MEMORY : MSFL_OK;
    if (status != MSFL_OK) goto done;
    msfl_random_bytes(key, KEY);
    memcpy(text, magic, MAGIC);
    msfl_hex(key, KEY, text + MAGIC);
    text[TEXT - 1] = '\n';
    status = msfl_output_open(path, MSFL_OUTPUT_NEW | MSFL_OUTPUT_PRIVATE, &out);
    if (status == MSFL_OK) status = msfl_output_write(out, text, TEXT);
    if (status == MSFL_OK) status = msfl_output_commit(out);
done:
    msfl_output_free(out);
    msfl_secret_free(key);
    msfl_secret_free(text);
    return status;
}

/* Without branches on the digits: they are the key. Anything that is no digit gives 255 in `*bad`. */
static uint8_t nibble(uint8_t c, uint8_t *bad) {
    uint32_t digit = (uint32_t)c - '0', letter = (uint32_t)c - 'a';
    /* All ones where it is one: below the bound, and not wrapped around from below. */
    uint32_t is_digit = 0 - (((digit - 10) & ~digit) >> 31), is_letter = 0 - (((letter - 6) & ~letter) >> 31);
    *bad |= (uint8_t) ~(is_digit | is_letter);
    return (uint8_t)((digit & is_digit) | ((letter + 10) & is_letter));
}

msfl_status msfl_hospital_read(const char *path, msfl_hospital **out) {
    *out = NULL;
    msfl_status status = msfl_crypto_init();
    if (status != MSFL_OK) return status;
    uint8_t *text;
    size_t length;
    status = msfl_private_read(path, "the hospital's key", 256, &text, &length);
    if (status != MSFL_OK) return status;
    msfl_hospital *key = NULL;
    uint8_t bad = 0;
    if (length < TEXT - 1 || memcmp(text, magic, MAGIC) != 0) {
        bad = 255;
    } else {
        key = msfl_secret_alloc(sizeof *key);
        for (size_t i = 0; i < KEY && key != NULL; i++)
            key->key[i] = (uint8_t)(nibble(text[MAGIC + 2 * i], &bad) << 4 | nibble(text[MAGIC + 2 * i + 1], &bad));
        if (key == NULL) status = MSFL_ERR_MEMORY;
    }
    msfl_secret_free(text);
    if (status == MSFL_OK && bad != 0) {
        status = msfl_fail(MSFL_ERR_FORMAT, "%s is no hospital key; 'medsecurefl data key FILE' makes one", path);
    }
    if (status != MSFL_OK) {
        msfl_hospital_free(key);
        return status;
    }
    *out = key;
    return MSFL_OK;
}

void msfl_hospital_free(msfl_hospital *key) {
    msfl_secret_free(key);
}

void msfl_hospital_derive(const msfl_hospital *key, const char *purpose, uint8_t out[MSFL_AEAD_KEY_BYTES]) {
    msfl_hash h;
    msfl_hash_init_keyed(&h, key->key, "msfl.hospital.v1");
    msfl_hash_add_field(&h, purpose, strlen(purpose));
    msfl_hash_final(&h, out);
    msfl_hash_clear(&h);
}

void msfl_hospital_pseudonym(const msfl_hospital *key, const uint8_t patient[MSFL_HASH_BYTES],
                             uint8_t out[MSFL_PSEUDONYM_BYTES]) {
    uint8_t whole[MSFL_HASH_BYTES];
    msfl_hash h;
    msfl_hash_init_keyed(&h, key->key, "msfl.pseudonym.v1");
    msfl_hash_add(&h, patient, MSFL_HASH_BYTES);
    msfl_hash_final(&h, whole);
    msfl_hash_clear(&h);
    memcpy(out, whole, MSFL_PSEUDONYM_BYTES);
}
