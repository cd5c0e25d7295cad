/* layer: he */
/* Paillier keys and chunks, whatever their bytes: a key that is read writes itself back, a chunk that is refused leaves
 * the sum as it was. The first byte chooses: 0 public key, 1 secret key, 2 a chunk, 3 ciphertexts behind a good header.
 */
#include "base/sodium.h"
#include "he/paillier.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static msfl_paillier_secret *key_made_once(void) {
    static msfl_paillier_secret *key;
    if (key == NULL && (msfl_crypto_init() != MSFL_OK || msfl_paillier_keygen(2048, &key) != MSFL_OK)) abort();
    return key;
}

static void read_public(const uint8_t *data, size_t size) {
    msfl_paillier_public *key;
    uint8_t again[MSFL_PAILLIER_PUBLIC_BYTES_MAX];
    if (msfl_paillier_public_read(data, size, &key) != MSFL_OK) return;
    if (msfl_paillier_public_bytes(key) != size) abort();
    msfl_paillier_public_write(key, again);
    if (memcmp(again, data, size) != 0) abort();
    msfl_paillier_public_free(key);
}

static void read_secret(const uint8_t *data, size_t size) {
    msfl_paillier_secret *key;
    uint8_t again[MSFL_PAILLIER_SECRET_BYTES_MAX];
    if (msfl_paillier_secret_read(data, size, &key) != MSFL_OK) return;
    if (msfl_paillier_secret_bytes(key) != size) abort();
    msfl_paillier_secret_write(key, again);
    if (memcmp(again, data, size) != 0) abort();
    msfl_paillier_secret_free(key);
}

static void read_chunk(const uint8_t *data, size_t size, bool good_header) {
    enum { VALUES = 3, BYTES = MSFL_PAILLIER_HEADER_BYTES + 2 * 512 };
    static const uint8_t label[MSFL_HASH_BYTES];
    msfl_paillier_secret *key = key_made_once();
    const msfl_paillier_public *public = msfl_paillier_public_borrow(key);
    msfl_paillier_shape shape;
    if (msfl_paillier_plan(2048, 4, 8, VALUES, 2, &shape) != MSFL_OK) abort();
    uint8_t chunk[BYTES] = {0}, sum[BYTES], kept[BYTES];
    uint64_t totals[VALUES];
    if (good_header) {
        msfl_paillier_header_write(public, &shape, label, 0, chunk);
        chunk[MSFL_PAILLIER_HEADER_BYTES] = chunk[MSFL_PAILLIER_HEADER_BYTES + 512] = 1; /* encryptions of 0, badly */
        memcpy(sum, chunk, BYTES);
        size_t room = BYTES - MSFL_PAILLIER_HEADER_BYTES;
        memcpy(chunk + MSFL_PAILLIER_HEADER_BYTES, data, size < room ? size : room);
        data = chunk;
        size = BYTES;
    } else {
        memcpy(sum, chunk, BYTES);
    }
    memcpy(kept, sum, BYTES);
    msfl_status checked = msfl_paillier_check(public, &shape, label, 0, data, size, NULL);
    if (checked == MSFL_OK && size != BYTES) abort();
    if (size == BYTES) {
        msfl_status added = msfl_paillier_add(public, &shape, label, 0, sum, data, size);
        if (good_header && (added == MSFL_OK) != (checked == MSFL_OK)) abort();
        if (added != MSFL_OK && memcmp(sum, kept, BYTES) != 0) abort();
    }
    msfl_status opened = msfl_paillier_decrypt(key, &shape, label, 0, data, size, NULL, totals);
    for (size_t i = 0; i < VALUES; i++) {
        if (opened == MSFL_OK ? totals[i] > 4 * 255 : totals[i] != 0) abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1) return 0;
    switch (data[0] % 4) {
    case 0:
        read_public(data + 1, size - 1);
        break;
    case 1:
        read_secret(data + 1, size - 1);
        break;
    default:
        read_chunk(data + 1, size - 1, data[0] % 4 == 3);
    }
    return 0;
}
