#include "audit/paper.h"

#include "base/error.h"
#include "base/output.h"
#include "he/security.h"
#include "round/coord.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define STATEMENT_MAGIC 0x5341534du /* "MSAS" */
#define RECORD_MAGIC    0x5254534du /* "MSTR" */
enum { STATEMENT_VERSION = 1, STATEMENT_HEAD = 8, RECORD_HEAD = 12 };

static const struct {
    const char *name;
    msfl_status status;
} findings[] = {
#define AUDIT_FINDING_ROW(name, text, status) {text, status},
    MSFL_AUDIT_FINDINGS(AUDIT_FINDING_ROW)
#undef AUDIT_FINDING_ROW
};

msfl_status audit_fail(audit_finding finding, const char *fmt, ...) {
    char text[800];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return msfl_fail(findings[finding].status, "%s: %s", findings[finding].name, text);
}

msfl_status audit_fail_as(audit_finding finding, msfl_status status, const char *file) {
    if (status == MSFL_OK) return status;
    if (status == MSFL_ERR_MEMORY || status == MSFL_ERR_IO || status == MSFL_ERR_SYSTEM) {
        return msfl_fail_in(status, "%s", file);
    }
    return msfl_fail_in(findings[finding].status, "%s: %s", findings[finding].name, file);
}

/* --- names --- */

static const char *const suffixes[AUDIT_KINDS] = {".receipt", ".statement", ".transcript"};

/* Digits without a leading zero unless `width` says how many there are; then the rest of the name. */
static bool read_number(const char **at, size_t width, uint32_t *number) {
    uint32_t v = 0;
    size_t n = 0;
    for (; (*at)[n] >= '0' && (*at)[n] <= '9' && n < 10; n++) {
        if (v > (UINT32_MAX - 9) / 10) return false;
        v = 10 * v + (uint32_t)((*at)[n] - '0');
    }
    if (n == 0 || (width != 0 ? n != width : n > 1 && **at == '0')) return false;
    *at += n;
    *number = v;
    return true;
}

audit_kind audit_name_read(const char *name, uint32_t *number) {
    const char *at = name;
    *number = 0;
    if (strcmp(name, AUDIT_FILE_JOB) == 0) return AUDIT_JOB;
    if (name[0] == '.' || strstr(name, MSFL_PARTIAL) != NULL) return AUDIT_PASSED_OVER;
    if (strncmp(name, "roster-", 7) == 0) {
        at += 7;
        return read_number(&at, 0, number) && *number > 0 && strcmp(at, ".yaml") == 0 ? AUDIT_ROSTER : AUDIT_UNKNOWN;
    }
    if (!read_number(&at, 6, number) || *number == 0) return AUDIT_UNKNOWN;
    for (int kind = 0; kind < AUDIT_KINDS; kind++)
        if (strcmp(at, suffixes[kind]) == 0) return (audit_kind)kind;
    return AUDIT_UNKNOWN;
}

void audit_name_write(audit_kind kind, uint32_t number, char out[32]) {
    if (kind == AUDIT_ROSTER) {
        snprintf(out, 32, "roster-%u.yaml", number);
    } else {
        snprintf(out, 32, "%06u%s", number, suffixes[kind]);
    }
}

/* --- what ties papers to a job --- */

void audit_job_hash(const uint8_t *job, size_t length, uint8_t out[MSFL_HASH_BYTES]) {
    msfl_hash h;
    msfl_hash_init(&h, "msfl.job.v1");
    msfl_hash_add_field(&h, job, length);
    msfl_hash_final(&h, out);
}

void audit_task(const uint8_t job[MSFL_HASH_BYTES], const uint8_t roster[MSFL_HASH_BYTES],
                uint8_t out[MSFL_HASH_BYTES]) {
    msfl_hash h;
    msfl_hash_init(&h, "msfl.job.task.v1");
    msfl_hash_add(&h, job, MSFL_HASH_BYTES);
    msfl_hash_add(&h, roster, MSFL_HASH_BYTES);
    msfl_hash_final(&h, out);
}

/* --- statements --- */

void audit_statement_write(const uint8_t *announce, const uint8_t *statement, size_t length, msfl_buffer *out) {
    msfl_put32(out, STATEMENT_MAGIC);
    msfl_put32(out, STATEMENT_VERSION);
    msfl_put_bytes(out, announce, MSFL_ANNOUNCE_BODY);
    msfl_put_bytes(out, statement, length);
}

