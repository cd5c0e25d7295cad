/* Floats to encrypted chunks and back, one chunk at a time: shared by files and by vectors in memory. */
#ifndef MSFL_VAULT_CODEC_H
#define MSFL_VAULT_CODEC_H

#include "medsecurefl/update.h"
#include "vault/head.h"

typedef struct vault_encoder {
    vault_head head; /**< of the file that comes out */
    msfl_update_layout *layout;
    msfl_setup *setup;
    msfl_keys *keys;
    msfl_update_encoder *quantiser;
    uint64_t next_slot;
    uint32_t *slots;
    uint8_t *chunk; /**< the chunk made last */
    size_t chunk_length;
    msfl_update_stats stats;
} vault_encoder;

/** `key` must be a public half; `values` are borrowed until the clear. Checks every value. */
msfl_status vault_encoder_init(const msfl_keyfile *key, const msfl_content *content, const float *values,
                               const msfl_cipher_options *options, vault_encoder *out) MSFL_NODISCARD;
/** Chunks in order, j = 0, 1, ...: into encoder->chunk. */
msfl_status vault_encoder_next(vault_encoder *encoder, uint64_t j) MSFL_NODISCARD;
void vault_encoder_clear(vault_encoder *encoder);

typedef struct vault_decoder {
    msfl_update_layout *layout;
    msfl_update_decoder *decoder;
    const vault_head *head;
    uint64_t *totals;
    float *mean; /**< borrowed: all values so far */
    uint64_t next_slot;
} vault_decoder;

/** For what `head` describes, into content.n_values floats at `mean`; both borrowed until the clear. */
msfl_status vault_decoder_init(const vault_head *head, const msfl_setup *setup, float *mean,
                               vault_decoder *out) MSFL_NODISCARD;
/** Open chunk j, in order. */
msfl_status vault_decoder_next(vault_decoder *decoder, const msfl_setup *setup, const msfl_keys *keys, uint64_t j,
                               const uint8_t *bytes, size_t length) MSFL_NODISCARD;
/** After the last chunk: `sum` (may be NULL, may be the buffer of the means) gets the sums. `opened` may be NULL. */
void vault_decoder_finish(const vault_decoder *decoder, float *sum, msfl_opened *opened);
void vault_decoder_clear(vault_decoder *decoder);

/** ERR_MISMATCH, with both ids, unless `key` is the pair that `head` was encrypted under. */
msfl_status vault_head_fits_key(const char *name, const vault_head *head, const msfl_keyfile *key) MSFL_NODISCARD;

#endif
