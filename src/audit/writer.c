/* Adding to a record's folder. Rounds are known by their id: what was added before a crash is found again. */
#include "audit/folder.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "pki/roster.h"
#include "round/transcript.h"

#include <stdlib.h>

typedef struct place {
    uint8_t round_id[MSFL_HASH_BYTES];
    bool has[AUDIT_KINDS];
} place;

struct msfl_audit_writer {
    char *folder;
    place *places; /* by index - 1 */
    uint32_t n, capacity, n_records;
    uint8_t job[MSFL_HASH_BYTES], head[MSFL_HASH_BYTES];
};

/* --- places --- */

static place *find_place(const msfl_audit_writer *w, const uint8_t round_id[MSFL_HASH_BYTES], uint32_t *index) {
    for (uint32_t i = w->n; i > 0; i--) { /* the newest is asked for most */
        if (memcmp(w->places[i - 1].round_id, round_id, MSFL_HASH_BYTES) != 0) continue;
        *index = i;
        return &w->places[i - 1];
    }
    *index = w->n + 1;
    return NULL;
}

/* Room for one more, so that taking it cannot fail after its file was written. */
static msfl_status reserve(msfl_audit_writer *w) {
    if (w->n == AUDIT_INDEX_MAX) return msfl_fail(MSFL_ERR_LIMIT, "a record has at most %d rounds", AUDIT_INDEX_MAX);
    if (w->n < w->capacity) return MSFL_OK;
    const uint32_t capacity = w->capacity == 0 ? 64 : 2 * w->capacity;
    place *places = msfl_alloc(capacity, sizeof *places);
    if (places == NULL) return MSFL_NO_MEMORY;
    if (w->n > 0) memcpy(places, w->places, w->n * sizeof *places);
    msfl_free(w->places);
    w->places = places;
    w->capacity = capacity;
    return MSFL_OK;
}

static void note(msfl_audit_writer *w, uint32_t index, audit_kind kind, const uint8_t round_id[MSFL_HASH_BYTES]) {
    if (index > w->n) w->places[w->n++] = (place){0};
    place *p = &w->places[index - 1];
    memcpy(p->round_id, round_id, MSFL_HASH_BYTES);
    p->has[kind] = true;
}

/* --- files --- */

static msfl_status read_paper(const msfl_audit_writer *w, const char *name, size_t bytes_max, uint8_t **bytes,
                              size_t *length) {
    *bytes = NULL;
    *length = 0;
    char *path = msfl_path_join(w->folder, name);
    if (path == NULL) return MSFL_NO_MEMORY;
    msfl_status status = msfl_file_read(path, bytes_max, bytes, length);
    msfl_free(path);
    return status;
}

static msfl_status write_paper(const msfl_audit_writer *w, const char *name, const void *bytes, size_t length) {
    char *path = msfl_path_join(w->folder, name);
    if (path == NULL) return MSFL_NO_MEMORY;
    msfl_status status = msfl_file_write(path, bytes, length);
    msfl_free(path);
    return status;
}

/* The same bytes again are fine, others are not. */
static msfl_status expect_same(const msfl_audit_writer *w, const char *name, const void *bytes, size_t length) {
    uint8_t *there;
    size_t there_length;
    msfl_status status = read_paper(w, name, length, &there, &there_length);
    bool same = status == MSFL_OK && there_length == length && (length == 0 || memcmp(there, bytes, length) == 0);
    if (status == MSFL_OK) msfl_free(there);
    if (same || status == MSFL_ERR_MEMORY || status == MSFL_ERR_IO) return same ? MSFL_OK : status;
    return msfl_fail(MSFL_ERR_MISMATCH, "%s/%s is there, and says something else", w->folder, name);
}

static msfl_status add_paper(msfl_audit_writer *w, audit_kind kind, const uint8_t round_id[MSFL_HASH_BYTES],
                             const void *bytes, size_t length) {
    uint32_t index;
    char name[32];
    const place *p = find_place(w, round_id, &index);
    audit_name_write(kind, index, name);
    if (p != NULL && p->has[kind]) return expect_same(w, name, bytes, length);
    msfl_status status = reserve(w);
    if (status == MSFL_OK) status = write_paper(w, name, bytes, length);
    if (status == MSFL_OK) note(w, index, kind, round_id);
    return status;
}

/* --- opening --- */

/* Which round a paper that lies there is about. */
static msfl_status round_of(const char *name, audit_kind kind, const uint8_t *bytes, size_t length,
                            uint8_t round_id[MSFL_HASH_BYTES]) {
    msfl_announcement a;
    audit_statement s;
    const uint8_t *id, *signature;
    bool complete;
    if (kind == AUDIT_RECORD) return audit_record_peek(name, bytes, length, &a, round_id);
    msfl_status status = kind == AUDIT_STATEMENT ? audit_statement_read(name, bytes, length, &s)
                                                 : audit_receipt_read(name, bytes, length, &id, &complete, &signature);
    if (status == MSFL_OK) memcpy(round_id, kind == AUDIT_STATEMENT ? s.round_id : id, MSFL_HASH_BYTES);
    return status;
}

