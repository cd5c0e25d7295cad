#include "ring/aes.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/sodium.h"

#include <openssl/evp.h>
#include <stdatomic.h>
#include <string.h>

/** A running stream of a kernel; in secret memory. */
typedef struct running {
    uint8_t schedule[MSFL_AES_SCHEDULE_BYTES];
    uint8_t counter[MSFL_AES_BLOCK]; /* of the next block */
    uint8_t rest[MSFL_AES_BLOCK];    /* the last `n_rest` bytes of it are those of the stream that come next */
    size_t n_rest, key_bytes;
} running;

struct msfl_aes {
    const msfl_aes_kernel *kernel;
    running *own; /* with a kernel; otherwise: */
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

/* A stream of a kernel cannot fail; where a test asks for it, it fails as libcrypto would, so that what follows a
 * failure is tested on every machine. */
msfl_status msfl_aes_new(const msfl_kernel *kernel, msfl_aes **out) {
    *out = NULL;
    msfl_aes *aes = msfl_alloc(1, sizeof *aes);
    if (aes == NULL) return MSFL_ERR_MEMORY;
    if (must_fail()) {
        msfl_aes_free(aes);
        return msfl_fail(MSFL_ERR_SYSTEM, "libcrypto offers no AES in counter mode (made to fail by a test)");
    }
    if (kernel != NULL && kernel->aes != NULL) {
        aes->kernel = kernel->aes;
        aes->own = msfl_secret_alloc(sizeof *aes->own);
        if (aes->own == NULL) {
            msfl_aes_free(aes);
            return MSFL_ERR_MEMORY;
        }
    } else {
        aes->ctx = EVP_CIPHER_CTX_new();
        aes->aes128 = EVP_CIPHER_fetch(NULL, "AES-128-CTR", NULL);
        aes->aes256 = EVP_CIPHER_fetch(NULL, "AES-256-CTR", NULL);
        if (aes->ctx == NULL || aes->aes128 == NULL || aes->aes256 == NULL) {
            msfl_aes_free(aes);
            return msfl_fail(MSFL_ERR_SYSTEM, "libcrypto offers no AES in counter mode (a restricted configuration?)");
        }
    }
    *out = aes;
    return MSFL_OK;
}

void msfl_aes_free(msfl_aes *aes) {
    if (aes == NULL) return;
    msfl_secret_free(aes->own);
    EVP_CIPHER_CTX_free(aes->ctx); /* wipes the key schedule */
    EVP_CIPHER_free(aes->aes128);
    EVP_CIPHER_free(aes->aes256);
    msfl_free(aes);
}

msfl_status msfl_aes_start(msfl_aes *aes, const uint8_t *key, size_t key_bytes, const uint8_t iv[MSFL_AES_BLOCK]) {
    if (must_fail()) return msfl_fail(MSFL_ERR_SYSTEM, "libcrypto refused to start an AES stream");
    if (aes->kernel != NULL) {
        aes->kernel->schedule(aes->own->schedule, key, key_bytes);
        memcpy(aes->own->counter, iv, MSFL_AES_BLOCK);
        aes->own->n_rest = 0;
        aes->own->key_bytes = key_bytes;
        return MSFL_OK;
    }
    const EVP_CIPHER *cipher = key_bytes == 32 ? aes->aes256 : aes->aes128;
    if (EVP_EncryptInit_ex2(aes->ctx, cipher, key, iv, NULL) != 1) {
        return msfl_fail(MSFL_ERR_SYSTEM, "libcrypto refused to start an AES stream");
    }
    return MSFL_OK;
}

static void read_own(const msfl_aes_kernel *kernel, running *r, uint8_t *out, size_t length) {
    size_t now = length < r->n_rest ? length : r->n_rest;
    memcpy(out, r->rest + MSFL_AES_BLOCK - r->n_rest, now);
    r->n_rest -= now;
    out += now;
    length -= now;
    size_t blocks = length / MSFL_AES_BLOCK;
    if (blocks > 0) kernel->stream(r->schedule, r->key_bytes, r->counter, out, blocks);
    out += blocks * MSFL_AES_BLOCK;
    length -= blocks * MSFL_AES_BLOCK;
    if (length == 0) return;
    kernel->stream(r->schedule, r->key_bytes, r->counter, r->rest, 1);
    memcpy(out, r->rest, length);
    r->n_rest = MSFL_AES_BLOCK - length;
}

msfl_status msfl_aes_read(msfl_aes *aes, uint8_t *out, size_t length) {
    if (must_fail()) return msfl_fail(MSFL_ERR_SYSTEM, "libcrypto stopped an AES stream");
    if (aes->kernel != NULL) {
        read_own(aes->kernel, aes->own, out, length);
        return MSFL_OK;
    }
    /* The stream is what zeros are encrypted to. */
    static const uint8_t zeros[8192];
    while (length > 0) {
        int part = length < sizeof zeros ? (int)length : (int)sizeof zeros, written = 0;
        if (EVP_EncryptUpdate(aes->ctx, out, &written, zeros, part) != 1 || written != part) {
            return msfl_fail(MSFL_ERR_SYSTEM, "libcrypto stopped an AES stream");
        }
        out += part;
        length -= (size_t)part;
    }
    return MSFL_OK;
}
