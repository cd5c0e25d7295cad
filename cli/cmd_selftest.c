/* medsecurefl selftest: does the encryption of this build work on this machine? Known answers from another
 * implementation, every instruction set table against every other, and what must be refused. */
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "cmd.h"
#include "medsecurefl/packed.h"
#include "selftest_answers.h"
#include "text/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const kernel_names[] = {"generic", "avx2", "avx512"};

enum { KERNELS = sizeof kernel_names / sizeof kernel_names[0] };

/** What has been checked so far. */
typedef struct report {
    bool quiet; /* --json: nothing but the object at the end */
    json_t *checks;
    unsigned failed;
} report;

static void record(report *r, const char *name, const char *where, bool good) {
    if (!good) r->failed++;
    if (!r->quiet) printf("%-6s  %s (%s)\n", good ? "ok" : "FAILED", name, where);
    json_array_append_new(r->checks, json_pack("{s:s,s:s,s:b}", "check", name, "where", where, "ok", good));
}

/** A context under the named kernel; ERR_UNSUPPORTED where the processor lacks it. */
static msfl_status context_for(const char *kernel, const msfl_params *params, msfl_packed **out) {
    if (setenv("MSFL_KERNEL", kernel, 1) != 0) return msfl_fail(MSFL_ERR_MEMORY, "no memory for the environment");
    return msfl_packed_new(params, out);
}

/* --- known answers --- */

static int32_t answer_key(uint32_t i) {
    return (int32_t)(37 * i % 83) - 41;
}
static uint32_t answer_value(uint32_t i, uint32_t bits) {
    uint32_t v = 2654435761u * i + 12345u;
    return bits == 32 ? v : v & ((1u << bits) - 1);
}

