/* Measuring: what encryption, adding and opening cost on this machine, each figure checked. Layer: measure.
 *
 * Every function here runs the real thing on data that it makes itself, opens the sum, and holds opened integers
 * against the plain sum before it hands out a figure: a wrong sum is ERR_CRYPTO and no figure. Times are processor time
 * where one thread works, wall clock where several do, and the best of the repetitions that fit, so that a neighbour on
 * the machine costs little. docs/design/benchmarks.md defines each figure. Texts (JSON, CSV, SVG) are freed with
 * msfl_bench_text_free.
 */
#ifndef MEDSECUREFL_BENCH_H
#define MEDSECUREFL_BENCH_H

#include "medsecurefl/observe.h"
#include "medsecurefl/scheme.h"

MSFL_BEGIN_DECLS

/** Frees what a function of this header gave as `text`; NULL is fine. */
MSFL_API void msfl_bench_text_free(char *text);

/* --- the machine, measured in the same run --- */

typedef struct msfl_bench_machine {
    char processor[96];
    char kernel[16]; /**< instruction set table in use: "generic", "avx2", ... */
    uint32_t cores;
    double load;            /**< load average of the last minute, when measuring began */
    double memcpy_gbps;     /**< 10^9 bytes copied per second, between buffers that no cache holds, one thread */
    double aes_ctr_gbps;    /**< AES-256 in counter mode, 8 KiB at a time */
    double aes128_ctr_gbps; /**< AES-128, from which public polynomials are drawn */
    double hash_gbps;       /**< BLAKE2b-256, of which transcripts are made */
} msfl_bench_machine;

/** About `seconds` in all, but two turns of everything. 512 MiB are needed. */
MSFL_API MSFL_NODISCARD msfl_status msfl_bench_machine_measure(double seconds, msfl_bench_machine *out);

/* --- throughput of training --- */

typedef struct msfl_bench_train_options {
    const char *model;                           /**< as msfl_model_new */
    uint32_t height, width, channels, n_classes; /**< 0: the model's own */
    uint32_t depth;                              /**< of volumes; 0: the model's own */
    uint32_t batch;                              /**< 1 to 1024 */
    uint32_t n_threads;                          /**< 0: all cores */
    double seconds;                              /**< for training, and half of it for prediction, about */
} msfl_bench_train_options;

typedef struct msfl_bench_train {
    char model[48];
    uint32_t height, width, channels, n_classes, batch, threads;
    uint32_t depth; /**< 0: pictures */
    uint64_t values;
    double train_ips;       /**< images per second: forward, backward, Adam; the best run of a few batches */
    double train_cpu_ips;   /**< by processor time of all threads, which neighbours on the machine do not take away */
    double predict_ips;     /**< forward alone */
    uint64_t trainer_bytes; /**< msfl_trainer_bytes */
    uint64_t peak_bytes;    /**< of the whole process, as the system counts it */
    uint32_t n_runs;
} msfl_bench_train;

/** On images of noise, kept in memory. ERR_CANCELLED when the observer asked to stop. */
MSFL_API MSFL_NODISCARD msfl_status msfl_bench_train_run(const msfl_bench_train_options *options,
                                                         const msfl_observer *observer, msfl_bench_train *out);
/** The report as one JSON object; free with msfl_text_free. ERR_MEMORY. */
MSFL_API MSFL_NODISCARD msfl_status msfl_bench_train_json(const msfl_bench_train *report, char **text);

/* --- throughput of each scheme --- */

typedef struct msfl_bench_he_options {
    const char *scheme;   /**< NULL: all of this build */
    uint32_t n_clients;   /**< that the parameters hold: 2 to MSFL_CLIENTS_MAX */
    uint32_t value_bits;  /**< 0: 16, and 24 */
    uint32_t ring_degree; /**< 0: 8192 for packed, the scheme's choice for others */
    uint32_t n_threads;   /**< 0: one, and one per core */
    uint64_t n_values;    /**< 0: a million, for packed a ResNet-50 too, for slow schemes fewer */
    double seconds;       /**< for each row, about */
} msfl_bench_he_options;

