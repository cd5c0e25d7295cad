/* layer: audit */
/* A folder with one file of any bytes in it: first byte 0 a statement, 1 a receipt, 2 a transcript (its outer signature
 * made again), 3 job.json, 4 a roster, 5 a name. Refused, or read; what is refused has the status of a finding. */
#define HALL_PLAIN
#include "../unit/round/hall.h"
#include "audit/record.h"
#include "audit/verify.h"
#include "base/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static hall h;

/* A folder of job.json and one other file. It has no roster for what it holds, so papers are also read by themselves,
 * under the roster of hall.h. */
typedef struct one_file {
    const char *name;
    const uint8_t *bytes;
    size_t length;
} one_file;

static msfl_status read_one(void *self, const char *name, size_t bytes_max, uint8_t **bytes, size_t *length) {
    const one_file *f = self;
    const bool job = strcmp(name, "job.json") == 0 && strcmp(f->name, name) != 0;
    const size_t n = job ? 2 : f->length;
    if (n > bytes_max) return msfl_fail(MSFL_ERR_LIMIT, "too long");
    *bytes = msfl_alloc(n + 1, 1);
    if (*bytes == NULL) return MSFL_ERR_MEMORY;
    memcpy(*bytes, job ? (const uint8_t *)"{}" : f->bytes, n);
    *length = n;
    return MSFL_OK;
}

static void verify(const char *name, const uint8_t *bytes, size_t length) {
    char *names[2] = {(char *)"job.json", (char *)name};
    one_file f = {name, bytes, length};
    if (strcmp(name, "job.json") < 0) {
        names[0] = (char *)name;
        names[1] = (char *)"job.json";
    }
    const audit_folder folder = {names, strcmp(name, "job.json") == 0 ? 1 : 2, &f, read_one};
    const msfl_audit_options o = {.own = "a", .allow_gaps = true};
    msfl_audit *audit;
    if (audit_verify_folder(&folder, &o, NULL, &audit) == MSFL_OK) msfl_audit_free(audit);
}

static void papers(uint8_t kind, uint8_t *bytes, size_t length) {
    audit_statement s;
    msfl_announcement a;
    uint8_t id[32], digest[32];
    const uint8_t *round_id, *signature;
    bool complete;
    if (kind == 0 && audit_statement_read("s", bytes, length, &s) == MSFL_OK) {
        (void)!audit_statement_verify("s", &s, h.roster);
    }
    if (kind == 1) (void)!audit_receipt_read("r", bytes, length, &round_id, &complete, &signature);
    if (kind != 2 || length < 64) return;
    msfl_hash m;
    msfl_hash_init(&m, "msfl.round.transcript.v1");
    msfl_hash_add(&m, bytes, length - 64);
    msfl_hash_final(&m, digest);
    msfl_sign(h.coordinator_secret->sign, digest, 32, bytes + length - 64);
    msfl_transcript t;
    if (audit_record_peek("t", bytes, length, &a, id) == MSFL_OK &&
        msfl_transcript_verify(bytes, length, h.roster, NULL, &t) == MSFL_OK) {
        audit_roster roster = {.round = h.roster, .info = h.r};
        audit_round out = {0};
        char names[HALL_PARTIES_MAX][MSFL_PROVISION_NAME_MAX + 1] = {{0}};
        roster.names = names;
        if (audit_round_fill(&t, &roster, &out) == MSFL_OK && out.view.n_answerers > h.r->k) abort();
        (void)audit_statement_of(&t, &roster, 1);
        audit_round_clear(&out);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const names[] = {"000001.statement", "000001.receipt", "000001.transcript", "job.json",
                                        "roster-7.yaml"};
    if (h.ctx == NULL) hall_make(&h, 3, MSFL_CUSTODY_COMMITTEE, 3);
    if (size < 1 || size > 1 << 16) return 0;
    const uint8_t kind = data[0] % 6;
    uint8_t *copy = malloc(size); /* the last byte closes a name */
    assert_non_null(copy);
    memcpy(copy, data + 1, size - 1);
    copy[size - 1] = 0;
    if (kind == 5) {
        uint32_t number;
        char again[32];
        const audit_kind what = audit_name_read((const char *)copy, &number);
        if (what < AUDIT_KINDS || what == AUDIT_ROSTER) {
            audit_name_write(what, number, again);
            if (strcmp(again, (const char *)copy) != 0) abort();
        }
    } else {
        uint8_t *exact = malloc(size > 1 ? size - 1 : 1); /* as long as it says: the sanitizer sees an overrun */
        assert_non_null(exact);
        memcpy(exact, copy, size - 1);
        papers(kind, exact, size - 1);
        verify(names[kind], exact, size - 1);
        free(exact);
    }
    free(copy);
    return 0;
}