static size_t from_hex(const char *text, uint8_t *out, size_t room) {
    size_t n = 0;
    for (; text[0] != 0 && text[1] != 0 && n < room; text += 2, n++) {
        char digits[3] = {text[0], text[1], 0};
        out[n] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return n;
}

/** Whether the ciphertext that another implementation made opens to the values that it put in. */
static bool opens(const msfl_packed *ctx, const selftest_answer *a) {
    uint8_t bytes[256], seed[MSFL_HASH_BYTES];
    uint64_t totals[64] = {0};
    size_t length = from_hex(a->ciphertext, bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof seed; i++)
        seed[i] = (uint8_t)i;
    int32_t *key = msfl_alloc(a->ring_degree, sizeof *key);
    msfl_packed_sum *sum = NULL;
    bool good = key != NULL && a->values <= 64 && msfl_packed_params(ctx)->primes[0] == a->first_prime &&
                msfl_packed_sum_new(ctx, seed, a->values, &sum) == MSFL_OK &&
                msfl_packed_fold(ctx, sum, 0, bytes, length) == MSFL_OK;
    for (uint32_t i = 0; good && i < a->ring_degree; i++)
        key[i] = answer_key(i);
    good = good && msfl_packed_open(ctx, sum, 0, 1, key, totals) == MSFL_OK;
    for (uint32_t i = 0; good && i < a->values; i++)
        good = totals[i] == answer_value(i, a->bits);
    msfl_packed_sum_free(sum);
    msfl_free(key);
    return good;
}

static msfl_status known_answers(report *r, const char *kernel) {
    for (size_t i = 0; i < sizeof selftest_answers / sizeof selftest_answers[0]; i++) {
        const selftest_answer *a = &selftest_answers[i];
        msfl_params params;
        msfl_params_request request = {a->clients, a->bits, a->values, 128, a->ring_degree};
        msfl_status status = msfl_params_plan(&request, &params);
        if (status != MSFL_OK) return status;
        msfl_packed *ctx = NULL;
        status = context_for(kernel, &params, &ctx);
        if (status == MSFL_ERR_UNSUPPORTED) return MSFL_OK;
        if (status != MSFL_OK || ctx == NULL) return status;
        char name[96];
        snprintf(name, sizeof name, "known answer of %u x %u bits, N = %u", a->clients, a->bits, a->ring_degree);
        record(r, name, kernel, opens(ctx, a));
        msfl_packed_free(ctx);
    }
    return MSFL_OK;
}

/* --- a round --- */

/** A small round: every client encrypts under one of the kernels, in turn. */
typedef struct trial {
    msfl_packed *ctx[KERNELS];
    const char *names[KERNELS];
    size_t n_kernels;
    uint64_t n_values, chunks;
    uint32_t n_clients;
    uint8_t seed[MSFL_HASH_BYTES];
    uint32_t *slots; /* n_clients times n_values */
    uint64_t *expected;
    uint8_t *bytes; /* n_clients times length */
    size_t length;
    int32_t *keys; /* n_clients times N */
    int32_t *key_sum;
    msfl_params params;
} trial;

static void trial_clear(trial *t) {
    for (size_t k = 0; k < t->n_kernels; k++)
        msfl_packed_free(t->ctx[k]);
    msfl_free(t->slots);
    msfl_free(t->expected);
    msfl_free(t->bytes);
    if (t->keys != NULL) msfl_wipe(t->keys, (size_t)t->n_clients * t->params.ring_degree * sizeof *t->keys);
    msfl_free(t->keys);
    msfl_free(t->key_sum);
}

static msfl_status trial_client(trial *t, uint32_t i) {
    const msfl_packed *ctx = t->ctx[i % t->n_kernels];
    size_t degree = t->params.ring_degree;
    msfl_packed_key *key;
    msfl_status status = msfl_packed_key_new(ctx, t->seed, t->n_values, &key);
    if (status != MSFL_OK) return status;
    memcpy(t->keys + i * degree, msfl_packed_key_borrow(key), degree * sizeof *t->keys);
    for (size_t k = 0; k < degree; k++)
        t->key_sum[k] += t->keys[i * degree + k];
    const uint32_t *slots = t->slots + i * t->n_values;
    uint8_t *at = t->bytes + i * t->length;
    for (uint64_t j = 0; status == MSFL_OK && j < t->chunks; j++) {
        status = msfl_packed_encrypt(ctx, key, j, slots, at);
        slots += msfl_packed_chunk_slots(ctx, t->n_values, j);
        at += msfl_packed_chunk_bytes(ctx, t->n_values, j);
    }
    msfl_packed_key_free(key);
    return status;
}

/** Contexts, values (the first client's are all the largest) and ciphertexts. */
static msfl_status trial_init(trial *t, uint32_t clients, uint32_t bits, uint64_t values, uint32_t ring) {
    memset(t, 0, sizeof *t);
    msfl_params_request request = {clients, bits, values, 128, ring};
    msfl_status status = msfl_params_plan(&request, &t->params);
    for (size_t k = 0; status == MSFL_OK && k < KERNELS; k++) {
        status = context_for(kernel_names[k], &t->params, &t->ctx[t->n_kernels]);
        if (status == MSFL_OK) t->names[t->n_kernels++] = kernel_names[k];
        if (status == MSFL_ERR_UNSUPPORTED) status = MSFL_OK;
    }
    if (status != MSFL_OK) return status;
    t->n_clients = clients;
    t->n_values = values;
    t->chunks = msfl_packed_chunks(t->ctx[0], values);
    for (uint64_t j = 0; j < t->chunks; j++)
        t->length += msfl_packed_chunk_bytes(t->ctx[0], values, j);
    t->slots = msfl_alloc(clients * values, sizeof *t->slots);
    t->expected = msfl_alloc(values, sizeof *t->expected);
    t->bytes = msfl_alloc(clients * t->length, 1);
    t->keys = msfl_alloc((size_t)clients * t->params.ring_degree, sizeof *t->keys);
    t->key_sum = msfl_alloc(t->params.ring_degree, sizeof *t->key_sum);
    if (t->slots == NULL || t->expected == NULL || t->bytes == NULL || t->keys == NULL || t->key_sum == NULL) {
        return MSFL_ERR_MEMORY;
    }
    msfl_random_bytes(t->seed, sizeof t->seed);
    msfl_random_bytes(t->slots, clients * values * sizeof *t->slots);
    uint32_t mask = (uint32_t)(((uint64_t)1 << bits) - 1);
    for (size_t i = 0; i < clients * values; i++) {
        t->slots[i] = i < values ? mask : t->slots[i] & mask;
        t->expected[i % values] += t->slots[i];
    }
    for (uint32_t i = 0; status == MSFL_OK && i < clients; i++)
        status = trial_client(t, i);
    return status;
}

/** Fold all under one kernel and open under another. */
static bool sums_exactly(const trial *t, size_t folding, size_t opening) {
    msfl_packed_sum *sum;
    uint64_t *totals = msfl_alloc(t->n_values, sizeof *totals);
    if (totals == NULL) return false;
    const msfl_packed *ctx = t->ctx[folding];
    bool good = msfl_packed_sum_new(ctx, t->seed, t->n_values, &sum) == MSFL_OK;
    for (uint32_t i = 0; good && i < t->n_clients; i++) {
        const uint8_t *at = t->bytes + i * t->length;
        for (uint64_t j = 0; good && j < t->chunks; j++) {
            size_t length = msfl_packed_chunk_bytes(ctx, t->n_values, j);
            good = msfl_packed_fold(ctx, sum, j, at, length) == MSFL_OK;
            at += length;
        }
    }
    uint64_t slot = 0;
    for (uint64_t j = 0; good && j < t->chunks; j++) {
        good = msfl_packed_open(t->ctx[opening], sum, j, t->n_clients, t->key_sum, totals + slot) == MSFL_OK;
        slot += msfl_packed_chunk_slots(ctx, t->n_values, j);
    }
    good = good && memcmp(totals, t->expected, t->n_values * sizeof *totals) == 0;
    msfl_packed_sum_free(sum);
    msfl_free(totals);
    return good;
}

/** What must be refused, is. */
static void refusals(report *r, const trial *t, size_t k) {
    const msfl_packed *ctx = t->ctx[k];
    const char *where = t->names[k];
    size_t length = msfl_packed_chunk_bytes(ctx, t->n_values, 0);
    uint64_t *totals = msfl_alloc(t->n_values, sizeof *totals);
    uint8_t *bytes = msfl_alloc(length, 1);
    int32_t *wrong = msfl_alloc(t->params.ring_degree, sizeof *wrong);
    msfl_packed_sum *sum = NULL;
    msfl_packed_key *key = NULL;
    bool made = totals != NULL && bytes != NULL && wrong != NULL &&
                msfl_packed_sum_new(ctx, t->seed, t->n_values, &sum) == MSFL_OK &&
                msfl_packed_key_new(ctx, t->seed, t->n_values, &key) == MSFL_OK;
    for (uint64_t j = 0, at = 0; made && j < t->chunks; at += msfl_packed_chunk_bytes(ctx, t->n_values, j), j++)
        made = msfl_packed_fold(ctx, sum, j, t->bytes + at, msfl_packed_chunk_bytes(ctx, t->n_values, j)) == MSFL_OK;
    if (made) {
        memcpy(wrong, t->keys, t->params.ring_degree * sizeof *wrong);
        wrong[t->params.ring_degree / 2] += 1;
        record(r, "a key that is wrong in one coefficient opens nothing", where,
               msfl_packed_open(ctx, sum, 0, 1, wrong, totals) == MSFL_ERR_CRYPTO);
        msfl_status once = msfl_packed_encrypt(ctx, key, 0, t->slots, bytes);
        msfl_status twice = msfl_packed_encrypt(ctx, key, 0, t->slots, bytes);
        record(r, "a chunk is encrypted once per key", where, once == MSFL_OK && twice == MSFL_ERR_POLICY);
        memset(bytes, 0xff, length);
        record(r, "a damaged chunk leaves no trace", where,
               msfl_packed_fold(ctx, sum, 0, bytes, length) == MSFL_ERR_FORMAT &&
                   msfl_packed_fold(ctx, sum, 0, t->bytes, length - 1) == MSFL_ERR_FORMAT &&
                   msfl_packed_open(ctx, sum, 0, 1, t->keys, totals) == MSFL_OK && totals[0] == t->slots[0]);
    } else {
        record(r, "refusals", where, false);
    }
    msfl_packed_sum_free(sum);
    msfl_packed_key_free(key);
    msfl_free(totals);
    msfl_free(bytes);
    msfl_free(wrong);
}

static msfl_status rounds(report *r) {
    static const struct {
        uint32_t clients, bits, ring;
        uint64_t values;
    } cases[] = {{2, 24, 0, 5000}, {10, 16, 8192, 100000}, {20, 8, 16384, 50000}, {3, 12, 32768, 900000}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        trial t;
        msfl_status status = trial_init(&t, cases[i].clients, cases[i].bits, cases[i].values, cases[i].ring);
        for (size_t folding = 0; status == MSFL_OK && folding < t.n_kernels; folding++) {
            for (size_t opening = 0; opening < t.n_kernels; opening++) {
                char name[128], where[64];
                snprintf(name, sizeof name, "sum of %u x %u bits, %llu values, N = %u", t.n_clients, cases[i].bits,
                         (unsigned long long)t.n_values, t.params.ring_degree);
                snprintf(where, sizeof where, "folded by %s, opened by %s", t.names[folding], t.names[opening]);
                record(r, name, where, sums_exactly(&t, folding, opening));
            }
        }
        for (size_t k = 0; status == MSFL_OK && i == 0 && k < t.n_kernels; k++)
            refusals(r, &t, k);
        trial_clear(&t);
        if (status != MSFL_OK) return status;
    }
    return MSFL_OK;
}

/* --- a transcript for other implementations --- */

static json_t *hex_json(const uint8_t *bytes, size_t n) {
    char *text = msfl_alloc(2 * n + 1, 1);
    if (text == NULL) return NULL;
    msfl_hex(bytes, n, text);
    json_t *value = json_string(text);
    msfl_free(text);
    return value;
}

static json_t *signed_json(const int32_t *values, size_t n) {
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_integer(values[i]));
    return list;
}