msfl_status audit_statement_read(const char *file, const uint8_t *bytes, size_t length, audit_statement *out) {
    audit_statement s = {0};
    *out = s;
    msfl_reader r = msfl_reader_init(bytes, length);
    const uint32_t magic = msfl_get32(&r), version = msfl_get32(&r);
    s.announce = msfl_get_bytes(&r, MSFL_ANNOUNCE_BODY);
    s.length = msfl_reader_left(&r);
    s.statement = msfl_get_bytes(&r, s.length);
    if (r.failed || magic != STATEMENT_MAGIC || version != STATEMENT_VERSION || s.length < msfl_statement_bytes(1) ||
        s.length > msfl_statement_bytes(MSFL_COMMITTEE_MAX)) {
        return audit_fail(AUDIT_STATEMENT_MALFORMED, "%s is not a kept statement of this version, or was cut off",
                          file);
    }
    msfl_status status = msfl_announcement_read(s.announce, &s.announcement);
    if (status != MSFL_OK) return audit_fail_as(AUDIT_STATEMENT_MALFORMED, status, file);
    msfl_announcement_id(&s.announcement, s.round_id);
    s.client = msfl_load32(s.statement);
    memcpy(s.ciphertext_hash, s.statement + 12, sizeof s.ciphertext_hash);
    *out = s;
    return MSFL_OK;
}

msfl_status audit_statement_verify(const char *file, const audit_statement *s, const msfl_roster *roster) {
    const msfl_roster_info *info = msfl_roster_borrow(roster);
    msfl_announcement a;
    uint8_t id[MSFL_HASH_BYTES];
    if (s->length != msfl_statement_bytes(info->k)) {
        return audit_fail(AUDIT_STATEMENT_MALFORMED, "%s has another length than %u members take", file, info->k);
    }
    msfl_status status = msfl_announcement_verify(s->announce, roster, NULL, &a, id);
    if (status == MSFL_OK) status = msfl_statement_verify(s->statement, roster, id);
    return audit_fail_as(AUDIT_STATEMENT_CHANGED, status, file);
}

/* --- receipts --- */

msfl_status audit_receipt_read(const char *file, const uint8_t *bytes, size_t length, const uint8_t **round_id,
                               bool *complete, const uint8_t **signature) {
    msfl_frame frame;
    *round_id = *signature = NULL;
    *complete = false;
    msfl_status status = msfl_frame_read(bytes, length, &frame);
    if (status != MSFL_OK) return audit_fail_as(AUDIT_RECEIPT_MALFORMED, status, file);
    msfl_reader r = frame.body;
    (void)msfl_get64(&r);
    const uint32_t state = msfl_get32(&r);
    *signature = msfl_get_bytes(&r, MSFL_SIGN_BYTES);
    *round_id = frame.round_id;
    *complete = state == MSFL_NEXT_COMPLETE;
    if (frame.kind != MSFL_MSG_NEXT || frame.sender != MSFL_COORDINATOR || *signature == NULL ||
        msfl_reader_left(&r) != 0) {
        return audit_fail(AUDIT_RECEIPT_MALFORMED, "%s is no answer of a coordinator to an upload", file);
    }
    return MSFL_OK;
}

msfl_status audit_receipt_verify(const char *file, const uint8_t *bytes, size_t length, const audit_statement *s,
                                 const msfl_roster *roster) {
    const uint8_t *round_id, *signature;
    bool complete;
    msfl_status status = audit_receipt_read(file, bytes, length, &round_id, &complete, &signature);
    if (status != MSFL_OK) return status;
    uint8_t digest[MSFL_HASH_BYTES];
    msfl_statement_digest(s->statement, roster, s->round_id, digest);
    msfl_receipt_digest(s->round_id, s->client, digest, digest);
    if (!complete || memcmp(round_id, s->round_id, MSFL_HASH_BYTES) != 0 ||
        !msfl_sign_verify(msfl_roster_borrow(roster)->coordinator.sign, digest, sizeof digest, signature)) {
        return audit_fail(AUDIT_RECEIPT_CHANGED, "%s is not the coordinator's receipt for the upload of that round",
                          file);
    }
    /* The one number in it that the signature does not cover. */
    const msfl_chunking chunks = msfl_chunking_of(&s->announcement.info.params, s->announcement.info.n_values);
    if (msfl_load64(bytes + MSFL_FRAME_BYTES) != chunks.n_chunks) {
        return audit_fail(AUDIT_RECEIPT_CHANGED, "%s counts other chunks than the round has", file);
    }
    return MSFL_OK;
}

/* --- transcripts --- */

msfl_status audit_record_peek(const char *file, const uint8_t *bytes, size_t length, msfl_announcement *announcement,
                              uint8_t round_id[MSFL_HASH_BYTES]) {
    if (length < RECORD_HEAD + MSFL_ANNOUNCE_BODY + MSFL_SIGN_BYTES || msfl_load32(bytes) != RECORD_MAGIC) {
        return audit_fail(AUDIT_RECORD_MALFORMED, "%s is not the record of a round, or was cut off", file);
    }
    msfl_status status = msfl_announcement_read(bytes + RECORD_HEAD, announcement);
    if (status != MSFL_OK) return audit_fail_as(AUDIT_RECORD_MALFORMED, status, file);
    msfl_announcement_id(announcement, round_id);
    return MSFL_OK;
}
