/* The audit folder of a job: its description, the rosters it ran under, and the transcript of every round, numbered in
 * the order in which they ended. docs/formats/audit.md */
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "coordinator/engine_private.h"
#include "medsecurefl/transcript.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RECORD_BYTES_MAX = 16 << 20, RECORDS_MAX = 999999, FILES_MAX = 1100000 };

static msfl_status write_once(const char *folder, const char *name, const void *bytes, size_t length) {
    char *path = msfl_path_join(folder, name);
    msfl_status status = path == NULL ? MSFL_NO_MEMORY : MSFL_OK;
    if (status == MSFL_OK && !msfl_file_exists(path)) status = msfl_file_write(path, bytes, length);
    msfl_free(path);
    return status;
}

/** The highest number of a transcript in the folder, 0 where there is none. */
static msfl_status newest(const char *folder, uint32_t *number) {
    char **names;
    size_t n;
    *number = 0;
    msfl_status status = msfl_folder_list(folder, FILES_MAX, &names, &n);
    if (status != MSFL_OK) return status;
    for (size_t i = 0; i < n; i++) {
        const char *dot = strchr(names[i], '.');
        if (dot == NULL || dot - names[i] != 6 || strcmp(dot, ".transcript") != 0) continue;
        const uint32_t found = (uint32_t)strtoul(names[i], NULL, 10);
        if (found > *number) *number = found;
    }
    msfl_names_free(names, n);
    return MSFL_OK;
}

static char *record_path(const char *folder, uint32_t number) {
    return msfl_format("%s/%06u.transcript", folder, number);
}

/** Whether the newest record is this one already: then its number. */
static bool is_kept(const char *folder, uint32_t number, const uint8_t *transcript, size_t length) {
    uint8_t *bytes = NULL;
    size_t n = 0;
    char *path = number == 0 ? NULL : record_path(folder, number);
    const bool same = path != NULL && msfl_file_read(path, RECORD_BYTES_MAX, &bytes, &n) == MSFL_OK && n == length &&
                      memcmp(bytes, transcript, n) == 0;
    msfl_free(bytes);
    msfl_free(path);
    return same;
}

msfl_status coord_keep_record(coord_engine *e, coord_entry *j, const uint8_t *transcript, size_t length) {
    msfl_transcript t;
    uint32_t number = 0;
    char name[32];
    pthread_mutex_lock(&e->lock);
    coord_members *m = coord_members_hold(j->members != NULL ? j->members : e->members);
    pthread_mutex_unlock(&e->lock);
    char *folder = msfl_format("%s/audit/%s", e->folder, j->job->id), *path = NULL;
    msfl_status status = folder == NULL ? MSFL_NO_MEMORY : msfl_folder_make(folder);
    /* What is kept for others to verify is verified first. */
    if (status == MSFL_OK) status = msfl_transcript_verify(transcript, length, m->round, NULL, &t);
    if (status == MSFL_OK) status = write_once(folder, "job.json", j->job->text, j->job->text_length);
    (void)snprintf(name, sizeof name, "roster-%u.yaml", m->pki->epoch);
    if (status == MSFL_OK) status = write_once(folder, name, m->text, m->length);
    if (status == MSFL_OK) status = newest(folder, &number);
    if (status == MSFL_OK && !is_kept(folder, number, transcript, length)) {
        if (number == RECORDS_MAX) status = msfl_fail(MSFL_ERR_LIMIT, "%s holds %d records", folder, RECORDS_MAX);
        path = record_path(folder, ++number);
        if (path == NULL) status = MSFL_NO_MEMORY;
        if (status == MSFL_OK) status = msfl_file_write(path, transcript, length);
    }
    if (status == MSFL_OK) {
        pthread_mutex_lock(&e->lock);
        j->job->records = number;
        memcpy(j->job->head, t.hash, MSFL_HASH_BYTES);
        j->job->verified_ms = coord_now_ms();
        pthread_mutex_unlock(&e->lock);
    } else {
        char message[256];
        (void)snprintf(message, sizeof message, "%s", msfl_error_message());
        coord_log(e, COORD_ERROR, j, "a transcript could not be kept: %s", message);
        msfl_error_set(message);
    }
    coord_members_drop(m);
    msfl_free(path);
    msfl_free(folder);
    return status;
}