static json_t *unsigned_json(const uint32_t *values, size_t n) {
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_integer(values[i]));
    return list;
}

/** All of a round, keys included, with values drawn for it alone. */
static msfl_status write_transcript(const char *path, uint32_t clients, uint32_t bits, uint64_t values) {
    trial t;
    msfl_status status = trial_init(&t, clients, bits, values, 0);
    json_t *all = NULL;
    if (status != MSFL_OK) goto done;
    json_t *list = json_array(), *primes = json_array();
    for (uint32_t i = 0; i < t.params.n_primes; i++)
        json_array_append_new(primes, json_integer((json_int_t)t.params.primes[i]));
    for (uint32_t i = 0; i < clients; i++) {
        json_t *chunks = json_array();
        const uint8_t *at = t.bytes + i * t.length;
        for (uint64_t j = 0; j < t.chunks; j++) {
            size_t length = msfl_packed_chunk_bytes(t.ctx[0], values, j);
            json_array_append_new(chunks, hex_json(at, length));
            at += length;
        }
        json_array_append_new(list,
                              json_pack("{s:o,s:o,s:o}", "key",
                                        signed_json(t.keys + (size_t)i * t.params.ring_degree, t.params.ring_degree),
                                        "values", unsigned_json(t.slots + i * values, values), "chunks", chunks));
    }
    all = json_pack("{s:i,s:i,s:I,s:i,s:i,s:o,s:i,s:i,s:i,s:o,s:o}", "clients", (int)clients, "bits", (int)bits,
                    "values", (json_int_t)values, "security_bits", (int)t.params.security_bits, "ring_degree",
                    (int)t.params.ring_degree, "primes", primes, "slot_bits", (int)t.params.slot_bits,
                    "slots_per_coefficient", (int)t.params.slots_per_coefficient, "log_t", (int)t.params.log_t,
                    "round_seed", hex_json(t.seed, sizeof t.seed), "updates", list);
    status = all == NULL ? msfl_fail(MSFL_ERR_MEMORY, "no memory for the transcript") : msfl_json_write(path, all);
done:
    json_decref(all);
    trial_clear(&t);
    return status;
}

