/* layer: vault */
/* Key files and revocations, whatever their bytes. The first byte chooses: 0 a key file as it is, 1 a key file whose
 * closing hash is put right first, so that the fields behind it are reached, 2 and 3 the same with revocations, 4 a key
 * file that its maker also signed: anyone can, under an identity of their own, so parameters and key are reached. */
#include "base/bytes.h"
#include "base/mem.h"
#include "vault/keyfile.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fix_hash(const char *label, uint8_t *bytes, size_t size) {
    if (size < MSFL_HASH_BYTES) return;
    vault_hash(label, bytes, size - MSFL_HASH_BYTES, bytes + size - MSFL_HASH_BYTES);
    if (size >= 24) msfl_store64(bytes + 16, size); /* of a key file; a revocation has its id there */
    vault_hash(label, bytes, size - MSFL_HASH_BYTES, bytes + size - MSFL_HASH_BYTES);
}

static void sign_as_own(uint8_t *bytes, size_t size) {
    enum { FIXED = 160, IDENTITY_AT = 112, PREDECESSOR = MSFL_KEY_ID_BYTES + MSFL_IDENTITY_BYTES };
    static const uint8_t seed[MSFL_SIGN_SEED_BYTES] = {7};
    uint8_t secret[MSFL_SIGN_SECRET_BYTES], hash[MSFL_HASH_BYTES];
    const size_t tail = 2 * MSFL_SIGN_BYTES + MSFL_HASH_BYTES;
    if (size < FIXED + PREDECESSOR + tail) return;
    size_t adder = msfl_load32(bytes + 144);
    if (adder > size - FIXED - PREDECESSOR - tail) return;
    memset(bytes + FIXED + adder, 0, PREDECESSOR);
    msfl_sign_keypair(seed, bytes + IDENTITY_AT, secret);
    msfl_store64(bytes + 16, size);
    msfl_store32(bytes + 148, (uint32_t)(size - FIXED - adder - PREDECESSOR - tail));
    vault_hash("msfl.vault.public.v1", bytes, size - tail, hash);
    msfl_sign(secret, hash, sizeof hash, bytes + size - tail);
    memset(bytes + size - tail + MSFL_SIGN_BYTES, 0, MSFL_SIGN_BYTES);
}

static void read_key(const uint8_t *bytes, size_t size) {
    msfl_keyfile *file;
    if (msfl_keyfile_parse("fuzz", bytes, size, &file) != MSFL_OK) {
        if (file != NULL) abort();
        return;
    }
    const msfl_keyfile_info *info = msfl_keyfile_info_borrow(file);
    if (info->half == MSFL_KEY_PUBLIC) {
        msfl_setup *setup;
        msfl_keys *keys;
        if (msfl_keyfile_open(file, 10, NULL, &setup, &keys) == MSFL_OK) {
            if (msfl_keys_has(keys, MSFL_KEY_SECRET)) abort();
            msfl_keys_free(keys);
            msfl_setup_free(setup);
        } else if (setup != NULL || keys != NULL) {
            abort();
        }
    } else if (info->argon_bytes > VAULT_MEMORY_MAX || info->argon_passes > VAULT_PASSES_MAX) {
        abort();
    }
    msfl_keyfile_free(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1 || msfl_crypto_init() != MSFL_OK) return 0;
    uint8_t *bytes = malloc(size); /* exactly as long as it says: the sanitizer sees an overrun */
    if (bytes == NULL) return 0;
    memcpy(bytes, data + 1, size - 1);
    msfl_revocation r;
    switch (data[0] % 5) {
    case 4:
        sign_as_own(bytes, size - 1);
        fix_hash("msfl.vault.key-file.v1", bytes, size - 1);
        read_key(bytes, size - 1);
        break;
    case 1:
        fix_hash("msfl.vault.key-file.v1", bytes, size - 1);
        read_key(bytes, size - 1);
        break;
    case 2:
        if (msfl_revocation_parse("fuzz", bytes, size - 1, &r) == MSFL_OK &&
            r.reason[MSFL_REVOCATION_REASON_MAX] != 0) {
            abort();
        }
        break;
    case 3:
        if (size > MSFL_HASH_BYTES) {
            vault_hash("msfl.vault.revocation-file.v1", bytes, size - 1 - MSFL_HASH_BYTES,
                       bytes + size - 1 - MSFL_HASH_BYTES);
        }
        (void)!msfl_revocation_parse("fuzz", bytes, size - 1, &r);
        break;
    default:
        read_key(bytes, size - 1);
    }
    free(bytes);
    return 0;
}
