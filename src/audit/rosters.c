#include "audit/rosters.h"

#include "base/error.h"
#include "base/mem.h"
#include "pki/kit.h"
#include "pki/round.h"

#include <stdlib.h>

/* The key that a text names itself: only where nobody pins one. */
static msfl_status key_of(const char *file, const char *text, size_t length, uint8_t out[32]) {
    static const char field[] = "\nconsortium: \"";
    const char *at = length == 0 ? NULL : memmem(text, length, field, sizeof field - 1);
    char hex[65];
    if (at == NULL || (size_t)(text + length - at) < sizeof field - 1 + 64) {
        return audit_fail(AUDIT_ROSTER_MALFORMED, "%s names no consortium", file);
    }
    memcpy(hex, at + sizeof field - 1, 64);
    hex[64] = 0;
    if (pki_hex_read(hex, out, 32)) return MSFL_OK;
    return audit_fail(AUDIT_ROSTER_MALFORMED, "%s names no consortium", file);
}

static msfl_status take_names(const pki_roster *roster, audit_roster *out) {
    out->names = msfl_alloc(out->info->n_parties, sizeof *out->names);
    if (out->names == NULL) return MSFL_NO_MEMORY;
    for (uint32_t i = 0; i < out->info->n_parties; i++) {
        const char *name = pki_round_name(roster, i);
        memcpy(out->names[i], name, strlen(name) + 1);
    }
    return MSFL_OK;
}

static msfl_status read_one(const audit_folder *folder, const char *file, uint32_t epoch, audit_rosters *all,
                            pki_roster **out) {
    char *text = NULL;
    size_t length;
    msfl_status status = folder->read(folder->self, file, PKI_ROSTER_BYTES_MAX, (uint8_t **)&text, &length);
    if (status == MSFL_OK && all->n == 0 && !all->is_pinned) status = key_of(file, text, length, all->consortium);
    if (status == MSFL_OK) {
        status = pki_roster_parse(file, text, length, all->consortium, out);
        if (status != MSFL_OK) {
            status =
                audit_fail_as(status == MSFL_ERR_CRYPTO ? AUDIT_ROSTER_CHANGED : AUDIT_ROSTER_MALFORMED, status, file);
        }
    }
    msfl_free(text);
    if (status == MSFL_OK && (*out)->epoch != epoch) {
        status = audit_fail(AUDIT_ROSTER_MALFORMED, "%s is the roster of epoch %u", file, (*out)->epoch);
    }
    return status;
}

static msfl_status add_one(const char *file, const pki_roster *roster, const uint8_t job[MSFL_HASH_BYTES],
                           audit_rosters *all) {
    audit_roster *r = &all->items[all->n];
    msfl_status status = pki_roster_round(roster, &r->round);
    if (status != MSFL_OK) {
        return audit_fail_as(status == MSFL_ERR_CRYPTO ? AUDIT_ROSTER_CHANGED : AUDIT_ROSTER_MALFORMED, status, file);
    }
    all->n++; /* cleared with the others from here on */
    r->epoch = roster->epoch;
    r->info = msfl_roster_borrow(r->round);
    audit_task(job, msfl_roster_hash(r->round), r->task);
    return take_names(roster, r);
}

static int by_epoch(const void *a, const void *b) {
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

msfl_status audit_rosters_load(const audit_folder *folder, const uint8_t *consortium, const char *federation,
                               const uint8_t job[MSFL_HASH_BYTES], audit_rosters *out) {
    *out = (audit_rosters){.is_pinned = consortium != NULL};
    if (consortium != NULL) memcpy(out->consortium, consortium, sizeof out->consortium);
    uint32_t epochs[AUDIT_ROSTERS_MAX], n = 0, number;
    for (size_t i = 0; i < folder->n; i++) {
        if (audit_name_read(folder->names[i], &number) != AUDIT_ROSTER) continue;
        if (n == AUDIT_ROSTERS_MAX) return msfl_fail(MSFL_ERR_LIMIT, "more than %d rosters", AUDIT_ROSTERS_MAX);
        epochs[n++] = number;
    }
    qsort(epochs, n, sizeof *epochs, by_epoch); /* names sort "roster-10" before "roster-9" */
    out->items = msfl_alloc(n + 1, sizeof *out->items);
    if (out->items == NULL) return MSFL_NO_MEMORY;
    pki_roster *before = NULL;
    msfl_status status = MSFL_OK;
    for (uint32_t i = 0; i < n && status == MSFL_OK; i++) {
        pki_roster *roster = NULL;
        char file[32];
        audit_name_write(AUDIT_ROSTER, epochs[i], file);
        status = read_one(folder, file, epochs[i], out, &roster);
        if (status == MSFL_OK && federation != NULL && strcmp(roster->federation, federation) != 0) {
            status = audit_fail(AUDIT_ROSTER_MALFORMED, "%s is one of the federation '%s', not '%s'", file,
                                roster->federation, federation);
        }
        if (status == MSFL_OK && before != NULL) {
            status = audit_fail_as(AUDIT_ROSTER_MALFORMED, pki_roster_may_follow(before, roster), file);
        }
        if (status == MSFL_OK) status = add_one(file, roster, job, out);
        if (status == MSFL_OK) {
            memcpy(out->federation, roster->federation, sizeof out->federation);
            pki_federation_fingerprint(roster, out->fingerprint);
        }
        msfl_free(before);
        before = roster;
    }
    msfl_free(before);
    if (status != MSFL_OK) audit_rosters_clear(out);
    return status;
}

void audit_rosters_clear(audit_rosters *rosters) {
    for (uint32_t i = 0; i < rosters->n; i++) {
        msfl_roster_free(rosters->items[i].round);
        msfl_free(rosters->items[i].names);
    }
    msfl_free(rosters->items);
    *rosters = (audit_rosters){0};
}

msfl_status audit_rosters_find(audit_rosters *rosters, const char *file, const uint8_t hash[MSFL_HASH_BYTES],
                               audit_roster **out) {
    char hex[2 * MSFL_HASH_BYTES + 1];
    *out = NULL;
    for (uint32_t i = 0; i < rosters->n; i++) {
        if (memcmp(msfl_roster_hash(rosters->items[i].round), hash, MSFL_HASH_BYTES) != 0) continue;
        *out = &rosters->items[i];
        return MSFL_OK;
    }
    msfl_hex(hash, MSFL_HASH_BYTES, hex);
    return audit_fail(AUDIT_ROSTER_MISSING, "%s was run under a roster (%.16s...) that is none of those here", file,
                      hex);
}

const char *audit_roster_name(const audit_roster *roster, uint32_t party) {
    return party < roster->info->n_parties ? roster->names[party] : "coordinator";
}

uint32_t audit_roster_client(const audit_roster *roster, const char *name) {
    for (uint32_t i = 0; i < roster->info->n_clients; i++)
        if (strcmp(roster->names[i], name) == 0) return i;
    return UINT32_MAX;
}
