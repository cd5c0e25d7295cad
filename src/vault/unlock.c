#include "vault/unlock.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/private.h"
#include "base/taint.h"

#include <stdatomic.h>

struct msfl_unlock { /* lies in secret memory */
    vault_kdf kind;
    size_t length;
    uint8_t bytes[];
};

static const uint32_t PASSES = 3;
static const uint64_t MEMORY_BYTES = (uint64_t)256 << 20;

static atomic_uint cheap_passes;
static atomic_ullong cheap_memory;

void vault_lock_cost(uint32_t passes, uint64_t memory_bytes) {
    atomic_store(&cheap_passes, passes);
    atomic_store(&cheap_memory, memory_bytes);
}

static msfl_status make(vault_kdf kind, const void *bytes, size_t length, msfl_unlock **out) {
    msfl_unlock *unlock = msfl_secret_alloc((sizeof *unlock + length + 63) / 64 * 64); /* such sizes are aligned */
    if (unlock == NULL) return MSFL_ERR_MEMORY;
    unlock->kind = kind;
    unlock->length = length;
    memcpy(unlock->bytes, bytes, length);
    *out = unlock;
    return MSFL_OK;
}

msfl_status msfl_unlock_passphrase(const char *passphrase, size_t length, msfl_unlock **out) {
    *out = NULL;
    msfl_status status = msfl_crypto_init();
    if (status != MSFL_OK) return status;
    /* Whether the file ends in a line break is no secret; its last characters are, if they are others. */
    bool has_break = length > 0 && passphrase[length - 1] == '\n';
    MSFL_DECLASSIFY(&has_break, sizeof has_break);
    if (has_break) length--;
    has_break = length > 0 && passphrase[length - 1] == '\r';
    MSFL_DECLASSIFY(&has_break, sizeof has_break);
    if (has_break) length--;
    if (length == 0) return msfl_fail(MSFL_ERR_USAGE, "the passphrase is empty");
    if (length > MSFL_PASSPHRASE_BYTES_MAX) {
        return msfl_fail(MSFL_ERR_USAGE, "the passphrase has more than %d bytes", MSFL_PASSPHRASE_BYTES_MAX);
    }
    unsigned has_control = 0; /* no early exit: where one stands is nobody's business */
    for (size_t i = 0; i < length; i++)
        has_control |= (unsigned)((uint8_t)passphrase[i] < 0x20) | (unsigned)(passphrase[i] == 0x7f);
    MSFL_DECLASSIFY(&has_control, sizeof has_control); /* the refusal */
    if (has_control) {
        return msfl_fail(MSFL_ERR_USAGE, "the passphrase holds a control character, or has more than one line; random "
                                         "bytes go into a key file");
    }
    return make(VAULT_ARGON2ID, passphrase, length, out);
}

msfl_status msfl_unlock_passphrase_file(const char *path, uint32_t *others, msfl_unlock **out) {
    uint32_t unasked;
    if (others == NULL) others = &unasked;
    *others = 0;
    *out = NULL;
    msfl_status status = msfl_crypto_init();
    if (status != MSFL_OK) return status;
    uint8_t *bytes;
    size_t length;
    status = msfl_personal_read(path, "the passphrase file", MSFL_PASSPHRASE_BYTES_MAX + 2, &bytes, &length, others);
    if (status != MSFL_OK) return status;
    MSFL_SECRET(bytes, length);
    status = msfl_unlock_passphrase((const char *)bytes, length, out);
    if (status != MSFL_OK) status = msfl_fail_in(status, "%s", path);
    msfl_secret_free(bytes);
    return status;
}

msfl_status msfl_unlock_key_file(const char *path, msfl_unlock **out) {
    *out = NULL;
    msfl_status status = msfl_crypto_init();
    if (status != MSFL_OK) return status;
    uint8_t *bytes;
    size_t length;
    status = msfl_private_read(path, "the key file", MSFL_UNLOCK_FILE_BYTES_MAX, &bytes, &length);
    if (status != MSFL_OK) return status;
    MSFL_SECRET(bytes, length);
    if (length < MSFL_UNLOCK_FILE_BYTES_MIN) {
        status = msfl_fail(MSFL_ERR_POLICY,
                           "the key file %s has %zu bytes; %d random ones are the least: head -c 32 /dev/urandom", path,
                           length, MSFL_UNLOCK_FILE_BYTES_MIN);
    } else {
        status = make(VAULT_KEY_FILE, bytes, length, out);
    }
    msfl_secret_free(bytes);
    return status;
}

/** How many different bytes there are in it. No table of those that were seen: its addresses would be the passphrase's
 *  characters. */
static unsigned distinct_bytes(const msfl_unlock *unlock) {
    unsigned distinct = 0;
    for (unsigned value = 0; value < 256; value++) {
        unsigned found = 0;
        for (size_t i = 0; i < unlock->length; i++)
            found |= (unsigned)(unlock->bytes[i] == value);
        distinct += found;
    }
    return distinct;
}

