#include "audit/verify.h"

#include "audit/record.h"
#include "base/error.h"
#include "base/mem.h"
#include "pki/kit.h"
#include "round/transcript.h"

#include <inttypes.h>

struct msfl_audit {
    msfl_audit_facts facts;
    audit_round *rounds; /* facts.n_rounds */
    audit_rosters rosters;
};

/* What lies under one index. */
typedef struct entry {
    uint32_t index;
    char file[AUDIT_KINDS][32];
    uint8_t *bytes[AUDIT_KINDS];
    size_t length[AUDIT_KINDS];
} entry;

typedef struct check {
    const audit_folder *folder;
    const msfl_audit_options *options;
    msfl_audit *audit;
    bool keeps_statements; /* a hospital's folder: what it sent must be there */
    uint32_t epoch;        /* of the last record: epochs do not go back */
    msfl_hash all;         /* of the records' hashes so far */
} check;

const char *msfl_audit_own_name(msfl_audit_own own) {
    static const char *const names[] = {"unknown", "absent", "late", "listed", "confirmed", "unopened", "open"};
    return (size_t)own < sizeof names / sizeof names[0] ? names[own] : "unknown";
}

/* --- names and job.json --- */

static msfl_status check_names(check *c, uint32_t *n_indices) {
    uint32_t last = 0, number;
    bool has_job = false;
    *n_indices = 0;
    for (size_t i = 0; i < c->folder->n; i++) {
        const char *name = c->folder->names[i];
        const audit_kind kind = audit_name_read(name, &number);
        if (kind == AUDIT_UNKNOWN) return audit_fail(AUDIT_STRANGER, "'%.80s' is no part of a record", name);
        has_job |= kind == AUDIT_JOB;
        c->keeps_statements |= kind == AUDIT_STATEMENT || kind == AUDIT_RECEIPT;
        if (kind >= AUDIT_KINDS || number == last) continue;
        /* Names are sorted, and indices are given one after the other. */
        if (number != last + 1) {
            return audit_fail(AUDIT_ROUNDS_MISSING, "there is %.80s, and nothing under %06u", name, last + 1);
        }
        last = number;
        ++*n_indices;
    }
    if (!has_job) return audit_fail(AUDIT_JOB_MISSING, "there is no %s", AUDIT_FILE_JOB);
    return MSFL_OK;
}

static msfl_status check_job(check *c) {
    uint8_t *bytes;
    size_t length;
    msfl_status status = c->folder->read(c->folder->self, AUDIT_FILE_JOB, AUDIT_JOB_BYTES_MAX, &bytes, &length);
    if (status != MSFL_OK) return status;
    audit_job_hash(bytes, length, c->audit->facts.job);
    c->audit->facts.job_bytes = length;
    msfl_free(bytes);
    return MSFL_OK;
}

/* --- reading an index --- */

static void entry_clear(entry *e) {
    for (int k = 0; k < AUDIT_KINDS; k++)
        msfl_free(e->bytes[k]);
    *e = (entry){0};
}

/* The files of one index, from place `at` in the list on. */
static msfl_status entry_read(const check *c, size_t *at, entry *e) {
    *e = (entry){0};
    msfl_status status = MSFL_OK;
    for (; status == MSFL_OK && *at < c->folder->n; ++*at) {
        uint32_t number;
        const audit_kind kind = audit_name_read(c->folder->names[*at], &number);
        if (kind >= AUDIT_KINDS) continue;
        if (e->index != 0 && number != e->index) return MSFL_OK;
        e->index = number;
        audit_name_write(kind, number, e->file[kind]);
        status = c->folder->read(c->folder->self, e->file[kind],
                                 kind == AUDIT_RECORD ? AUDIT_RECORD_BYTES_MAX : AUDIT_PAPER_BYTES_MAX, &e->bytes[kind],
                                 &e->length[kind]);
    }
    return status;
}

/* --- the own part --- */

