/* What a scheme has to offer. `pair` is the small side: chunks under a key pair, from which session.c makes a whole
 * session. A scheme whose parties exchange more than chunks brings session operations of its own. */
#ifndef MSFL_SCHEME_TABLE_H
#define MSFL_SCHEME_TABLE_H

#include "medsecurefl/scheme.h"

/** Chunk operations. `setup` and `keys` are what this scheme made itself; the caller has checked that the part that is
 *  needed is there, that chunk `j` exists, and that lengths are msfl_setup_chunk_bytes. */
typedef struct msfl_pair_ops {
    /* --- parts of a key pair; NULL where there are no keys --- */
    bool (*has)(const void *keys, msfl_key_part part);
    void (*id)(const void *keys, uint8_t out[MSFL_KEY_ID_BYTES]);
    size_t (*part_bytes)(const void *setup, const void *keys, msfl_key_part part);
    void (*part_write)(const void *setup, const void *keys, msfl_key_part part, uint8_t *out);
    msfl_status (*part_read)(const void *setup, msfl_key_part part, const uint8_t *bytes, size_t length, void **keys);
    msfl_status (*setup_read)(const msfl_scheme_request *request, const uint8_t *adder, size_t length, void **setup);
    /* --- chunks --- */
    msfl_status (*encrypt)(const void *setup, const void *keys, const uint8_t *label, uint64_t j,
                           const uint32_t *values, uint8_t *out);
    msfl_status (*check)(const void *setup, const void *keys, const uint8_t *label, uint64_t j, const uint8_t *bytes,
                         size_t length, uint32_t *n_addends);
    msfl_status (*add)(const void *setup, const void *keys, const uint8_t *label, uint64_t j, uint8_t *acc,
                       const uint8_t *chunk, size_t length);
    msfl_status (*decrypt)(const void *setup, const void *keys, const uint8_t *label, uint64_t j, const uint8_t *bytes,
                           size_t length, uint32_t *n_addends, uint64_t *totals);
} msfl_pair_ops;

/** A session of one's own. `session` and `sender` are what this scheme made; all else as in scheme.h. */
typedef struct msfl_session_ops {
    msfl_status (*session_new)(const msfl_setup *setup, msfl_keys *keys, const msfl_session_info *info, void **session);
    void (*session_free)(void *session);
    msfl_status (*sender_new)(void *session, uint32_t client, void **sender);
    void (*sender_free)(void *sender);
    msfl_status (*encrypt)(void *sender, uint64_t j, const uint32_t *values, uint8_t *out);
    msfl_status (*finish)(void *sender, uint8_t *trailer);
    msfl_status (*upload)(void *session, uint32_t client, const uint8_t *bytes, uint64_t length, const uint8_t *trailer,
                          size_t trailer_length);
    msfl_status (*close)(void *session);
    uint32_t (*cohort)(const void *session);
    msfl_status (*open)(const void *session, uint64_t j, uint64_t *totals);
} msfl_session_ops;

struct msfl_scheme {
    const char *name, *summary, *trust;
    uint32_t traits;
    msfl_status (*setup_new)(const msfl_scheme_request *request, void **setup);
    void (*setup_free)(void *setup);
    void (*facts)(const void *setup, msfl_scheme_facts *out);
    const char *(*kernel)(const void *setup); /**< NULL: no table of kernels */
    uint64_t (*chunks)(const void *setup);
    uint32_t (*chunk_values)(const void *setup, uint64_t j);
    size_t (*chunk_bytes)(const void *setup, uint64_t j);
    msfl_status (*keys_new)(const void *setup, void **keys); /**< NULL: there is nothing to make */
    void (*keys_free)(void *keys);
    const msfl_pair_ops *pair;       /**< NULL: no single chunks */
    const msfl_session_ops *session; /**< msfl_pair_session, or its own */
};

struct msfl_setup {
    const msfl_scheme *scheme;
    msfl_scheme_request request;
    msfl_scheme_facts facts;
    uint64_t n_chunks;
    void *inner;
};

struct msfl_keys {
    const msfl_setup *setup;
    void *inner; /**< NULL where there is nothing to make */
};

extern const msfl_session_ops msfl_pair_session;

extern const msfl_scheme msfl_scheme_packed;
extern const msfl_scheme msfl_scheme_bfv;
extern const msfl_scheme msfl_scheme_ckks;
extern const msfl_scheme msfl_scheme_paillier;
extern const msfl_scheme msfl_scheme_pairwise;
extern const msfl_scheme msfl_scheme_plain;

/** Hash of all that makes a session: the name of its scheme, the request, the key id, and the info. */
void msfl_session_label(const msfl_setup *setup, const msfl_keys *keys, const msfl_session_info *info,
                        uint8_t out[MSFL_HASH_BYTES]);

/** For schemes whose chunks carry a 64-bit number but no label: chunk number in the low bits, 40 bits of the label
 *  above. Chunks of two labels are taken for each other once in 2^40 accidents. */
enum { MSFL_TAGGED_CHUNK_BITS = 24 };
uint64_t msfl_tagged_chunk(const uint8_t label[MSFL_HASH_BYTES], uint64_t j);
/** ERR_MISMATCH, saying which of the two it is, unless `number` is that of chunk `j` under `label`. */
msfl_status msfl_tagged_check(const uint8_t label[MSFL_HASH_BYTES], uint64_t j, uint64_t number) MSFL_NODISCARD;

#endif
