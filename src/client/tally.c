#include "client/tally.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/sodium.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static void job_name(const char *job, char out[STORE_NAME_MAX]) {
    snprintf(out, STORE_NAME_MAX, "sums/job/%s", job);
}

static void day_name(char out[STORE_NAME_MAX]) {
    const time_t now = time(NULL);
    struct tm day;
    (void)gmtime_r(&now, &day);
    snprintf(out, STORE_NAME_MAX, "sums/day/%04d-%02d-%02d", day.tm_year + 1900, day.tm_mon + 1, day.tm_mday);
}

static msfl_status read(store *s, const char *name, uint32_t *n) {
    uint8_t *bytes = NULL;
    size_t length = 0;
    *n = UINT32_MAX;
    msfl_status status = store_get(s, name, &bytes, &length);
    if (status == MSFL_OK) *n = length == 4 ? msfl_load32(bytes) : 0;
    msfl_free(bytes);
    return status;
}

static msfl_status add(store *s, const char *name) {
    uint8_t raw[4];
    uint32_t n;
    msfl_status status = read(s, name, &n);
    if (status != MSFL_OK) return status;
    msfl_store32(raw, n == UINT32_MAX ? n : n + 1);
    return store_put(s, name, raw, sizeof raw);
}

client_tally client_tally_read(store *s, const char *job) {
    char name[STORE_NAME_MAX];
    client_tally t;
    job_name(job, name);
    (void)!read(s, name, &t.of_job);
    day_name(name);
    (void)!read(s, name, &t.of_day);
    return t;
}

msfl_status client_tally_add(store *s, const char *job) {
    char name[STORE_NAME_MAX];
    job_name(job, name);
    msfl_status status = add(s, name);
    day_name(name);
    return status == MSFL_OK ? add(s, name) : status;
}

/* --- what rounds were about --- */

enum { TWO_HASHES = 2 * MSFL_HASH_BYTES };

/* Two hashes under a name, and whether there are any. Anything else under it counts as two that nobody has. */
static msfl_status read_hashes(store *s, const char *name, uint8_t out[TWO_HASHES], bool *found) {
    uint8_t *bytes = NULL;
    size_t length = 0;
    memset(out, 0, TWO_HASHES);
    msfl_status status = store_get(s, name, &bytes, &length);
    *found = bytes != NULL;
    if (bytes != NULL && length == TWO_HASHES) memcpy(out, bytes, TWO_HASHES);
    msfl_free(bytes);
    return status;
}

static msfl_status put_hashes(store *s, const char *name, const uint8_t *first, const uint8_t *second) {
    uint8_t both[TWO_HASHES];
    memcpy(both, first, MSFL_HASH_BYTES);
    memcpy(both + MSFL_HASH_BYTES, second, MSFL_HASH_BYTES);
    return store_put(s, name, both, sizeof both);
}

static void released_name(const client_subject *about, bool is_update, char out[STORE_NAME_MAX]) {
    char hex[2 * MSFL_HASH_BYTES + 1];
    msfl_hex(about->model, MSFL_HASH_BYTES, hex);
    snprintf(out, STORE_NAME_MAX, "released/%s/%s", is_update ? "update" : "figures", hex);
}

msfl_status client_released_check(store *s, const client_subject *about, bool is_update) {
    enum { SHOWN = 4 }; /* bytes of a job's hash in its name */
    char name[STORE_NAME_MAX], hex[2 * SHOWN + 1];
    uint8_t before[TWO_HASHES];
    bool found;
    released_name(about, is_update, name);
    msfl_status status = read_hashes(s, name, before, &found);
    if (status != MSFL_OK || !found) return status;
    if (memcmp(before, about->job, MSFL_HASH_BYTES) != 0) {
        msfl_hex(before, SHOWN, hex);
        return msfl_fail(
            MSFL_ERR_POLICY,
            "policy second_sums: a sum on these weights was opened for the job ...-%s; one for another job "
            "could be opened against it. Submit it with another seed, or other initial weights",
            hex);
    }
    if (is_update && memcmp(before + MSFL_HASH_BYTES, about->layout, MSFL_HASH_BYTES) != 0) {
        return msfl_fail(MSFL_ERR_POLICY, "policy second_sums: a sum on these weights was opened under other clipping "
                                          "bounds; this one could be opened against it");
    }
    return MSFL_OK;
}

msfl_status client_released_add(store *s, const client_subject *about, bool is_update) {
    char name[STORE_NAME_MAX];
    released_name(about, is_update, name);
    return put_hashes(s, name, about->job, about->layout);
}

static void course_name(const client_subject *about, job_kind kind, uint32_t round, char out[STORE_NAME_MAX]) {
    char hex[2 * MSFL_HASH_BYTES + 1];
    msfl_hex(about->job, MSFL_HASH_BYTES, hex);
    snprintf(out, STORE_NAME_MAX, "course/%s/%s/%u", hex, job_kind_name(kind), (unsigned)round);
}

msfl_status client_course_check(store *s, const client_subject *about, job_kind kind, uint32_t round) {
    char name[STORE_NAME_MAX];
    uint8_t before[TWO_HASHES];
    bool found;
    course_name(about, kind, round, name);
    msfl_status status = read_hashes(s, name, before, &found);
    if (status != MSFL_OK || !found) return status;
    if (memcmp(before, about->model, MSFL_HASH_BYTES) == 0 &&
        memcmp(before + MSFL_HASH_BYTES, about->layout, MSFL_HASH_BYTES) == 0) {
        return MSFL_OK;
    }
    return msfl_fail(MSFL_ERR_MISMATCH,
                     "round %u was of other weights or clipping bounds when this hospital took part in it before: "
                     "updates of nearly the same weights could be opened against each other",
                     (unsigned)round);
}

msfl_status client_course_add(store *s, const client_subject *about, job_kind kind, uint32_t round) {
    char name[STORE_NAME_MAX];
    course_name(about, kind, round, name);
    return put_hashes(s, name, about->model, about->layout);
}