/* Whose statement it is becomes whose part is looked at, unless that is said already. */
static msfl_status check_signer(check *c, const char *file, const audit_statement *s, const audit_roster *roster) {
    const char *name = audit_roster_name(roster, s->client);
    char *own = c->audit->facts.own;
    if (own[0] == 0) memcpy(own, name, strlen(name) + 1);
    if (strcmp(own, name) == 0) return MSFL_OK;
    return audit_fail(AUDIT_STATEMENT_OTHER, "%s is the statement of %s, not of %s", file, name, own);
}

static msfl_status check_papers(check *c, const entry *e, const audit_roster *roster, const uint8_t *round_id,
                                const audit_statement *s, msfl_audit_round *v) {
    const char *file = e->file[AUDIT_STATEMENT];
    if (e->bytes[AUDIT_STATEMENT] == NULL) {
        if (e->bytes[AUDIT_RECEIPT] == NULL) return MSFL_OK;
        return audit_fail(AUDIT_STATEMENT_MISSING, "%s is for a statement that is not there", e->file[AUDIT_RECEIPT]);
    }
    msfl_status status = audit_statement_verify(file, s, roster->round);
    if (status != MSFL_OK) return status;
    if (memcmp(s->round_id, round_id, MSFL_HASH_BYTES) != 0) {
        return audit_fail(AUDIT_STATEMENT_OTHER, "%s is about another round than the record beside it", file);
    }
    if (memcmp(s->announcement.info.task, roster->task, MSFL_HASH_BYTES) != 0) {
        return audit_fail(AUDIT_OTHER_JOB, "%s is about a round of another job than job.json", file);
    }
    status = check_signer(c, file, s, roster);
    if (status == MSFL_OK && e->bytes[AUDIT_RECEIPT] != NULL) {
        status = audit_receipt_verify(e->file[AUDIT_RECEIPT], e->bytes[AUDIT_RECEIPT], e->length[AUDIT_RECEIPT], s,
                                      roster->round);
        v->acknowledged = status == MSFL_OK;
    }
    if (status == MSFL_OK) memcpy(v->sent, s->ciphertext_hash, MSFL_HASH_BYTES);
    return status;
}

static msfl_status check_own(const check *c, const entry *e, const audit_roster *roster, const msfl_transcript *t,
                             const audit_statement *s, msfl_audit_round *v) {
    const char *own = c->audit->facts.own, *file = e->file[AUDIT_RECORD];
    const uint32_t client = own[0] == 0 ? UINT32_MAX : audit_roster_client(roster, own);
    if (client == UINT32_MAX) return MSFL_OK; /* unknown: not a hospital under this roster */
    const bool sent = e->bytes[AUDIT_STATEMENT] != NULL;
    const uint8_t *listed = audit_statement_of(t, roster, client);
    if (listed != NULL) (void)msfl_transcript_find(t, roster->round, client, v->opened);
    if (t->outcome == MSFL_OUTCOME_ABORTED) {
        v->own = listed != NULL || sent ? MSFL_AUDIT_OWN_UNOPENED : MSFL_AUDIT_OWN_ABSENT;
    } else if (listed == NULL) {
        if (v->acknowledged) {
            return audit_fail(AUDIT_LEFT_OUT, "%s: the coordinator acknowledged the upload of %s and opened without it",
                              file, own);
        }
        v->own = sent ? MSFL_AUDIT_OWN_LATE : MSFL_AUDIT_OWN_ABSENT;
        return MSFL_OK;
    } else {
        v->own = sent ? MSFL_AUDIT_OWN_CONFIRMED : MSFL_AUDIT_OWN_LISTED;
    }
    if (listed == NULL) return MSFL_OK;
    if (!sent && c->keeps_statements) {
        return audit_fail(AUDIT_STATEMENT_MISSING, "%s has an upload of %s, of which no statement is kept here", file,
                          own);
    }
    if (sent && memcmp(listed, s->statement, s->length) != 0) {
        return audit_fail(AUDIT_NOT_SENT, "%s has another upload of %s than the one that it sent", file, own);
    }
    return MSFL_OK;
}

