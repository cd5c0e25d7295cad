/* Every scheme behind one table: what it is called, what it costs, and how a sum of updates goes through it.
 * Layer: scheme.
 *
 *   const msfl_scheme *s = msfl_scheme_find("bfv");
 *   msfl_setup_new(s, &request, &setup);            parameters, planned or refused
 *   msfl_keys_new(setup, &keys);                    once per job
 *   msfl_session_new(setup, keys, &info, &session); one sum
 *     msfl_sender_new(session, client, &sender);    at each client: chunk by chunk, then the trailer
 *     msfl_session_upload(session, client, ...);    at the coordinator
 *   msfl_session_close(session);                    nothing more is added
 *   msfl_session_open(session, j, totals);          the exact sums, chunk by chunk
 *
 * A *chunk* is what is encrypted, sent, added and opened at a time. All parties of a session are local steps: bytes go
 * in and come out, so a transport, a simulator or a benchmark can stand between them. Schemes that have one long-lived
 * key pair (MSFL_SCHEME_KEY_PAIR) also offer their chunk operations one by one (msfl_pair_...), for files.
 *
 * A new scheme is one file in src/scheme and one line in its registry. docs/design/schemes.md compares them.
 */
#ifndef MEDSECUREFL_SCHEME_H
#define MEDSECUREFL_SCHEME_H

#include "medsecurefl/roster.h"

MSFL_BEGIN_DECLS

typedef struct msfl_scheme msfl_scheme;

/** What a scheme is like. */
enum {
    MSFL_SCHEME_ENCRYPTS = 1,   /**< updates leave a client protected; without it: in the clear, and labelled so */
    MSFL_SCHEME_KEY_PAIR = 2,   /**< one long-lived key pair, whose holder can open every single ciphertext */
    MSFL_SCHEME_ONE_TIME = 4,   /**< keys live for one sum; nothing that could be stolen outlives it */
    MSFL_SCHEME_INTERACTIVE = 8 /**< clients exchange messages before they upload */
};

/** The schemes of this build, NULL at the end: packed, bfv, ckks, paillier, pairwise, plain. */
MSFL_API const msfl_scheme *const *msfl_schemes(void);
/** By name; ERR_USAGE, naming those there are, if there is none. */
MSFL_API MSFL_NODISCARD msfl_status msfl_scheme_find(const char *name, const msfl_scheme **out);
/** Its name, as msfl_scheme_find takes it. Static storage. */
MSFL_API const char *msfl_scheme_name(const msfl_scheme *scheme);
/** One line for people. */
MSFL_API const char *msfl_scheme_summary(const msfl_scheme *scheme);
/** Bits of MSFL_SCHEME_... */
MSFL_API uint32_t msfl_scheme_traits(const msfl_scheme *scheme);
/** Who has to be trusted with what, in one sentence for people. */
MSFL_API const char *msfl_scheme_trust(const msfl_scheme *scheme);

/* --- setup: parameters, planned --- */

/** What sums must hold. Plain data. */
typedef struct msfl_scheme_request {
    uint32_t n_clients;     /**< most vectors that will ever be added: 1 to MSFL_CLIENTS_MAX (pairwise: 2 to 255) */
    uint32_t min_cohort;    /**< fewest that are opened in a session: 1 to n_clients (packed, pairwise: 2 or more) */
    uint32_t value_bits;    /**< bits of one value: 2 to 32 */
    uint64_t n_values;      /**< values in one vector: 1 to 2^34 */
    uint32_t security_bits; /**< 128, 192 or 256; 0 means 128. Paillier: 112 (2048-bit keys) or 128 (3072) */
    uint32_t ring_degree;   /**< 0: the scheme's choice; lattice schemes only */
    msfl_custody custody;   /**< packed: who holds the keys; 0: a committee of all where they are 2 to 16, else an
                                 authority. Ignored by the others */
    msfl_delivery delivery; /**< who opens the sum; 0: the coordinator. The clients: packed with a committee only */
} msfl_scheme_request;

/** Figures that follow from a setup; for people, reports and cost plans. */
typedef struct msfl_scheme_facts {
    char parameters[160]; /**< one line, such as "N = 8192, 4 primes, log2 q = 199 of 216, 9 values of 20 bits a
                             coefficient" */
    double security_bits; /**< classical, as the parameter tables count; 0: none */
    double log2_failure;  /**< of the chance that any sum opens wrongly; -infinity: never */
    uint64_t n_chunks;
    uint64_t upload_bytes;   /**< of one client: all its chunks */
    uint64_t trailer_bytes;  /**< and what it sends beside them (sealed keys, say) */
    uint64_t setup_bytes;    /**< what one client receives or exchanges once per session or job: public keys, shares */
    uint64_t delivery_bytes; /**< what one client receives to open the sum for itself; 0: it does not */
} msfl_scheme_facts;

/** Parameters for a request, and their tables. Immutable; many threads may use it. */
typedef struct msfl_setup msfl_setup;

