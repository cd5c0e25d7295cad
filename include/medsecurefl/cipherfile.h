/* Encrypted vectors on disk: encrypt, add, look, decrypt, one chunk at a time. Layer: vault.
 *
 *   public.msk + values  --encrypt-->  c1.msc
 *   c1.msc, c2.msc, ...  --add------>  sum.msc          nobody's key is needed
 *   secret.msk + sum.msc --decrypt-->  values
 *
 * Beside the values themselves (which the caller holds) memory is a few chunks, however long the vector. Files appear
 * whole or not at all. Format: docs/formats/ciphertext-file.md.
 */
#ifndef MEDSECUREFL_CIPHERFILE_H
#define MEDSECUREFL_CIPHERFILE_H

#include "medsecurefl/keyfile.h"
#include "medsecurefl/observe.h"

MSFL_BEGIN_DECLS

enum {
    MSFL_CONTENT_DIMS_MAX = 8,
    MSFL_CONTENT_NAMES_MAX = 1024,
    MSFL_CONTENT_TEXT_MAX = 1 << 18, /**< bytes of a model's description, of a text */
    MSFL_ADD_FILES_MAX = 4096        /**< that one call opens */
};
#define MSFL_CONTENT_VALUES_MAX ((uint64_t)1 << 33)

typedef enum msfl_content_kind { MSFL_CONTENT_VECTOR = 1, MSFL_CONTENT_MODEL = 2 } msfl_content_kind;

/** What the values are. Public: it stands in the file in the clear. */
typedef struct msfl_content {
    msfl_content_kind kind;
    uint64_t n_values;
    /* vector */
    uint32_t rank; /**< 1 to MSFL_CONTENT_DIMS_MAX */
    uint64_t dims[MSFL_CONTENT_DIMS_MAX];
    /* model */
    const char *model_yaml; /**< canonical description */
    uint32_t n_names;
    const char *const *class_names; /**< NULL when n_names is 0 */
    const char *normalise;          /**< NULL when absent */
    const char
        *recipe; /**< as in msfl_model_facts; NULL when absent. Its name is left behind: who adds has one for all */
} msfl_content;

typedef struct msfl_cipher_info {
    uint32_t version;
    msfl_key_spec spec; /**< of the key; request.n_values is that of this vector, counters included */
    uint8_t key_id[MSFL_KEY_ID_BYTES];
    uint8_t file_id[16]; /**< random: no two files have the same */
    uint8_t label[MSFL_HASH_BYTES];
    uint64_t round;               /**< a number that the caller gave */
    uint32_t n_addends;           /**< encrypted vectors in it */
    const uint8_t (*addends)[16]; /**< their file ids */
    uint64_t n_chunks, file_bytes;
    msfl_content content;
} msfl_cipher_info;

typedef struct msfl_cipher_options {
    uint64_t round;                /**< encrypt: only files of one round can be added */
    uint64_t samples;              /**< encrypt: what this vector counts for, 1 to the key's samples_max; 0 means 1 */
    bool clip_values;              /**< encrypt: move values beyond the key's range to its edge instead of refusing */
    bool replace;                  /**< overwrite the output */
    const msfl_observer *observer; /**< told of chunks done; may stop the work; may be NULL */
} msfl_cipher_options;

/**
 * Encrypt `content->n_values` floats under a public half. Randomness is the operating system's.
 * @retval MSFL_ERR_USAGE    no values
 * @retval MSFL_ERR_NUMERIC  NaN, infinite, or beyond +-clip: the message names the position
 * @retval MSFL_ERR_MISMATCH a secret half
 * @retval MSFL_ERR_EXISTS   the output is there
 * `n_clipped` (may be NULL) gets the values moved. `options` may be NULL. Revocations are the caller's to look for.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_cipher_encrypt(const msfl_keyfile *key, const msfl_content *content,
                                                        const float *values, const msfl_cipher_options *options,
                                                        const char *path, uint64_t *n_clipped);

/**
 * Add `n` files (1 to MSFL_ADD_FILES_MAX; sums may be added again) into one, chunk by chunk.
 * @retval MSFL_ERR_MISMATCH  of different keys, parameters, contents or rounds: the message says which
 * @retval MSFL_ERR_LIMIT     more addends than the key was planned for
 * @retval MSFL_ERR_EXISTS    one vector would be in the sum twice; or the output is there
 * @retval MSFL_ERR_FORMAT, MSFL_ERR_CRYPTO  damaged: which file, which chunk
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_cipher_add(const char *const *paths, size_t n,
                                                    const msfl_cipher_options *options, const char *path);

/** An open ciphertext file whose header was checked. Belongs to one thread at a time. */
typedef struct msfl_cipher msfl_cipher;
/** Open the file and check its header; chunks are read by what follows. Free with msfl_cipher_free.
 *  ERR_FORMAT if it is no such file or was cut, ERR_UNSUPPORTED of another version; on error `*out` is NULL. */
MSFL_API MSFL_NODISCARD msfl_status msfl_cipher_open(const char *path, msfl_cipher **out);
/** Free; NULL is fine. */
MSFL_API void msfl_cipher_free(msfl_cipher *cipher);
/** Lives as long as the cipher. */
MSFL_API const msfl_cipher_info *msfl_cipher_info_borrow(const msfl_cipher *cipher);
/** Read all chunks: hashes, order, shapes, the end. Once per open file. */
MSFL_API MSFL_NODISCARD msfl_status msfl_cipher_verify(msfl_cipher *cipher, const msfl_observer *observer);

/** What the opened sum says beside its values. */
typedef struct msfl_opened {
    uint32_t n_addends;
    uint64_t samples;   /**< sum over the addends */
    double error_bound; /**< of every mean, for values that were not clipped; times `samples` for sums */
} msfl_opened;

/**
 * Open the sum with a secret half. `mean` and `sum` get content.n_values floats each, one of them may be NULL: the mean
 * weighted by samples, and the sum of samples x value. Zeroed on error. Once per open file.
 * @retval MSFL_ERR_MISMATCH  a public half, or another key: the message names both ids
 * @retval MSFL_ERR_CRYPTO    wrong passphrase, or it does not open
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_cipher_decrypt(msfl_cipher *cipher, const msfl_keyfile *key,
                                                        const msfl_unlock *unlock, const msfl_observer *observer,
                                                        float *mean, float *sum, msfl_opened *opened);

MSFL_END_DECLS

#endif