/* --- one round --- */

static msfl_status verify_record(const entry *e, const audit_roster *roster, msfl_transcript *t) {
    const char *file = e->file[AUDIT_RECORD];
    msfl_status status =
        msfl_transcript_verify(e->bytes[AUDIT_RECORD], e->length[AUDIT_RECORD], roster->round, NULL, t);
    if (status == MSFL_OK) return status;
    return audit_fail_as(status == MSFL_ERR_CRYPTO   ? AUDIT_RECORD_CHANGED
                         : status == MSFL_ERR_POLICY ? AUDIT_RECORD_REFUSED
                                                     : AUDIT_RECORD_MALFORMED,
                         status, file);
}

/* The record continues the chain of its task, and tasks follow each other as their rosters do. */
static msfl_status check_chain(check *c, const char *file, const msfl_transcript *t, audit_roster *roster) {
    static const uint8_t none[MSFL_HASH_BYTES];
    const msfl_round_info *info = &t->announcement.info;
    if (memcmp(info->task, roster->task, MSFL_HASH_BYTES) != 0) {
        return audit_fail(AUDIT_OTHER_JOB, "%s is about another job than job.json, or that was changed", file);
    }
    if (info->number <= roster->number || roster->epoch < c->epoch) {
        return audit_fail(AUDIT_OUT_OF_ORDER,
                          "%s is round %" PRIu64 " under epoch %u, after round %" PRIu64 " under epoch %u", file,
                          info->number, roster->epoch, roster->number, c->epoch);
    }
    const uint64_t missing = info->number - roster->number - 1;
    if (missing > 0 && !c->options->allow_gaps) {
        return audit_fail(AUDIT_ROUNDS_MISSING,
                          "%s is round %" PRIu64 ", the one before it here is %" PRIu64
                          "; where this hospital was away in between, allow gaps",
                          file, info->number, roster->number);
    }
    const uint8_t *before = roster->number == 0 ? none : roster->last;
    if (missing == 0 && memcmp(t->announcement.previous, before, MSFL_HASH_BYTES) != 0) {
        return audit_fail(AUDIT_CHAIN_BROKEN, "%s does not continue the record before it", file);
    }
    c->audit->facts.n_missing += missing;
    c->epoch = roster->epoch;
    roster->number = info->number;
    memcpy(roster->last, t->hash, MSFL_HASH_BYTES);
    return MSFL_OK;
}

static msfl_status check_record(check *c, const entry *e, const audit_statement *s, audit_roster *roster,
                                audit_round *out) {
    msfl_transcript t;
    msfl_audit_facts *facts = &c->audit->facts;
    msfl_status status = verify_record(e, roster, &t);
    if (status == MSFL_OK) status = check_chain(c, e->file[AUDIT_RECORD], &t, roster);
    if (status == MSFL_OK) status = audit_round_fill(&t, roster, out);
    if (status == MSFL_OK) status = check_papers(c, e, roster, t.round_id, s, &out->view);
    if (status == MSFL_OK) status = check_own(c, e, roster, &t, s, &out->view);
    facts->n_opened += t.outcome == MSFL_OUTCOME_OPENED;
    facts->n_aborted += t.outcome == MSFL_OUTCOME_ABORTED;
    memcpy(facts->head, t.hash, MSFL_HASH_BYTES);
    msfl_hash_add(&c->all, t.hash, MSFL_HASH_BYTES);
    return status;
}

/* Something was sent, and the record of the round is not here: the newest round, which is still under way, or one whose
 * record never came. */
static msfl_status check_open(check *c, const entry *e, const audit_statement *s, bool is_last, audit_roster *roster,
                              audit_round *out) {
    if (!is_last && !c->options->allow_gaps) {
        return audit_fail(AUDIT_ROUNDS_MISSING, "%s was sent, and the record of its round is not here",
                          e->file[AUDIT_STATEMENT]);
    }
    audit_round_announce(&s->announcement, roster, out);
    out->view.own = MSFL_AUDIT_OWN_OPEN;
    return check_papers(c, e, roster, s->round_id, s, &out->view);
}

