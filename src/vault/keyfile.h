/* One key file in memory: its bytes, and what they say. */
#ifndef MSFL_VAULT_KEYFILE_H
#define MSFL_VAULT_KEYFILE_H

#include "base/bytes.h"
#include "vault/unlock.h"

/** With its closing zero eight bytes. */
#define VAULT_KEY_MAGIC "MSFLKEY"
enum { VAULT_VERSION = 1, VAULT_SCHEME_BYTES = 16, VAULT_MAGIC_BYTES = 8 };
/** Of a key file: the largest BFV key has 4 MiB. */
#define VAULT_KEYFILE_BYTES_MAX ((size_t)16 << 20)

struct msfl_keyfile {
    char *name;
    uint8_t *bytes; /* the whole file */
    size_t length;
    msfl_keyfile_info info;
    /* places in `bytes` */
    const uint8_t *adder, *body;
    size_t adder_length, body_length; /* body: the public key, or what is sealed */
    size_t signed_length;             /* public: bytes that the signatures cover */
    size_t data_length;               /* secret: bytes that are authenticated beside the sealed ones */
    const uint8_t *nonce;
    vault_lock lock;
};

/** An opened secret half, or the makings of one: in secret memory. */
typedef struct vault_seed {
    uint8_t seed[MSFL_SIGN_SEED_BYTES];     /**< of the identity */
    uint8_t secret[MSFL_SIGN_SECRET_BYTES]; /**< and its signing key */
} vault_seed;

/** Fields of a spec that can come from outside: ERR_USAGE where a bound is exceeded. The scheme must have a pair. */
msfl_status vault_spec_check(const msfl_key_spec *spec) MSFL_NODISCARD;

/** Scheme, request and so on as 64 bytes that both file formats share: scheme (16), five 32-bit fields of the request,
 *  32-bit zero, n_values, clip, samples_max. */
enum { VAULT_SPEC_BYTES = 64 };
void vault_spec_put(msfl_buffer *out, const msfl_key_spec *spec);
/** ERR_UNSUPPORTED for a scheme that is not here, ERR_FORMAT for anything vault_spec_check refuses. */
msfl_status vault_spec_get(msfl_reader *in, msfl_key_spec *spec) MSFL_NODISCARD;

/** Who signs a new public half beside itself. */
typedef struct vault_predecessor {
    const msfl_keyfile *file; /**< its public half */
    const vault_seed *seed;
} vault_predecessor;

/** A pair in memory: a parsed file that says what it is, and what would be sealed, in secret memory. Zeroed on error.
 */
typedef struct vault_pair {
    msfl_keyfile *file;
    uint8_t *plain; /**< seed (32), fingerprint of the public half (32), secret key; NULL: the public half alone */
    size_t plain_length;
} vault_pair;
/** A fresh pair; `file` is its public half. `predecessor` may be NULL. */
msfl_status vault_pair_new(const msfl_key_spec *spec, const vault_predecessor *predecessor,
                           vault_pair *out) MSFL_NODISCARD;
void vault_pair_clear(vault_pair *pair);

/** The bytes of a secret file: `plain` sealed, all else as in `model`, a file of either half. ERR_POLICY for an unlock
 *  that is too weak. */
msfl_status vault_seal(const msfl_keyfile *model, const uint8_t *plain, size_t length, const msfl_unlock *unlock,
                       msfl_buffer *out) MSFL_NODISCARD;
/** The same secret under another lock; nothing else changes. */
msfl_status vault_secret_rewrap(const msfl_keyfile *secret, const msfl_unlock *unlock, const msfl_unlock *new_unlock,
                                msfl_buffer *out) MSFL_NODISCARD;

/** What is sealed in a secret file: seed (32), fingerprint of the public half (32), key. Free with msfl_secret_free. */
enum { VAULT_SEALED_HEAD_BYTES = MSFL_SIGN_SEED_BYTES + MSFL_HASH_BYTES };
msfl_status vault_unseal(const msfl_keyfile *secret, const msfl_unlock *unlock, uint8_t **plain,
                         size_t *length) MSFL_NODISCARD;
/** The identity of a pair, from its secret half: secret memory, msfl_secret_free. `fingerprint` may be NULL. */
msfl_status vault_unseal_seed(const msfl_keyfile *secret, const msfl_unlock *unlock, vault_seed **seed,
                              uint8_t fingerprint[MSFL_HASH_BYTES]) MSFL_NODISCARD;
msfl_status vault_seed_new(vault_seed **out) MSFL_NODISCARD;

/** Setup and keys for `n_values` slots: parameters from `file`, of either half, and the bytes of one part. */
msfl_status vault_keys_of(const msfl_keyfile *file, msfl_key_part part, uint64_t n_values, const uint8_t *key,
                          size_t length, msfl_setup **setup, msfl_keys **keys) MSFL_NODISCARD;

/** Hash with a label over bytes, for signatures and closing hashes. */
void vault_hash(const char *label, const void *bytes, size_t length, uint8_t out[MSFL_HASH_BYTES]);

#endif
