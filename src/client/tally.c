#include "client/tally.h"

#include "base/bytes.h"
#include "base/mem.h"

#include <stdio.h>
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
