/* layer: vault */
/* Ciphertext files, whatever their bytes. With an odd first byte the hashes of header, chunks and end are put right
 * first, and the label, so that everything behind them is reached. A header that is accepted writes itself back. */
#include "base/bytes.h"
#include "base/mem.h"
#include "vault/stream.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** Label and hash of the header as they should be; its length. 0: no header to speak of. */
static size_t fix_header(uint8_t *p, size_t size) {
    if (size < 300) return 0;
    size_t length = msfl_load32(p + 12);
    if (length < 200 || length > size) return 0;
    /* The label covers what stands between the number of chunks (at 72) and the addends, whose number ends the header:
     * try every number that the length allows. */
    for (size_t n = 1; n < 8 && 16 * n + 4 + MSFL_HASH_BYTES + 200 <= length; n++) {
        size_t end = length - MSFL_HASH_BYTES - 16 * n - 4;
        if (msfl_load32(p + end) == n) vault_hash("msfl.vault.label.v1", p + 72, end - 72, p + 32);
    }
    vault_hash("msfl.vault.header.v1", p, length - MSFL_HASH_BYTES, p + length - MSFL_HASH_BYTES);
    return length;
}

/** Hashes of chunks and end, where the lengths that stand there allow it. */
static void fix_chunks(uint8_t *p, size_t head, size_t size) {
    uint8_t key[MSFL_HASH_BYTES];
    msfl_hash all, h;
    vault_hash("msfl.vault.chunks.v1", p + head - MSFL_HASH_BYTES, MSFL_HASH_BYTES, key);
    msfl_hash_init_keyed(&all, key, "msfl.vault.end.v1");
    size_t at = head;
    while (size - at > VAULT_END_BYTES + VAULT_CHUNK_HEAD_BYTES + MSFL_HASH_BYTES) {
        size_t length = msfl_load32(p + at + 8);
        if (length > size - at - VAULT_CHUNK_HEAD_BYTES - MSFL_HASH_BYTES) return;
        msfl_hash_init_keyed(&h, key, "msfl.vault.chunk.v1");
        msfl_hash_add(&h, p + at, VAULT_CHUNK_HEAD_BYTES + length);
        at += VAULT_CHUNK_HEAD_BYTES + length;
        msfl_hash_final(&h, p + at);
        msfl_hash_add(&all, p + at, MSFL_HASH_BYTES);
        at += MSFL_HASH_BYTES;
    }
    if (size - at != VAULT_END_BYTES) return;
    msfl_hash_add(&all, p + at, VAULT_END_BYTES - MSFL_HASH_BYTES);
    msfl_hash_final(&all, p + at + VAULT_END_BYTES - MSFL_HASH_BYTES);
}

static void read_header(const uint8_t *p, size_t size) {
    vault_head head;
    size_t length;
    if (size < VAULT_HEAD_PREFIX_BYTES || vault_head_length(p, &length) != MSFL_OK || length > size) return;
    if (vault_head_parse(p, length, &head) != MSFL_OK) return;
    msfl_buffer again = {0};
    if (vault_head_put(&head, &again) != MSFL_OK || again.length != length || memcmp(again.bytes, p, length) != 0)
        abort();
    msfl_buffer_clear(&again);
    vault_head_clear(&head);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2 || msfl_crypto_init() != MSFL_OK) return 0;
    size_t n = size - 1;
    uint8_t *p = malloc(n);
    if (p == NULL) return 0;
    memcpy(p, data + 1, n);
    if (data[0] % 2 == 1) {
        size_t head = fix_header(p, n);
        if (head != 0) fix_chunks(p, head, n);
    }
    read_header(p, n);
    FILE *file = fmemopen(p, n, "rb");
    msfl_cipher *cipher;
    if (file != NULL && vault_cipher_from("fuzz", file, n, &cipher) == MSFL_OK) {
        (void)!msfl_cipher_verify(cipher, NULL);
        msfl_cipher_free(cipher);
    }
    free(p);
    return 0;
}