static msfl_status take_paper(msfl_audit_writer *w, const char *name, audit_kind kind, uint32_t index) {
    uint8_t *bytes, round_id[MSFL_HASH_BYTES] = {0};
    size_t length;
    msfl_status status =
        read_paper(w, name, kind == AUDIT_RECORD ? AUDIT_RECORD_BYTES_MAX : AUDIT_PAPER_BYTES_MAX, &bytes, &length);
    if (status != MSFL_OK) return status;
    status = round_of(name, kind, bytes, length, round_id);
    if (status == MSFL_OK &&
        (index > w->n + 1 || index < w->n ||
         (index == w->n && memcmp(w->places[index - 1].round_id, round_id, MSFL_HASH_BYTES) != 0))) {
        status = msfl_fail(MSFL_ERR_FORMAT, "%s does not follow the files before it", name);
    }
    if (status == MSFL_OK) status = reserve(w);
    if (status == MSFL_OK) note(w, index, kind, round_id);
    if (status == MSFL_OK && kind == AUDIT_RECORD) {
        w->n_records++;
        msfl_transcript_hash(bytes, length, w->head);
    }
    msfl_free(bytes);
    return status;
}

static msfl_status take_folder(msfl_audit_writer *w) {
    char **names;
    size_t n;
    msfl_status status = msfl_folder_list(w->folder, AUDIT_FILES_MAX, &names, &n);
    for (size_t i = 0; status == MSFL_OK && i < n; i++) {
        uint32_t number;
        const audit_kind kind = audit_name_read(names[i], &number);
        if (kind < AUDIT_KINDS) status = take_paper(w, names[i], kind, number);
    }
    msfl_names_free(names, n);
    return status;
}

static msfl_status take_job(msfl_audit_writer *w, const uint8_t *job, size_t length) {
    if (length > AUDIT_JOB_BYTES_MAX) {
        return msfl_fail(MSFL_ERR_LIMIT, "a job description of %zu bytes; at most %d", length, AUDIT_JOB_BYTES_MAX);
    }
    audit_job_hash(job, length, w->job);
    char *path = msfl_path_join(w->folder, AUDIT_FILE_JOB);
    if (path == NULL) return MSFL_NO_MEMORY;
    const bool there = msfl_file_exists(path);
    msfl_free(path);
    return there ? expect_same(w, AUDIT_FILE_JOB, job, length) : write_paper(w, AUDIT_FILE_JOB, job, length);
}

msfl_status msfl_audit_writer_open(const char *folder, const uint8_t *job, size_t length, msfl_audit_writer **out) {
    *out = NULL;
    msfl_audit_writer *w = msfl_alloc(1, sizeof *w);
    if (w == NULL) return MSFL_NO_MEMORY;
    w->folder = msfl_strdup(folder);
    msfl_status status = w->folder == NULL ? MSFL_NO_MEMORY : msfl_crypto_init();
    if (status == MSFL_OK) status = msfl_folder_make(folder);
    if (status == MSFL_OK) status = msfl_folder_clean(folder, "");
    if (status == MSFL_OK) status = take_job(w, job, length);
    if (status == MSFL_OK) status = take_folder(w);
    if (status != MSFL_OK) {
        msfl_audit_writer_free(w);
        return msfl_fail_in(status, "the record in %s", folder);
    }
    *out = w;
    return MSFL_OK;
}

void msfl_audit_writer_free(msfl_audit_writer *w) {
    if (w == NULL) return;
    msfl_free(w->places);
    msfl_free(w->folder);
    msfl_free(w);
}

/* --- adding --- */

msfl_status msfl_audit_add_roster(msfl_audit_writer *w, uint32_t epoch, const char *text, size_t length) {
    char name[32];
    if (epoch == 0 || length == 0 || length > PKI_ROSTER_BYTES_MAX) {
        return msfl_fail(MSFL_ERR_USAGE, "a roster of epoch %u with %zu bytes", epoch, length);
    }
    audit_name_write(AUDIT_ROSTER, epoch, name);
    char *path = msfl_path_join(w->folder, name);
    if (path == NULL) return MSFL_NO_MEMORY;
    const bool there = msfl_file_exists(path);
    msfl_free(path);
    return there ? expect_same(w, name, text, length) : write_paper(w, name, text, length);
}

