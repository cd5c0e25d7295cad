/* What opens a sealed key, and how it becomes 32 bytes. */
#ifndef MSFL_VAULT_UNLOCK_H
#define MSFL_VAULT_UNLOCK_H

#include "base/sodium.h"
#include "medsecurefl/keyfile.h"

typedef enum vault_kdf { VAULT_ARGON2ID = 1, VAULT_KEY_FILE = 2 } vault_kdf;

/** How a sealed key was locked; public, stands in its file. */
typedef struct vault_lock {
    uint32_t kdf;          /**< vault_kdf */
    uint32_t passes;       /**< 0 for a key file */
    uint64_t memory_bytes; /**< 0 for a key file */
    uint8_t salt[MSFL_ARGON_SALT_BYTES];
} vault_lock;

/* Bounds of what a file may ask for. Below the lower ones a guess would be cheap, and nothing of ours writes them; the
 * upper ones, together some 20 seconds and a gigabyte, are what a hostile file can cost its reader. */
enum { VAULT_PASSES_MIN = 1, VAULT_PASSES_MAX = 16 };
#define VAULT_MEMORY_MIN ((uint64_t)8 << 20)
#define VAULT_MEMORY_MAX ((uint64_t)1 << 30)

/** A fresh lock for what `unlock` is: random salt, Argon2id with 3 passes over 256 MiB. */
void vault_lock_new(const msfl_unlock *unlock, vault_lock *out);
/** ERR_FORMAT for a kind that does not exist, ERR_LIMIT for costs outside the bounds. */
msfl_status vault_lock_check(const vault_lock *lock) MSFL_NODISCARD;
/** 32 bytes, in `key`, secret memory of the caller. ERR_MISMATCH for the other kind of unlock. */
msfl_status vault_lock_key(const vault_lock *lock, const msfl_unlock *unlock,
                           uint8_t key[MSFL_AEAD_KEY_BYTES]) MSFL_NODISCARD;

/** Tests only: locks made from now on cost this much; 0, 0: as documented. */
void vault_lock_cost(uint32_t passes, uint64_t memory_bytes);

#endif