/** A rate is in million model values per second (mvps); NaN: not a thing that this scheme does. */
typedef struct msfl_bench_he_row {
    char scheme[16];
    char parameters[160];
    uint32_t bits, clients, threads;
    uint32_t clients_measured;    /**< updates that were really encrypted, folded and opened */
    uint32_t ring_degree, primes; /**< packed; 0 elsewhere: see parameters */
    double log2_q, security_bits;
    uint64_t values;      /**< model values in one update */
    double encrypt_mvps;  /**< from floats to bytes: check, quantise, one-time key, encrypt, serialise */
    double check_mvps;    /**< looking at every float alone */
    double quantise_mvps; /**< and quantising alone */
    double key_ms;        /**< one-time keys: of that, the key */
    double fold_mvps;     /**< parse, bound every residue, add into the running sum */
    double hash_mvps;     /**< BLAKE2b over the ciphertext alone */
    double fold_and_hash_mvps;
    double open_mvps;       /**< from the sum to float means */
    double decode_mvps;     /**< of that, from totals to means */
    double bytes_per_value; /**< ciphertext on the wire */
    /** Under a key pair, one thread: made with the secret key, whose second half is sent as its seed. */
    double seeded_encrypt_mvps, seeded_fold_mvps, seeded_bytes_per_value;
    double encrypt_vs_memcpy, fold_vs_memcpy, open_vs_memcpy; /**< ciphertext bytes a second over bytes copied */
    double encrypt_vs_aes, fold_vs_aes, open_vs_aes;          /**< over AES-256-CTR */
    uint64_t accumulator_bytes;                               /**< one ciphertext: the running sum */
    uint64_t extra_memory_bytes;                              /**< coordinator's memory beyond it, at its peak */
    double extra_memory_per_client; /**< by which that grows with each further client, in bytes */
    double max_error;               /**< of a decoded mean, against the exact mean of the floats */
    double error_bound;             /**< proved */
} msfl_bench_he_row;

typedef struct msfl_bench_he {
    msfl_bench_machine machine;
    uint32_t threads; /**< most that a row used */
    msfl_bench_he_row *rows;
    size_t n_rows;
} msfl_bench_he;

/** ERR_USAGE, ERR_PARAMS for what cannot be measured; ERR_CRYPTO if a sum was wrong; ERR_CANCELLED. */
MSFL_API MSFL_NODISCARD msfl_status msfl_bench_he_run(const msfl_bench_he_options *options,
                                                      const msfl_observer *observer, msfl_bench_he **out);
/** NULL is fine. */
MSFL_API void msfl_bench_he_free(msfl_bench_he *report);
/** The report as JSON text, docs/design/benchmarks.md; free with msfl_bench_text_free. ERR_MEMORY. */
MSFL_API MSFL_NODISCARD msfl_status msfl_bench_he_json(const msfl_bench_he *report, char **text);

/* --- what is sent: a list of tensors with values --- */

typedef struct msfl_bench_subject msfl_bench_subject; /**< immutable */

/**
 * `model`: a built-in network, a description (.yaml), a model file (.h5: its weights are used), "resnet50" or
 * "bert-base" (tensor sizes of the published networks, synthetic values); or NULL with `n_values` (1 to 2^28) synthetic
 * values in one tensor.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_bench_subject_new(const char *model, uint64_t n_values,
                                                           msfl_bench_subject **out);
/** NULL is fine. */
MSFL_API void msfl_bench_subject_free(msfl_bench_subject *subject);
/** What it was made from; lives as long as the subject. */
MSFL_API const char *msfl_bench_subject_name(const msfl_bench_subject *subject);
/** Values in all its tensors. */
MSFL_API uint64_t msfl_bench_subject_values(const msfl_bench_subject *subject);

/* --- all schemes on one model --- */

typedef struct msfl_bench_compare_options {
    const char *scheme; /**< NULL: all */
    uint32_t n_clients, value_bits;
    double seconds; /**< a scheme that would take longer is left out, and its row says so */
} msfl_bench_compare_options;

typedef struct msfl_bench_compare_row {
    char scheme[16];
    char parameters[160];
    char left_out[160]; /**< why there are no figures; empty: there are */
    bool encrypts;
    double security_bits;
    double keys_ms;          /**< parameters, tables and keys: once per job */
    double session_ms;       /**< what clients exchange before a sum, all of them together */
    double encrypt_ms;       /**< one client: check, quantise, encrypt, trailer */
    uint64_t upload_bytes;   /**< one client: chunks */
    uint64_t trailer_bytes;  /**< and beside them */
    uint64_t setup_bytes;    /**< received or exchanged once */
    double ratio_to_float32; /**< upload and trailer over 4 bytes per value */
    double add_ms;           /**< coordinator, one client's upload: hash where there is one, check, add */
    double close_ms;         /**< close the cohort; key holders answer */
    double open_ms;          /**< open the whole sum and decode it */
    uint64_t memory_bytes;   /**< peak of all that stands for the session, one upload included */
    double max_error, error_bound;
} msfl_bench_compare_row;