static msfl_status expect_task(const msfl_audit_writer *w, const msfl_announcement *a) {
    uint8_t task[MSFL_HASH_BYTES];
    audit_task(w->job, a->info.authority, task);
    if (memcmp(task, a->info.task, MSFL_HASH_BYTES) == 0) return MSFL_OK;
    return msfl_fail(MSFL_ERR_MISMATCH, "this round is one of another job than the record in %s", w->folder);
}

msfl_status msfl_audit_add_record(msfl_audit_writer *w, const uint8_t *record, size_t length) {
    msfl_announcement a;
    uint8_t round_id[MSFL_HASH_BYTES];
    uint32_t index;
    if (length > AUDIT_RECORD_BYTES_MAX) return msfl_fail(MSFL_ERR_LIMIT, "a transcript of %zu bytes", length);
    msfl_status status = audit_record_peek("the record", record, length, &a, round_id);
    if (status == MSFL_OK) status = expect_task(w, &a);
    if (status != MSFL_OK) return status;
    const place *p = find_place(w, round_id, &index);
    const bool is_new = p == NULL || !p->has[AUDIT_RECORD];
    status = add_paper(w, AUDIT_RECORD, round_id, record, length);
    if (status == MSFL_OK && is_new) {
        w->n_records++;
        msfl_transcript_hash(record, length, w->head);
    }
    return status;
}

/* The statement at the front of an upload message, with the announcement in front of it. */
static msfl_status make_statement(const msfl_roster *roster, const uint8_t *announce, size_t announce_length,
                                  const uint8_t *upload, size_t upload_length, msfl_buffer *out) {
    msfl_frame a, u;
    msfl_status status = msfl_frame_read(announce, announce_length, &a);
    if (status == MSFL_OK) status = msfl_frame_read(upload, upload_length, &u);
    if (status != MSFL_OK) return status;
    const size_t each = msfl_statement_bytes(msfl_roster_borrow(roster)->k);
    const uint8_t *body = msfl_get_bytes(&a.body, MSFL_ANNOUNCE_BODY), *statement = msfl_get_bytes(&u.body, each);
    if (a.kind != MSFL_MSG_ANNOUNCE || u.kind != MSFL_MSG_UPLOAD || body == NULL || statement == NULL ||
        msfl_reader_left(&a.body) != 0) {
        return msfl_fail(MSFL_ERR_FORMAT, "these are no announcement and upload of a round");
    }
    audit_statement_write(body, statement, each, out);
    return out->status;
}

msfl_status msfl_audit_add_upload(msfl_audit_writer *w, const msfl_roster *roster, const uint8_t *announce,
                                  size_t announce_length, const uint8_t *upload, size_t upload_length) {
    msfl_buffer paper = {0};
    audit_statement s;
    msfl_status status = make_statement(roster, announce, announce_length, upload, upload_length, &paper);
    if (status == MSFL_OK) status = audit_statement_read("the upload", paper.bytes, paper.length, &s);
    if (status == MSFL_OK) status = audit_statement_verify("the upload", &s, roster);
    if (status == MSFL_OK) status = expect_task(w, &s.announcement);
    if (status == MSFL_OK) status = add_paper(w, AUDIT_STATEMENT, s.round_id, paper.bytes, paper.length);
    msfl_buffer_clear(&paper);
    return status;
}

msfl_status msfl_audit_add_receipt(msfl_audit_writer *w, const msfl_roster *roster, const uint8_t *next,
                                   size_t length) {
    const uint8_t *round_id, *signature;
    uint8_t *bytes;
    size_t n;
    bool complete;
    uint32_t index;
    char name[32];
    audit_statement s;
    msfl_status status = audit_receipt_read("the reply", next, length, &round_id, &complete, &signature);
    if (status != MSFL_OK || !complete) return status;
    const place *p = find_place(w, round_id, &index);
    if (p == NULL || !p->has[AUDIT_STATEMENT]) {
        return msfl_fail(MSFL_ERR_MISSING, "a receipt for an upload of which no statement was kept");
    }
    if (p->has[AUDIT_RECEIPT]) return MSFL_OK; /* the first one is proof enough */
    audit_name_write(AUDIT_STATEMENT, index, name);
    status = read_paper(w, name, AUDIT_PAPER_BYTES_MAX, &bytes, &n);
    if (status != MSFL_OK) return status;
    status = audit_statement_read(name, bytes, n, &s);
    if (status == MSFL_OK) status = audit_receipt_verify("the reply", next, length, &s, roster);
    if (status == MSFL_OK) status = add_paper(w, AUDIT_RECEIPT, round_id, next, length);
    msfl_free(bytes);
    return status;
}

uint32_t msfl_audit_writer_head(const msfl_audit_writer *w, uint8_t head[MSFL_HASH_BYTES]) {
    memcpy(head, w->head, MSFL_HASH_BYTES);
    return w->n_records;
}