static msfl_status run(report *r) {
    for (size_t k = 0; k < KERNELS; k++) {
        msfl_status status = known_answers(r, kernel_names[k]);
        if (status != MSFL_OK) return status;
    }
    return rounds(r);
}

msfl_status cmd_selftest(int argc, char **argv) {
    bool json = false;
    const char *transcript = NULL;
    uint32_t clients = 3, bits = 16;
    uint64_t values = 5000;
    const cli_option options[] = {
        {"json", CLI_FLAG, &json, 0, 0},          {"transcript", CLI_TEXT, &transcript, 0, 0},
        {"clients", CLI_U32, &clients, 1, 100},   {"bits", CLI_U32, &bits, MSFL_VALUE_BITS_MIN, MSFL_VALUE_BITS_MAX},
        {"values", CLI_U64, &values, 1, 1000000}, {0},
    };
    msfl_status status = cli_parse(argc, argv, options, NULL, 0, NULL);
    if (status != MSFL_OK) return status;
    if (transcript != NULL) return write_transcript(transcript, clients, bits, values);
    /* The kernel that other commands would take, before this one forces others. */
    msfl_params params;
    msfl_params_request request = {2, 8, 100, 128, 1024};
    msfl_packed *ctx;
    status = msfl_params_plan(&request, &params);
    if (status == MSFL_OK) status = msfl_packed_new(&params, &ctx);
    if (status != MSFL_OK) return status;
    const char *chosen = msfl_packed_kernel(ctx);
    msfl_packed_free(ctx);
    report r = {.quiet = json, .checks = json_array()};
    if (!json) printf("kernel in use: %s\n", chosen);
    status = run(&r);
    size_t n = json_array_size(r.checks);
    if (json && status == MSFL_OK) {
        json_t *all = json_pack("{s:b,s:s,s:o}", "ok", r.failed == 0, "kernel", chosen, "checks", r.checks);
        char *text = NULL;
        status = msfl_json_text(all, false, &text);
        if (status == MSFL_OK) printf("%s\n", text);
        msfl_free(text);
        json_decref(all);
    } else {
        json_decref(r.checks);
        if (status == MSFL_OK && !json) printf("%zu checks, %u failed\n", n, r.failed);
    }
    if (status != MSFL_OK || r.failed == 0) return status;
    return msfl_fail(MSFL_ERR_CRYPTO,
                     "%u of %zu checks failed: do not encrypt anything with this build on this machine", r.failed, n);
}
