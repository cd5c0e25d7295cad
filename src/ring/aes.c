#include "ring/aes.h"

#include "base/error.h"
#include "base/mem.h"

#include <openssl/evp.h>
#include <stdatomic.h>

struct msfl_aes {
    EVP_CIPHER_CTX *ctx;
    EVP_CIPHER *aes128, *aes256; /* fetched once: a lookup for every stream would cost more than a short stream */
};

static atomic_long fail_countdown;

void msfl_aes_fail_at(long k) {
    atomic_store(&fail_countdown, k);
}

static bool must_fail(void) {
    if (atomic_load_explicit(&fail_countdown, memory_order_relaxed) == 0) return false;
    return atomic_fetch_sub(&fail_countdown, 1) == 1;
}

msfl_status msfl_aes_new(msfl_aes **out) {
    *out = NULL;
    msfl_aes *aes = msfl_alloc(1, sizeof *aes);
    if (aes == NULL) return MSFL_ERR_MEMORY;
    aes->ctx = EVP_CIPHER_CTX_new();
    aes->aes128 = EVP_CIPHER_fetch(NULL, "AES-128-CTR", NULL);
    aes->aes256 = EVP_CIPHER_fetch(NULL, "AES-256-CTR", NULL);
    if (aes->ctx == NULL || aes->aes128 == NULL || aes->aes256 == NULL || must_fail()) {
        msfl_aes_free(aes);
        return msfl_fail(MSFL_ERR_SYSTEM, "libcrypto offers no AES in counter mode (a restricted configuration?)");
    }
    *out = aes;
    return MSFL_OK;
}

void msfl_aes_free(msfl_aes *aes) {
    if (aes == NULL) return;
    EVP_CIPHER_CTX_free(aes->ctx); /* wipes the key schedule */
    EVP_CIPHER_free(aes->aes128);
    EVP_CIPHER_free(aes->aes256);
    msfl_free(aes);
}

msfl_status msfl_aes_start(msfl_aes *aes, const uint8_t *key, size_t key_bytes, const uint8_t iv[MSFL_AES_BLOCK]) {
    const EVP_CIPHER *cipher = key_bytes == 32 ? aes->aes256 : aes->aes128;
    if (must_fail() || EVP_EncryptInit_ex2(aes->ctx, cipher, key, iv, NULL) != 1) {
        return msfl_fail(MSFL_ERR_SYSTEM, "libcrypto refused to start an AES stream");
    }
    return MSFL_OK;
}

msfl_status msfl_aes_read(msfl_aes *aes, uint8_t *out, size_t length) {
    /* The stream is what zeros are encrypted to. */
    static const uint8_t zeros[8192];
    while (length > 0) {
        int part = length < sizeof zeros ? (int)length : (int)sizeof zeros, written = 0;
        if (must_fail() || EVP_EncryptUpdate(aes->ctx, out, &written, zeros, part) != 1 || written != part) {
            return msfl_fail(MSFL_ERR_SYSTEM, "libcrypto stopped an AES stream");
        }
        out += part;
        length -= (size_t)part;
    }
    return MSFL_OK;
}