static msfl_status check_entry(check *c, const entry *e, bool is_last, audit_round *out) {
    audit_statement s = {0};
    msfl_announcement a;
    audit_roster *roster = NULL;
    uint8_t id[MSFL_HASH_BYTES];
    msfl_status status = MSFL_OK;
    out->view.index = e->index;
    if (e->bytes[AUDIT_STATEMENT] != NULL) {
        status =
            audit_statement_read(e->file[AUDIT_STATEMENT], e->bytes[AUDIT_STATEMENT], e->length[AUDIT_STATEMENT], &s);
    } else if (e->bytes[AUDIT_RECORD] == NULL) {
        status = audit_fail(AUDIT_STATEMENT_MISSING, "%s is for a statement that is not there", e->file[AUDIT_RECEIPT]);
    }
    if (status != MSFL_OK) return status;
    if (e->bytes[AUDIT_RECORD] == NULL) {
        status =
            audit_rosters_find(&c->audit->rosters, e->file[AUDIT_STATEMENT], s.announcement.info.authority, &roster);
        return status == MSFL_OK ? check_open(c, e, &s, is_last, roster, out) : status;
    }
    status = audit_record_peek(e->file[AUDIT_RECORD], e->bytes[AUDIT_RECORD], e->length[AUDIT_RECORD], &a, id);
    if (status == MSFL_OK) {
        status = audit_rosters_find(&c->audit->rosters, e->file[AUDIT_RECORD], a.info.authority, &roster);
    }
    return status == MSFL_OK ? check_record(c, e, &s, roster, out) : status;
}

/* --- the whole --- */

static msfl_status check_rounds(check *c, uint32_t n_indices) {
    msfl_audit *audit = c->audit;
    audit->rounds = msfl_alloc((size_t)n_indices + 1, sizeof *audit->rounds);
    if (audit->rounds == NULL) return MSFL_NO_MEMORY;
    msfl_status status = MSFL_OK;
    size_t at = 0;
    msfl_hash_init(&c->all, "msfl.audit.records.v1");
    while (status == MSFL_OK && audit->facts.n_rounds < n_indices) {
        entry e;
        status = entry_read(c, &at, &e);
        audit_round *out = &audit->rounds[audit->facts.n_rounds++];
        if (status == MSFL_OK) status = check_entry(c, &e, audit->facts.n_rounds == n_indices, out);
        entry_clear(&e);
    }
    msfl_hash_final(&c->all, audit->facts.all);
    return status;
}

/* Whose statements lie here is asked before the first round: rounds in which it sent nothing want to know too. */
static msfl_status find_own(check *c) {
    for (size_t i = 0; i < c->folder->n && c->audit->facts.own[0] == 0; i++) {
        uint32_t number;
        uint8_t *bytes;
        size_t length;
        audit_statement s;
        audit_roster *roster;
        const char *file = c->folder->names[i];
        if (audit_name_read(file, &number) != AUDIT_STATEMENT) continue;
        msfl_status status = c->folder->read(c->folder->self, file, AUDIT_PAPER_BYTES_MAX, &bytes, &length);
        if (status != MSFL_OK) return status;
        status = audit_statement_read(file, bytes, length, &s);
        if (status == MSFL_OK) {
            status = audit_rosters_find(&c->audit->rosters, file, s.announcement.info.authority, &roster);
        }
        if (status == MSFL_OK) status = audit_statement_verify(file, &s, roster->round);
        if (status == MSFL_OK) status = check_signer(c, file, &s, roster);
        msfl_free(bytes);
        if (status != MSFL_OK) return status;
    }
    return MSFL_OK;
}

