/* Key pairs on disk: a public file for all who encrypt, a sealed secret file for the one who opens. Layer: vault.
 *
 *   keys/public.msk              encrypts; may be given to anyone; signed by the identity of the pair
 *   keys/secret.msk              opens; sealed under a passphrase or a key file, readable by its owner alone
 *   keys/retired/ID.public.msk   halves of earlier pairs, after a rotation
 *   keys/retired/ID.secret.msk
 *   keys/revoked-ID.msr          a signed statement that a key must not be used any more
 *
 * Formats: docs/formats/key-file.md; reasons: docs/design/keys.md. The schemes are those with a key pair: bfv, ckks,
 * paillier.
 */
#ifndef MEDSECUREFL_KEYFILE_H
#define MEDSECUREFL_KEYFILE_H

#include "medsecurefl/scheme.h"

MSFL_BEGIN_DECLS

/* --- what opens a sealed key --- */

enum {
    MSFL_PASSPHRASE_BYTES_MIN = 5,   /**< of a new one: less is refused */
    MSFL_PASSPHRASE_BYTES_GOOD = 12, /**< less is a reason to warn */
    MSFL_PASSPHRASE_BYTES_MAX = 1024,
    MSFL_UNLOCK_FILE_BYTES_MIN = 32, /**< of a key file: random bytes */
    MSFL_UNLOCK_FILE_BYTES_MAX = 65536
};

/** A passphrase or the bytes of a key file, in secret memory. */
typedef struct msfl_unlock msfl_unlock;

/** A passphrase from memory: 1 to MSFL_PASSPHRASE_BYTES_MAX bytes, none of them a control character; one trailing
 *  newline is stripped. ERR_USAGE. */
MSFL_API MSFL_NODISCARD msfl_status msfl_unlock_passphrase(const char *passphrase, size_t length, msfl_unlock **out);
/** A passphrase from a file or pipe. How people keep theirs is their choice, but if others may read the file, `*others`
 *  gets its mode (otherwise 0; may be NULL), which is worth a warning. */
MSFL_API MSFL_NODISCARD msfl_status msfl_unlock_passphrase_file(const char *path, uint32_t *others, msfl_unlock **out);
/** A file of MSFL_UNLOCK_FILE_BYTES_MIN or more random bytes that only its owner may read: ERR_POLICY otherwise. */
MSFL_API MSFL_NODISCARD msfl_status msfl_unlock_key_file(const char *path, msfl_unlock **out);
/** Whether it is good enough for a new key: ERR_POLICY, with the reason, for a short or a repetitive passphrase. Called
 *  by whatever seals. */
MSFL_API MSFL_NODISCARD msfl_status msfl_unlock_check_new(const msfl_unlock *unlock);
/** Whether it is a passphrase of fewer than MSFL_PASSPHRASE_BYTES_GOOD bytes, or of fewer than five different ones. */
MSFL_API bool msfl_unlock_is_weak(const msfl_unlock *unlock);
/** Wipes and frees. */
MSFL_API void msfl_unlock_free(msfl_unlock *unlock);

/* --- one key file --- */

enum { MSFL_IDENTITY_BYTES = 32 };

/** What a key pair is for; bound into both files. */
typedef struct msfl_key_spec {
    const char *scheme; /**< "bfv", "ckks", "paillier" */
    msfl_scheme_request request;
    double clip;          /**< values lie in +-clip: 2^-20 to 2^30 */
    uint64_t samples_max; /**< most samples that one addend may count for, 1 to 2^48 / 10^4; 1: all count the same */
} msfl_key_spec;

/** bfv, 16 clients, 32 bits over +-8, all counting the same, 128-bit security. */
MSFL_API msfl_key_spec msfl_key_spec_default(void);

typedef struct msfl_keyfile_info {
    msfl_key_part half; /**< MSFL_KEY_PUBLIC or MSFL_KEY_SECRET */
    uint32_t version;
    uint8_t key_id[MSFL_KEY_ID_BYTES];
    msfl_key_spec spec;
    int64_t created; /**< seconds since 1970, as its maker's clock said */
    uint8_t identity[MSFL_IDENTITY_BYTES];
    uint64_t key_bytes; /**< of the key inside */
    /* public halves */
    uint8_t fingerprint[MSFL_HASH_BYTES]; /**< of all that is signed: compare it by telephone */
    bool has_predecessor;                 /**< made by a rotation, and signed by the key it replaces */
    uint8_t predecessor_id[MSFL_KEY_ID_BYTES], predecessor_identity[MSFL_IDENTITY_BYTES];
    /* secret halves */
    bool by_passphrase; /**< Argon2id; otherwise a key file */
    uint32_t argon_passes;
    uint64_t argon_bytes;
} msfl_keyfile_info;

/** A key file that was read and whose hash and signatures hold. Immutable. A secret half is still sealed. */
typedef struct msfl_keyfile msfl_keyfile;

/**
 * @retval MSFL_ERR_FORMAT       not a key file, cut off or damaged
 * @retval MSFL_ERR_UNSUPPORTED  of another version or a scheme that this build does not have
 * @retval MSFL_ERR_CRYPTO       a signature does not hold
 * @retval MSFL_ERR_POLICY       a secret half that others can read, or that belongs to someone else
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_keyfile_read(const char *path, msfl_keyfile **out);
/** The same from memory, for a public half that came another way; `name` stands in messages. Its errors. */
MSFL_API MSFL_NODISCARD msfl_status msfl_keyfile_parse(const char *name, const uint8_t *bytes, size_t length,
                                                       msfl_keyfile **out);