/**
 * @retval MSFL_ERR_USAGE   a field of the request is out of range for this scheme
 * @retval MSFL_ERR_PARAMS  nothing fits; the message shows the numbers that say why
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_setup_new(const msfl_scheme *scheme, const msfl_scheme_request *request,
                                                   msfl_setup **out);
/** Free; NULL is fine. */
MSFL_API void msfl_setup_free(msfl_setup *setup);
/** The scheme that the parameters are of. Static storage. */
MSFL_API const msfl_scheme *msfl_setup_scheme(const msfl_setup *setup);
/** The request, with defaults filled in. */
MSFL_API const msfl_scheme_request *msfl_setup_request(const msfl_setup *setup);
/** What follows from the parameters, for people and cost plans. */
MSFL_API void msfl_setup_facts(const msfl_setup *setup, msfl_scheme_facts *out);
/** The instruction set table that its arithmetic uses ("generic", "avx2", ...); "-" for schemes that have none. */
MSFL_API const char *msfl_setup_kernel(const msfl_setup *setup);
/** Chunks of a vector. */
MSFL_API uint64_t msfl_setup_chunks(const msfl_setup *setup);
/** Values of chunk `j`; 0 beyond the last. */
MSFL_API uint32_t msfl_setup_chunk_values(const msfl_setup *setup, uint64_t j);
/** Bytes of chunk `j`, encrypted, of one vector as of a sum; 0 beyond the last. */
MSFL_API size_t msfl_setup_chunk_bytes(const msfl_setup *setup, uint64_t j);

/* --- keys: what is made once and serves many sessions --- */

/** A key pair, or either half of it, in secret memory (bfv, ckks, paillier); the key holder of a job (packed);
 *  nothing (pairwise, plain). Borrows the setup. Many threads may use it. */
typedef struct msfl_keys msfl_keys;

/** Fresh, from the operating system's generator. Free with msfl_keys_free, before the setup. */
MSFL_API MSFL_NODISCARD msfl_status msfl_keys_new(const msfl_setup *setup, msfl_keys **out);
/** Wipes and frees. */
MSFL_API void msfl_keys_free(msfl_keys *keys);

/* --- one sum, among local parties --- */

typedef struct msfl_session msfl_session;
typedef struct msfl_sender msfl_sender; /**< one client's side; belongs to one thread at a time */

/** What makes a session unlike every other; hashed into everything that has a place for it. */
typedef struct msfl_session_info {
    uint8_t task[MSFL_HASH_BYTES];
    uint64_t number; /**< distinct for every session of the task */
    uint8_t model[MSFL_HASH_BYTES], layout[MSFL_HASH_BYTES];
} msfl_session_info;

/** Borrows setup and keys. With an interactive scheme the clients' exchange happens here. ERR_MISMATCH: the keys are of
 *  another setup. */
MSFL_API MSFL_NODISCARD msfl_status msfl_session_new(const msfl_setup *setup, msfl_keys *keys,
                                                     const msfl_session_info *info, msfl_session **out);
/** Free; NULL is fine. */
MSFL_API void msfl_session_free(msfl_session *session);

/** ERR_USAGE for a client beyond the roster; for a second sender of one client ERR_POLICY where it would mask with the
 *  same keys (pairwise), a key of its own where keys are drawn (packed). */
MSFL_API MSFL_NODISCARD msfl_status msfl_sender_new(msfl_session *session, uint32_t client, msfl_sender **out);
/** Free; NULL is fine. */
MSFL_API void msfl_sender_free(msfl_sender *sender);
/** Chunk `j`, in order 0, 1, ...: `values` holds msfl_setup_chunk_values integers, `out` gets msfl_setup_chunk_bytes.
 *  ERR_NUMERIC for a value of 2^value_bits or more; ERR_USAGE or ERR_POLICY out of order or twice. */
MSFL_API MSFL_NODISCARD msfl_status msfl_sender_encrypt(msfl_sender *sender, uint64_t j, const uint32_t *values,
                                                        uint8_t *out);
/** After the last chunk, once; ERR_USAGE otherwise. `trailer` gets facts.trailer_bytes. Nothing more can be encrypted.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_sender_finish(msfl_sender *sender, uint8_t *trailer);

/**
 * A client's complete upload: all chunks one after the other, and its trailer. Everything is checked before anything
 * is added, so a bad upload leaves no trace. Thread-safe.
 * @retval MSFL_ERR_FORMAT, MSFL_ERR_MISMATCH, MSFL_ERR_CRYPTO  malformed, of another session, or changed
 * @retval MSFL_ERR_EXISTS  this client is already in (pairwise: ERR_POLICY)
 * @retval MSFL_ERR_POLICY  not in the roster, or the session is closed
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_session_upload(msfl_session *session, uint32_t client, const uint8_t *bytes,
                                                        uint64_t length, const uint8_t *trailer, size_t trailer_length);
/** Closes the cohort and, where the scheme asks for it, has the key holders answer. ERR_POLICY below the minimum
 *  cohort (the session stays open), and the second time. */
MSFL_API MSFL_NODISCARD msfl_status msfl_session_close(msfl_session *session);
/** Clients in the sum; after the close. */
MSFL_API uint32_t msfl_session_cohort(const msfl_session *session);
/** Chunk `j` of the sum: msfl_setup_chunk_values exact totals, zeroed on error. Several threads may open different
 *  chunks. ERR_POLICY before the close. */
