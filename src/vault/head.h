/* The header of a ciphertext file. docs/formats/ciphertext-file.md has the bytes. */
#ifndef MSFL_VAULT_HEAD_H
#define MSFL_VAULT_HEAD_H

#include "medsecurefl/cipherfile.h"
#include "vault/keyfile.h"

enum {
    VAULT_HEAD_BYTES_MAX = 1 << 22,
    VAULT_HEAD_PREFIX_BYTES = 16, /**< magic, version, length of the header */
    VAULT_FILE_ID_BYTES = 16,
    VAULT_NAME_BYTES_MAX = 1024, /**< of a class name */
    VAULT_RECIPE_DIGITS = 2 * MSFL_HASH_BYTES
};

typedef uint8_t vault_file_id[VAULT_FILE_ID_BYTES];

/** The parsed header; zero-initialise, vault_head_clear when done. */
typedef struct vault_head {
    msfl_cipher_info info; /**< its texts and lists point to what this struct owns */
    uint8_t adder[MSFL_KEY_ADDER_BYTES_MAX];
    size_t adder_length;
    uint8_t hash[MSFL_HASH_BYTES]; /**< of the header's bytes, as they stand at its end */
    /* owned */
    char *yaml, *normalise, *recipe, **names;
    vault_file_id *addends;
} vault_head;

void vault_head_clear(vault_head *head);

/** Copy texts and lists of `content` into `head`. ERR_USAGE for no values; ERR_LIMIT for texts that are too long. */
msfl_status vault_head_content(vault_head *head, const msfl_content *content) MSFL_NODISCARD;
/** Everything but hash and addends, as `from`. */
msfl_status vault_head_copy(vault_head *head, const vault_head *from) MSFL_NODISCARD;
/** Sets info.n_addends and the list, copied. */
msfl_status vault_head_addends(vault_head *head, const vault_file_id *ids, size_t n) MSFL_NODISCARD;

/** The label that binds key, parameters, content and round: files are added if their labels are equal. */
msfl_status vault_head_label(const vault_head *head, uint8_t label[MSFL_HASH_BYTES]) MSFL_NODISCARD;

/** Append the header to an empty buffer; fills head->hash. */
msfl_status vault_head_put(vault_head *head, msfl_buffer *out) MSFL_NODISCARD;
/** Length of the header from its first VAULT_HEAD_PREFIX_BYTES. ERR_FORMAT, ERR_UNSUPPORTED, ERR_LIMIT. */
msfl_status vault_head_length(const uint8_t *prefix, size_t *length) MSFL_NODISCARD;
/** The whole header of `length` bytes. What is accepted writes itself back byte for byte. */
msfl_status vault_head_parse(const uint8_t *bytes, size_t length, vault_head *out) MSFL_NODISCARD;

/** ERR_MISMATCH, naming what differs and both files, unless sums may mix the two. */
msfl_status vault_head_same(const char *name_a, const vault_head *a, const char *name_b,
                            const vault_head *b) MSFL_NODISCARD;

/** The addends of `n` heads together, into `sum`. ERR_EXISTS if one would be in twice, ERR_LIMIT if there are more than
 *  the key is for; `names` stand in the messages. */
msfl_status vault_merge_addends(const vault_head *const *heads, const char *const *names, size_t n,
                                vault_head *sum) MSFL_NODISCARD;

/** A key id in hexadecimal. */
void vault_id_text(const uint8_t id[MSFL_KEY_ID_BYTES], char text[2 * MSFL_KEY_ID_BYTES + 1]);

#endif
