/* A finished round's transcript into the audit folder of its job. */
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "coordinator/engine_private.h"
#include "medsecurefl/audit.h"

#include <stdio.h>

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