/** Free; NULL is fine. */
MSFL_API void msfl_keyfile_free(msfl_keyfile *file);
/** What the file says of itself; lives as long as it. */
MSFL_API const msfl_keyfile_info *msfl_keyfile_info_borrow(const msfl_keyfile *file);
/** Path that it was read from; lives as long as the file. */
MSFL_API const char *msfl_keyfile_name(const msfl_keyfile *file);

/** Setup and keys for vectors of `n_values` slots. `unlock` is for a secret half, NULL for a public one. The caller
 *  frees the keys, then the setup.
 *  @retval MSFL_ERR_CRYPTO    wrong passphrase or key file, or the file was changed
 *  @retval MSFL_ERR_MISMATCH  a passphrase where a key file is asked for, or the other way; parts that do not belong
 *                             together
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_keyfile_open(const msfl_keyfile *file, uint64_t n_values,
                                                      const msfl_unlock *unlock, msfl_setup **setup, msfl_keys **keys);

/** Whether `next` is the direct successor of `previous`, both public halves: ERR_CRYPTO if its signature does not hold
 *  under the identity of `previous`, ERR_MISMATCH if it names another predecessor or none. */
MSFL_API MSFL_NODISCARD msfl_status msfl_keyfile_succeeds(const msfl_keyfile *next, const msfl_keyfile *previous);

/* --- a folder of keys --- */

/** What msfl_keystore_... made; ids for people to read. */
typedef struct msfl_keystore_result {
    uint8_t key_id[MSFL_KEY_ID_BYTES], previous_id[MSFL_KEY_ID_BYTES];
    uint8_t fingerprint[MSFL_HASH_BYTES];
    bool has_recovered; /**< an interrupted rotation was finished or undone first */
} msfl_keystore_result;

/** A fresh pair into `folder` (made if it is not there). ERR_EXISTS if it holds keys; ERR_UNSUPPORTED, saying why, for
 *  a scheme that has nothing to keep. Nothing is left behind on failure. `result` may be NULL. */
MSFL_API MSFL_NODISCARD msfl_status msfl_keystore_create(const char *folder, const msfl_key_spec *spec,
                                                         const msfl_unlock *unlock, msfl_keystore_result *result);

/**
 * A successor with the same parameters, signed by the pair it replaces, whose halves move to retired/. At every moment,
 * also when the process is killed or a disk is full, the old secret half is in the folder and opens.
 * `new_unlock` NULL: the same as before.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_keystore_rotate(const char *folder, const msfl_unlock *unlock,
                                                         const msfl_unlock *new_unlock, msfl_keystore_result *result);

/** Seal the secret half in `path` (a file, or secret.msk of a folder) under something else; the key stays the same. */
MSFL_API MSFL_NODISCARD msfl_status msfl_keystore_rewrap(const char *path, const msfl_unlock *unlock,
                                                         const msfl_unlock *new_unlock);

/** Finish or undo a rotation that was interrupted; fine if there is none. */
MSFL_API MSFL_NODISCARD msfl_status msfl_keystore_recover(const char *folder, bool *has_recovered);

/* --- revocation --- */

enum { MSFL_REVOCATION_REASON_MAX = 127 };

typedef struct msfl_revocation {
    uint8_t key_id[MSFL_KEY_ID_BYTES], identity[MSFL_IDENTITY_BYTES];
    int64_t created;
    char reason[MSFL_REVOCATION_REASON_MAX + 1];
} msfl_revocation;

/** Write `folder`/revoked-ID.msr for the pair `key_id` of this folder, current or retired; its own identity signs, so
 * its secret half is needed. `path` (may be NULL) gets the file's name, to be freed with msfl_keystore_text_free. */
MSFL_API MSFL_NODISCARD msfl_status msfl_keystore_revoke(const char *folder, const uint8_t key_id[MSFL_KEY_ID_BYTES],
                                                         const msfl_unlock *unlock, const char *reason, char **path);
/** Free; NULL is fine. */
MSFL_API void msfl_keystore_text_free(char *text);

/** Read a revocation from a file and check it as msfl_revocation_parse does. */
MSFL_API MSFL_NODISCARD msfl_status msfl_revocation_read(const char *path, msfl_revocation *out);
/** Read a revocation from its bytes and check it by itself: its signature holds under the identity it names. `name` is
 * for messages. ERR_FORMAT, ERR_UNSUPPORTED of another version, ERR_CRYPTO if the signature does not hold; `out` is
 * then zeroed. */
MSFL_API MSFL_NODISCARD msfl_status msfl_revocation_parse(const char *name, const uint8_t *bytes, size_t length,
                                                          msfl_revocation *out);

/**
 * Look for a revocation of `key` among the *.msr files beside it and, if not NULL, in `more`, a file or a folder.
 * `*is_revoked` tells, and then `found` (may be NULL) says when and why. A revocation of this key that is damaged or
 * wrongly signed is an error, not a "no": ERR_FORMAT, ERR_CRYPTO. Those of other keys are passed over.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_revocation_find(const msfl_keyfile *key, const char *more, bool *is_revoked,
                                                         msfl_revocation *found);

MSFL_END_DECLS

#endif