MSFL_API MSFL_NODISCARD msfl_status msfl_session_open(const msfl_session *session, uint64_t j, uint64_t *totals);

/* --- chunk by chunk under a key pair: bfv, ckks, paillier --- */

enum { MSFL_KEY_ID_BYTES = 16, MSFL_KEY_ADDER_BYTES_MAX = 1024 };

/** Parts of a key pair, each of which can be written and read alone. */
typedef enum msfl_key_part {
    MSFL_KEY_ADDER = 1,  /**< what whoever adds ciphertexts must know: parameters, the key id, for Paillier the public
                              key; public, at most MSFL_KEY_ADDER_BYTES_MAX bytes; travels with every ciphertext */
    MSFL_KEY_PUBLIC = 2, /**< encrypts */
    MSFL_KEY_SECRET = 3  /**< opens; its bytes are the key itself and belong in secret memory */
} msfl_key_part;

/** Names the pair (MSFL_KEY_ID_BYTES); every part and every ciphertext carries it. Zeros without a key pair. */
MSFL_API void msfl_keys_id(const msfl_keys *keys, uint8_t out[MSFL_KEY_ID_BYTES]);
/** Whether this part is there; adding is possible with any. */
MSFL_API bool msfl_keys_has(const msfl_keys *keys, msfl_key_part part);

/** Bytes that msfl_keys_write writes of this part; 0 if it is not there. */
MSFL_API size_t msfl_keys_bytes(const msfl_keys *keys, msfl_key_part part);
/** One part as bytes. `out` holds msfl_keys_bytes, in secret memory for MSFL_KEY_SECRET. ERR_USAGE if the part is not
 *  there. */
MSFL_API MSFL_NODISCARD msfl_status msfl_keys_write(const msfl_keys *keys, msfl_key_part part, uint8_t *out);

/**
 * The setup of a key pair at another place, and for vectors of another length: `adder` is the MSFL_KEY_ADDER part,
 * `request` what msfl_setup_request gave where the keys were made, its n_values replaced by those of the vector at
 * hand. Everything is proved again.
 * @retval MSFL_ERR_FORMAT       not such bytes
 * @retval MSFL_ERR_PARAMS       parameters that do not hold
 * @retval MSFL_ERR_MISMATCH     request and parameters contradict each other
 * @retval MSFL_ERR_UNSUPPORTED  the scheme has no key pair
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_pair_setup(const msfl_scheme *scheme, const msfl_scheme_request *request,
                                                    const uint8_t *adder, size_t length, msfl_setup **out);
/** Keys that hold this part (and can add). ERR_FORMAT, ERR_MISMATCH (other parameters, another part), ERR_CRYPTO. */
MSFL_API MSFL_NODISCARD msfl_status msfl_keys_read(const msfl_setup *setup, msfl_key_part part, const uint8_t *bytes,
                                                   size_t length, msfl_keys **out);

/** Encrypt chunk `j` with the public part: as msfl_sender_encrypt, but in any order. `label` says what it is for; only
 *  chunks of one label are added. ERR_USAGE without the public part. Several threads may encrypt. */
MSFL_API MSFL_NODISCARD msfl_status msfl_pair_encrypt(const msfl_keys *keys, const uint8_t label[MSFL_HASH_BYTES],
                                                      uint64_t j, const uint32_t *values, uint8_t *out);
/** Whether `bytes` is a well-formed chunk j of this label under this key; `n_addends` (may be NULL) gets how many
 *  vectors it says are added up in it. ERR_FORMAT, ERR_MISMATCH. */
MSFL_API MSFL_NODISCARD msfl_status msfl_pair_check(const msfl_keys *keys, const uint8_t label[MSFL_HASH_BYTES],
                                                    uint64_t j, const uint8_t *bytes, size_t length,
                                                    uint32_t *n_addends);
/** acc <- acc + chunk, both of `length` bytes; the chunk is checked, `acc` must have been. Start with a copy of the
 *  first chunk. ERR_LIMIT beyond n_clients addends; otherwise as msfl_pair_check. On any error `acc` is unchanged.
 *  The caller sees to it that no encryption is in a sum twice: bounds on noise are for different ones. */
MSFL_API MSFL_NODISCARD msfl_status msfl_pair_add(const msfl_keys *keys, const uint8_t label[MSFL_HASH_BYTES],
                                                  uint64_t j, uint8_t *acc, const uint8_t *chunk, size_t length);
/** Chunk `j` opened with the secret part: msfl_setup_chunk_values exact totals, zeroed on error; `n_addends` may be
 *  NULL. As msfl_pair_check, and ERR_CRYPTO for what does not open, ERR_USAGE without the secret part. */
MSFL_API MSFL_NODISCARD msfl_status msfl_pair_decrypt(const msfl_keys *keys, const uint8_t label[MSFL_HASH_BYTES],
                                                      uint64_t j, const uint8_t *bytes, size_t length,
                                                      uint32_t *n_addends, uint64_t *totals);

MSFL_END_DECLS

#endif
