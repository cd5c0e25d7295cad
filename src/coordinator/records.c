/* A finished round's transcript into the audit folder of its job. */
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "coordinator/engine_private.h"
#include "medsecurefl/audit.h"
#include "round/journal.h"
#include "round/message.h"

#include <stdio.h>

enum { RECORD_BYTES_MAX = 16 << 20 };

msfl_status coord_keep_record(coord_engine *e, coord_entry *j, const uint8_t *transcript, size_t length) {
    msfl_transcript t;
    msfl_audit_writer *writer = NULL;
    uint8_t head[MSFL_HASH_BYTES];
    pthread_mutex_lock(&e->lock);
    coord_members *m = coord_members_hold(j->members != NULL ? j->members : e->members);
    pthread_mutex_unlock(&e->lock);
    char *folder = msfl_format("%s/audit/%s", e->folder, j->job->id);
    msfl_status status = folder == NULL ? MSFL_NO_MEMORY : msfl_folder_make(folder);
    /* What is kept for others to verify is verified first. */
    if (status == MSFL_OK) status = msfl_transcript_verify(transcript, length, m->round, NULL, &t);
    if (status == MSFL_OK) {
        status = msfl_audit_writer_open(folder, (const uint8_t *)j->job->text, j->job->text_length, &writer);
    }
    if (status == MSFL_OK) status = msfl_audit_add_roster(writer, m->pki->epoch, m->text, m->length);
    if (status == MSFL_OK) status = msfl_audit_add_record(writer, transcript, length);
    if (status == MSFL_OK) {
        const uint32_t n = msfl_audit_writer_head(writer, head);
        pthread_mutex_lock(&e->lock);
        j->job->records = n;
        memcpy(j->job->head, head, sizeof head);
        j->job->verified_ms = coord_now_ms();
        pthread_mutex_unlock(&e->lock);
    } else {
        char message[256];
        (void)snprintf(message, sizeof message, "%s", msfl_error_message());
        coord_log(e, COORD_ERROR, j, "a transcript could not be kept: %s", message);
        msfl_error_set(message);
    }
    msfl_audit_writer_free(writer);
    coord_members_drop(m);
    msfl_free(folder);
    return status;
}

/* --- for those who were away when the last round ended --- */

msfl_status coord_last_record(coord_engine *e, const coord_entry *j, msfl_buffer *frames) {
    static const uint8_t none[MSFL_HASH_BYTES];
    uint8_t *bytes = NULL;
    size_t length = 0;
    pthread_mutex_lock(&e->lock);
    const uint32_t n = j->job->state > COORD_RUNNING ? j->job->records : 0;
    pthread_mutex_unlock(&e->lock);
    if (n == 0) return MSFL_OK;
    char *path = msfl_format("%s/audit/%s/%06u.transcript", e->folder, j->job->id, n);
    msfl_status status = path == NULL ? MSFL_NO_MEMORY : msfl_file_read(path, RECORD_BYTES_MAX, &bytes, &length);
    msfl_buffer message = {0};
    if (status == MSFL_OK) {
        msfl_frame_put(&message, MSFL_MSG_RECORD, MSFL_COORDINATOR, none);
        msfl_put_bytes(&message, bytes, length);
        msfl_put32(frames, (uint32_t)message.length);
        msfl_put_bytes(frames, message.bytes, message.length);
        status = message.status != MSFL_OK ? message.status : frames->status;
    }
    msfl_buffer_clear(&message);
    msfl_free(bytes);
    msfl_free(path);
    return status;
}

/* --- what another task left --- */

typedef struct last_record {
    uint8_t *bytes;
    size_t length;
} last_record;

static msfl_status note_record(void *ctx, uint64_t sequence, const uint8_t *record, size_t length) {
    last_record *l = ctx;
    (void)sequence;
    if (length <= MSFL_JOURNAL_HEAD || msfl_load32(record + 8) != MSFL_JOURNAL_FINISHED) return MSFL_OK;
    msfl_free(l->bytes);
    l->length = length - MSFL_JOURNAL_HEAD;
    l->bytes = msfl_alloc(l->length, 1);
    if (l->bytes == NULL) return MSFL_NO_MEMORY;
    memcpy(l->bytes, record + MSFL_JOURNAL_HEAD, l->length);
    return MSFL_OK;
}

msfl_status coord_sweep_task(coord_engine *e, coord_entry *j, const uint8_t task[MSFL_HASH_BYTES]) {
    last_record l = {0};
    msfl_audit_writer *writer = NULL;
    char *folder = msfl_format("%s/audit/%s", e->folder, j->job->id);
    msfl_status status =
        folder == NULL ? MSFL_NO_MEMORY : store_replay(e->o.store, task, "coordinator", note_record, &l);
    /* The folder has that roster since its first record; when this would be the first, there is nothing to verify it
     * with, and it stays in the journal. */
    if (status == MSFL_OK && l.bytes != NULL && msfl_is_folder(folder)) {
        status = msfl_audit_writer_open(folder, (const uint8_t *)j->job->text, j->job->text_length, &writer);
        if (status == MSFL_OK) status = msfl_audit_add_record(writer, l.bytes, l.length);
        if (status == MSFL_OK) {
            pthread_mutex_lock(&e->lock);
            j->job->records = msfl_audit_writer_head(writer, j->job->head);
            pthread_mutex_unlock(&e->lock);
        }
    }
    msfl_audit_writer_free(writer);
    msfl_free(l.bytes);
    msfl_free(folder);
    return status;
}