static void take_facts(msfl_audit *audit) {
    msfl_audit_facts *f = &audit->facts;
    const audit_rosters *r = &audit->rosters;
    memcpy(f->federation, r->federation, sizeof f->federation);
    memcpy(f->fingerprint, r->fingerprint, sizeof f->fingerprint);
    memcpy(f->consortium, r->consortium, sizeof f->consortium);
    f->is_pinned = r->is_pinned;
    f->n_rosters = r->n;
    if (r->n == 0) return;
    f->epoch_first = r->items[0].epoch;
    f->epoch_last = r->items[r->n - 1].epoch;
    f->custody = r->items[r->n - 1].info->custody;
}

msfl_status audit_verify_folder(const audit_folder *folder, const msfl_audit_options *options, const char *federation,
                                msfl_audit **out) {
    *out = NULL;
    msfl_audit *audit = msfl_alloc(1, sizeof *audit);
    if (audit == NULL) return MSFL_NO_MEMORY;
    check c = {.folder = folder, .options = options, .audit = audit};
    uint32_t n_indices = 0;
    if (options->own != NULL) memcpy(audit->facts.own, options->own, strlen(options->own) + 1);
    msfl_status status = check_names(&c, &n_indices);
    if (status == MSFL_OK) status = check_job(&c);
    if (status == MSFL_OK) {
        status = audit_rosters_load(folder, options->consortium, federation, audit->facts.job, &audit->rosters);
    }
    if (status == MSFL_OK) status = find_own(&c);
    if (status == MSFL_OK) status = check_rounds(&c, n_indices);
    if (status != MSFL_OK) {
        msfl_audit_free(audit);
        return status;
    }
    take_facts(audit);
    *out = audit;
    return MSFL_OK;
}

/* What a kit says of whom to believe. */
static msfl_status read_kit(const char *kit, pki_config **out) {
    char *text;
    size_t length;
    *out = NULL;
    msfl_status status = pki_folder_read(kit, PKI_FILE_CONFIG, PKI_CONFIG_BYTES_MAX, &text, &length);
    if (status != MSFL_OK) return status;
    pki_config *config = msfl_alloc(1, sizeof *config);
    status = config == NULL ? MSFL_NO_MEMORY : pki_config_parse(PKI_FILE_CONFIG, text, length, config);
    msfl_free(text);
    if (status != MSFL_OK) {
        msfl_free(config);
        return msfl_fail_in(status, "the kit %s", kit);
    }
    *out = config;
    return MSFL_OK;
}

msfl_status msfl_audit_verify(const char *path, const msfl_audit_options *options, msfl_audit **out) {
    *out = NULL;
    msfl_audit_options o = *options;
    pki_config *config = NULL;
    audit_folder folder = {0};
    msfl_status status = msfl_crypto_init();
    if (status == MSFL_OK && o.own != NULL) status = pki_name_check("the hospital", o.own);
    if (status == MSFL_OK && o.kit != NULL) status = read_kit(o.kit, &config);
    if (config != NULL && o.consortium == NULL) o.consortium = config->consortium;
    if (config != NULL && o.own == NULL && config->role == PKI_HOSPITAL) o.own = config->name;
    if (status == MSFL_OK) status = audit_folder_open(path, &folder);
    if (status == MSFL_OK) {
        status = audit_verify_folder(&folder, &o, config == NULL ? NULL : config->federation, out);
        audit_folder_clear(&folder);
    }
    msfl_free(config);
    return status;
}

void msfl_audit_free(msfl_audit *audit) {
    if (audit == NULL) return;
    for (uint32_t i = 0; audit->rounds != NULL && i < audit->facts.n_rounds; i++)
        audit_round_clear(&audit->rounds[i]);
    msfl_free(audit->rounds);
    audit_rosters_clear(&audit->rosters);
    msfl_free(audit);
}

const msfl_audit_facts *msfl_audit_borrow(const msfl_audit *audit) {
    return &audit->facts;
}

const msfl_audit_round *msfl_audit_round_at(const msfl_audit *audit, uint32_t i) {
    return i < audit->facts.n_rounds ? &audit->rounds[i].view : NULL;
}