typedef struct msfl_bench_compare {
    msfl_bench_machine machine;
    char model[128];
    uint64_t values;
    uint32_t bits, clients;
    msfl_bench_compare_row *rows;
    size_t n_rows;
} msfl_bench_compare;

/** Every scheme on the subject, each opened sum held against the plain one. Errors as msfl_bench_he_run. */
MSFL_API MSFL_NODISCARD msfl_status msfl_bench_compare_run(const msfl_bench_compare_options *options,
                                                           const msfl_bench_subject *subject,
                                                           const msfl_observer *observer, msfl_bench_compare **out);
/** NULL is fine. */
MSFL_API void msfl_bench_compare_free(msfl_bench_compare *report);
/** The report as JSON text; free with msfl_bench_text_free. ERR_MEMORY. */
MSFL_API MSFL_NODISCARD msfl_status msfl_bench_compare_json(const msfl_bench_compare *report, char **text);
/** One row a scheme; free with msfl_bench_text_free. ERR_MEMORY. */
MSFL_API MSFL_NODISCARD msfl_status msfl_bench_compare_csv(const msfl_bench_compare *report, char **text);
/** Small multiples on logarithmic axes: a file of its own, for light and dark. */
MSFL_API MSFL_NODISCARD msfl_status msfl_bench_compare_svg(const msfl_bench_compare *report, char **text);

/* --- tensors one by one, and all in one vector --- */

typedef struct msfl_bench_layers_row {
    char tensor[96];
    uint64_t values, chunks;
    uint64_t upload_bytes, trailer_bytes;
    double encrypt_ms; /**< quantise, one-time key where there is one, encrypt, trailer */
    double bytes_per_value;
} msfl_bench_layers_row;

typedef struct msfl_bench_layers {
    msfl_bench_machine machine;
    char model[128], scheme[16];
    uint32_t bits, clients;
    msfl_bench_layers_row *rows; /**< one per tensor, in the model's order */
    size_t n_rows;
    msfl_bench_layers_row apart; /**< sum of the rows */
    msfl_bench_layers_row whole; /**< the model in one vector */
} msfl_bench_layers;

/** Each tensor encrypted on its own, and all in one vector. Errors as msfl_bench_he_run. */
MSFL_API MSFL_NODISCARD msfl_status msfl_bench_layers_run(const msfl_bench_compare_options *options,
                                                          const msfl_bench_subject *subject,
                                                          const msfl_observer *observer, msfl_bench_layers **out);
/** NULL is fine. */
MSFL_API void msfl_bench_layers_free(msfl_bench_layers *report);
/** The report as JSON text; free with msfl_bench_text_free. ERR_MEMORY. */
MSFL_API MSFL_NODISCARD msfl_status msfl_bench_layers_json(const msfl_bench_layers *report, char **text);

/* --- a whole round, and a cost model of it --- */

enum {
    MSFL_BENCH_GRID_MAX = 16,    /**< numbers of clients, and sizes, in one grid */
    MSFL_BENCH_CLIENTS_RUN = 32, /**< of a larger cohort only so many are run; the coordinator's cost is scaled */
    MSFL_BENCH_TERMS_MAX = 4
};

typedef struct msfl_bench_round_options {
    const char *scheme;
    uint32_t value_bits;
    uint32_t clients[MSFL_BENCH_GRID_MAX];
    size_t n_clients;
    double seconds; /**< small rounds are repeated for about so long */
} msfl_bench_round_options;

typedef struct msfl_bench_round_row {
    char model[64];
    uint64_t values;
    uint32_t clients, clients_run;
    uint64_t chunks;
    uint64_t upload_bytes, trailer_bytes, setup_bytes; /**< one client */
    uint64_t download_bytes;                           /**< one client: the next model as float32 */
    double session_ms; /**< what clients exchange before the sum, all together; an empty sum where they do not */
    double check_quantise_ms, encrypt_ms, seal_ms; /**< one client; encrypting includes hashing where there is it */
    double hash_ms;                                /**< BLAKE2b over one ciphertext alone, for comparison */
    double add_ms;                                 /**< coordinator, one client */
    double close_ms;                               /**< key holders, all clients */
    double open_ms, decode_ms;                     /**< coordinator, once */
    double client_s, coordinator_s, key_holder_s;  /**< whole round, each party on one thread */
    double client_fitted_s, coordinator_fitted_s, key_holder_fitted_s; /**< NaN without a cost model */
    uint64_t memory_bytes;
    double max_error, error_bound;
} msfl_bench_round_row;