msfl_status msfl_unlock_check_new(const msfl_unlock *unlock) {
    unsigned distinct = distinct_bytes(unlock);
    bool is_random = distinct >= 16, is_varied = distinct >= 3;
    MSFL_DECLASSIFY(&is_random, sizeof is_random); /* the refusals */
    MSFL_DECLASSIFY(&is_varied, sizeof is_varied);
    if (unlock->kind == VAULT_KEY_FILE) {
        /* 32 random bytes have fewer than 16 different ones in less than one of 2^40 cases. */
        if (is_random) return MSFL_OK;
        return msfl_fail(MSFL_ERR_POLICY,
                         "the key file does not hold random bytes: head -c 32 /dev/urandom makes them");
    }
    if (unlock->length < MSFL_PASSPHRASE_BYTES_MIN) {
        return msfl_fail(MSFL_ERR_POLICY,
                         "the passphrase has fewer than %d characters; five or six random words are good",
                         MSFL_PASSPHRASE_BYTES_MIN);
    }
    if (!is_varied) {
        return msfl_fail(MSFL_ERR_POLICY, "the passphrase repeats fewer than three different characters");
    }
    return MSFL_OK;
}

bool msfl_unlock_is_weak(const msfl_unlock *unlock) {
    if (unlock->kind == VAULT_KEY_FILE) return false;
    bool is_weak = (unsigned)(unlock->length < MSFL_PASSPHRASE_BYTES_GOOD) | (unsigned)(distinct_bytes(unlock) < 5);
    MSFL_DECLASSIFY(&is_weak, sizeof is_weak); /* the warning */
    return is_weak;
}

void msfl_unlock_free(msfl_unlock *unlock) {
    if (unlock != NULL) msfl_secret_free(unlock);
}

void vault_lock_new(const msfl_unlock *unlock, vault_lock *out) {
    *out = (vault_lock){.kdf = unlock->kind};
    if (unlock->kind == VAULT_ARGON2ID) {
        uint32_t passes = atomic_load(&cheap_passes);
        uint64_t memory = atomic_load(&cheap_memory);
        out->passes = passes != 0 ? passes : PASSES;
        out->memory_bytes = memory != 0 ? memory : MEMORY_BYTES;
    }
    msfl_random_bytes(out->salt, sizeof out->salt);
    MSFL_DECLASSIFY(out->salt, sizeof out->salt); /* stands in the file */
}

msfl_status vault_lock_check(const vault_lock *lock) {
    if (lock->kdf == VAULT_KEY_FILE) {
        if (lock->passes == 0 && lock->memory_bytes == 0) return MSFL_OK;
        return msfl_fail(MSFL_ERR_FORMAT, "a key file has no Argon2id costs, but some are stated");
    }
    if (lock->kdf != VAULT_ARGON2ID) return msfl_fail(MSFL_ERR_FORMAT, "sealed in an unknown way (%u)", lock->kdf);
    if (lock->passes < VAULT_PASSES_MIN || lock->passes > VAULT_PASSES_MAX || lock->memory_bytes < VAULT_MEMORY_MIN ||
        lock->memory_bytes > VAULT_MEMORY_MAX || lock->memory_bytes % 1024 != 0) {
        return msfl_fail(MSFL_ERR_LIMIT,
                         "it asks for %u passes of Argon2id over %llu KiB; %d to %d over %llu to %llu KiB are accepted",
                         lock->passes, (unsigned long long)(lock->memory_bytes >> 10), VAULT_PASSES_MIN,
                         VAULT_PASSES_MAX, (unsigned long long)(VAULT_MEMORY_MIN >> 10),
                         (unsigned long long)(VAULT_MEMORY_MAX >> 10));
    }
    return MSFL_OK;
}

msfl_status vault_lock_key(const vault_lock *lock, const msfl_unlock *unlock, uint8_t key[MSFL_AEAD_KEY_BYTES]) {
    if (lock->kdf != (uint32_t)unlock->kind) {
        return msfl_fail(MSFL_ERR_MISMATCH, lock->kdf == VAULT_ARGON2ID
                                                ? "it was sealed under a passphrase, and a key file is at hand"
                                                : "it was sealed under a key file, and a passphrase is at hand");
    }
    msfl_status status = vault_lock_check(lock);
    if (status != MSFL_OK) return status;
    if (lock->kdf == VAULT_ARGON2ID) {
        return msfl_argon2id(unlock->bytes, unlock->length, lock->salt, lock->passes, lock->memory_bytes, key);
    }
    msfl_hash h; /* on the stack for a moment, and wiped: it holds nothing that the key file's bytes follow from */
    msfl_hash_init(&h, "msfl.vault.seal-key.v1"); /* not the label of the closing hash, which is public */
    msfl_hash_add(&h, lock->salt, sizeof lock->salt);
    msfl_hash_add_field(&h, unlock->bytes, unlock->length);
    msfl_hash_final(&h, key);
    msfl_wipe(&h, sizeof h);
    return MSFL_OK;
}
