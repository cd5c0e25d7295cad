/* A ciphertext file as a stream: header, chunks in order, end. */
#ifndef MSFL_VAULT_STREAM_H
#define MSFL_VAULT_STREAM_H

#include "base/output.h"
#include "vault/head.h"

#include <stdio.h>

enum {
    VAULT_CHUNK_HEAD_BYTES = 16, /**< index, length, zero */
    VAULT_END_BYTES = 8 + 8 + 8 + MSFL_HASH_BYTES
};

/** The hashes that tie chunks to one file and one place in it. They use no secret: they find damage and mix-ups, not
 *  somebody who makes a file anew (docs/formats/ciphertext-file.md). */
typedef struct vault_chain {
    uint8_t key[MSFL_HASH_BYTES];
    msfl_hash all; /**< over the hashes of the chunks so far */
    uint64_t n_chunks, n_bytes;
} vault_chain;

/** Setup and public facts of the key that a header names; the caller frees keys, then setup. */
msfl_status vault_head_setup(const vault_head *head, msfl_setup **setup, msfl_keys **keys) MSFL_NODISCARD;
/** Bytes of the longest chunk. */
size_t vault_chunk_bytes_max(const msfl_setup *setup);

/* --- writing --- */

typedef struct vault_writer {
    msfl_output *output;
    vault_chain chain;
} vault_writer;

/** Writes the header. `mode` as for msfl_output_open. */
msfl_status vault_writer_open(const char *path, int mode, vault_head *head, vault_writer *out) MSFL_NODISCARD;
/** The next chunk. */
msfl_status vault_writer_put(vault_writer *writer, const uint8_t *bytes, size_t length) MSFL_NODISCARD;
/** The end; then the file is in its place. */
msfl_status vault_writer_commit(vault_writer *writer) MSFL_NODISCARD;
/** Without a commit before, nothing remains. Zeroed is fine. */
void vault_writer_clear(vault_writer *writer);

/* --- reading --- */

struct msfl_cipher {
    char *name;
    FILE *file;
    vault_head head;
    size_t head_bytes;
    vault_chain chain;
    uint64_t size; /**< of the file */
    bool is_used;  /**< its chunks have been read */
};

/** From an open stream of `size` bytes, which is closed with it, also on failure. */
msfl_status vault_cipher_from(const char *name, FILE *file, uint64_t size, msfl_cipher **out) MSFL_NODISCARD;
/** Once, before the chunks: the file is as long as its header says under `setup`, and has not been read. */
msfl_status vault_cipher_begin(msfl_cipher *cipher, const msfl_setup *setup) MSFL_NODISCARD;
/** The next chunk, of the length that is due, its place and hash checked. */
msfl_status vault_cipher_next(msfl_cipher *cipher, const msfl_setup *setup, uint8_t *bytes) MSFL_NODISCARD;
/** The end is there, fits, and nothing follows. */
msfl_status vault_cipher_end(msfl_cipher *cipher) MSFL_NODISCARD;

#endif