/** seconds = sum of coefficient x term; terms are products of n (clients) and V (values). */
typedef struct msfl_bench_cost {
    char party[16];
    size_t n_terms;
    uint8_t n_power[MSFL_BENCH_TERMS_MAX], v_power[MSFL_BENCH_TERMS_MAX]; /**< 0 or 1 */
    double seconds[MSFL_BENCH_TERMS_MAX];
    double r_squared;      /**< of the relative residuals; see the docs */
    double worst_residual; /**< largest |fitted - measured| / measured */
} msfl_bench_cost;

enum { MSFL_BENCH_CLIENT, MSFL_BENCH_COORDINATOR, MSFL_BENCH_KEY_HOLDER, MSFL_BENCH_PARTIES };

typedef struct msfl_bench_costs {
    char scheme[16];
    uint32_t bits;
    msfl_bench_cost parties[MSFL_BENCH_PARTIES];
} msfl_bench_costs;

typedef struct msfl_bench_round {
    msfl_bench_machine machine;
    char scheme[16];
    uint32_t bits;
    msfl_bench_round_row *rows;
    size_t n_rows;
    bool is_fitted;
    char not_fitted[160]; /**< why not */
    msfl_bench_costs costs;
} msfl_bench_round;

/** Whole rounds over the grid of sizes and clients, and the cost model fitted to them. Errors as msfl_bench_he_run. */
MSFL_API MSFL_NODISCARD msfl_status msfl_bench_round_run(const msfl_bench_round_options *options,
                                                         const msfl_bench_subject *const *subjects, size_t n_subjects,
                                                         const msfl_observer *observer, msfl_bench_round **out);
/** NULL is fine. */
MSFL_API void msfl_bench_round_free(msfl_bench_round *report);
/** The report as JSON text; free with msfl_bench_text_free. ERR_MEMORY. */
MSFL_API MSFL_NODISCARD msfl_status msfl_bench_round_json(const msfl_bench_round *report, char **text);
/** One row a measured round; free with msfl_bench_text_free. ERR_MEMORY. */
MSFL_API MSFL_NODISCARD msfl_status msfl_bench_round_csv(const msfl_bench_round *report, char **text);
/** Measured against fitted seconds, both logarithmic. ERR_MISSING without a cost model. */
MSFL_API MSFL_NODISCARD msfl_status msfl_bench_round_svg(const msfl_bench_round *report, char **text);

/** "0.0012 + 1.5e-08 V" ... at most `size` bytes with the closing zero. */
MSFL_API void msfl_bench_cost_formula(const msfl_bench_cost *cost, char *text, size_t size);
/** Seconds for n clients and V values. */
MSFL_API double msfl_bench_cost_of(const msfl_bench_cost *cost, double n_clients, double n_values);
/** Read the cost model from JSON that msfl_bench_round_json made, at most 4 MiB. ERR_FORMAT, ERR_LIMIT. */
MSFL_API MSFL_NODISCARD msfl_status msfl_bench_costs_parse(const char *name, const char *text, size_t length,
                                                           msfl_bench_costs *out);

typedef struct msfl_bench_prediction {
    uint32_t clients;
    uint64_t values;
    double link_mbps;
    uint64_t upload_bytes, setup_bytes, download_bytes;   /**< one client */
    uint64_t coordinator_in_bytes, coordinator_out_bytes; /**< all clients */
    double client_s, client_upload_s, client_download_s;  /**< one client: computing; sending; receiving */
    double coordinator_s, coordinator_in_s, coordinator_out_s, key_holder_s;
    double round_s; /**< clients at once, then what waits for all of them; without training */
} msfl_bench_prediction;

/** What a round would take: bytes as planned for exactly these sizes, seconds by the cost model. `link_mbps`: 10^6 bits
 *  per second of every party's line, each direction. ERR_USAGE: no values, more than 2^33, or no line; ERR_PARAMS: no
 *  parameters hold it. `out` is then zeroed. */
MSFL_API MSFL_NODISCARD msfl_status msfl_bench_predict(const msfl_bench_costs *costs, uint32_t n_clients,
                                                       uint64_t n_values, double link_mbps, msfl_bench_prediction *out);
/** Costs and prediction as JSON text; free with msfl_bench_text_free. ERR_MEMORY. */
MSFL_API MSFL_NODISCARD msfl_status msfl_bench_prediction_json(const msfl_bench_costs *costs,
                                                               const msfl_bench_prediction *prediction, char **text);

MSFL_END_DECLS

#endif
