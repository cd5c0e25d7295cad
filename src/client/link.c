#include "client/link.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/output.h"
#include "job/spec.h"
#include "medsecurefl/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    JOBS_MAX = 4096,
    LIST_BYTES_MAX = 4 << 20,
    PLAN_BYTES_MAX = 1 << 16,
    INBOX_BYTES_MAX = 256 << 20, /* a release for 1,200 hospitals at N = 32768 has 98 MB */
    ANSWER_BYTES_MAX = 4 << 20,
    RECORD_BYTES_MAX = 64 << 20 /* statements of 10,000 hospitals for 16 members have 6 MB */
};

struct client_link {
    net_client *net;
};

msfl_status client_link_new(const pki_kit *kit, const volatile int *cancel, uint32_t attempts, client_link **out) {
    *out = NULL;
    client_link *l = msfl_alloc(1, sizeof *l);
    if (l == NULL) return MSFL_NO_MEMORY;
    net_client_options o = net_client_options_of(kit);
    o.cancel = cancel;
    o.retry.attempts_max = attempts;
    if (attempts == 1) {
        /* Of no great importance: nobody waits long for it. */
        o.connect_timeout_ms = 3000;
        o.total_timeout_ms = 5000;
    }
    msfl_status status = net_client_new(&o, &l->net);
    if (status != MSFL_OK) {
        client_link_free(l);
        return status;
    }
    *out = l;
    return MSFL_OK;
}

void client_link_free(client_link *l) {
    if (l == NULL) return;
    net_client_free(l->net);
    msfl_free(l);
}

net_client *client_link_net(client_link *l) {
    return l->net;
}

/* --- answers that are no success --- */

static msfl_status status_named(const char *name) {
#define STATUS_OF(n, value, exit_code, text)                                                                           \
    if (name != NULL && strcmp(name, #n) == 0) return MSFL_##n;
    MSFL_STATUS_LIST(STATUS_OF)
#undef STATUS_OF
    return MSFL_ERR_MISMATCH;
}

/* The coordinator's words are shown, cut and cleaned, and believed in nothing. */
static msfl_status refused(const net_answer *a, const char *path) {
    json_t *o = NULL;
    char words[200] = "";
    msfl_status status = a->status == 404 ? MSFL_ERR_MISSING : a->status == 403 ? MSFL_ERR_POLICY : MSFL_ERR_MISMATCH;
    if (a->body.length > 0 &&
        msfl_json_parse("answer", (const char *)a->body.bytes, a->body.length, 1 << 16, &o) == MSFL_OK) {
        const char *text = json_string_value(json_object_get(o, "error"));
        const char *name = json_string_value(json_object_get(o, "status"));
        if (text != NULL) snprintf(words, sizeof words, "%s", text);
        if (name != NULL && status_named(name) != MSFL_OK) status = status_named(name);
    }
    json_decref(o);
    for (char *at = words; *at != 0; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f) *at = ' ';
    }
    return msfl_fail(status, "the coordinator answers %u to %s%s%s", a->status, path, words[0] != 0 ? ": " : "", words);
}

/* A call with an answer of 200 (or 204, where the body stays empty). */
static msfl_status ask(client_link *l, net_ask *a, msfl_buffer *body) {
    net_answer answer;
    *body = (msfl_buffer){0};
    msfl_status status = net_client_ask(l->net, a, &answer);
    if (status != MSFL_OK) return status;
    if (answer.status != 200 && answer.status != 201 && answer.status != 204) {
        status = refused(&answer, a->path);
        msfl_buffer_clear(&answer.body);
        return status;
    }
    *body = answer.body;
    return MSFL_OK;
}

/* Bytes with a closing zero that is not counted. */
static msfl_status take_text(msfl_buffer *body, char **text, size_t *length) {
    *length = body->length;
    msfl_put8(body, 0);
    if (body->status != MSFL_OK) {
        msfl_buffer_clear(body);
        return MSFL_NO_MEMORY;
    }
    *text = (char *)body->bytes;
    return MSFL_OK;
}

static msfl_status get_text(client_link *l, const char *path, size_t bytes_max, char **text, size_t *length) {
    net_ask a = {.method = "GET", .path = path, .answer_max = bytes_max};
    msfl_buffer body;
    *text = NULL;
    msfl_status status = ask(l, &a, &body);
    return status == MSFL_OK ? take_text(&body, text, length) : status;
}

msfl_status client_link_roster(client_link *l, char **text, size_t *length) {
    return get_text(l, "/v1/roster", PKI_ROSTER_BYTES_MAX, text, length);
}

msfl_status client_link_job(client_link *l, const char *job, char **text, size_t *length) {
    char path[160];
    snprintf(path, sizeof path, "/v1/jobs/%s", job);
    return get_text(l, path, JOB_TEXT_MAX, text, length);
}

msfl_status client_link_plan(client_link *l, const char *job, uint64_t number, char **text, size_t *length) {
    char path[160];
    snprintf(path, sizeof path, "/v1/jobs/%s/rounds/%" PRIu64, job, number);
    return get_text(l, path, PLAN_BYTES_MAX, text, length);
}

msfl_status client_link_record(client_link *l, const char *job, uint32_t index, char **bytes, size_t *length) {
    char path[160];
    snprintf(path, sizeof path, "/v1/jobs/%s/records/%" PRIu32, job, index);
    return get_text(l, path, RECORD_BYTES_MAX, bytes, length);
}

msfl_status client_link_job_roster(client_link *l, const char *job, uint32_t epoch, char **text, size_t *length) {
    char path[160];
    snprintf(path, sizeof path, "/v1/jobs/%s/rosters/%" PRIu32, job, epoch);
    return get_text(l, path, PKI_ROSTER_BYTES_MAX, text, length);
}

/* --- long polls --- */

static msfl_status poll(client_link *l, const char *path, size_t bytes_max, uint32_t wait_s, uint64_t *seen,
                        msfl_buffer *body) {
    char seen_text[48], wait_text[32];
    snprintf(seen_text, sizeof seen_text, "X-Msfl-Seen: %" PRIu64, *seen);
    snprintf(wait_text, sizeof wait_text, "X-Msfl-Wait: %" PRIu32, wait_s);
    const char *headers[] = {wait_text, seen_text, NULL};
    if (*seen == 0) headers[1] = NULL;
    if (wait_s == 0) headers[0] = NULL;
    net_ask a = {.method = "GET",
                 .path = path,
                 .headers = wait_s == 0 ? NULL : headers,
                 .answer_max = bytes_max,
                 .field = "x-msfl-version"};
    msfl_status status = ask(l, &a, body);
    if (status == MSFL_OK) *seen = a.has_number ? a.number : 0;
    return status;
}

static bool hex_of(const char *text, uint8_t out[MSFL_HASH_BYTES]) {
    return text != NULL && strlen(text) == (size_t)2 * MSFL_HASH_BYTES && pki_hex_read(text, out, MSFL_HASH_BYTES);
}

static bool read_line(const json_t *o, client_job_line *line) {
    static const char *const states[] = {"queued", "running", "done", "aborted", "failed"};
    const char *id = json_string_value(json_object_get(o, "id"));
    const char *state = json_string_value(json_object_get(o, "state"));
    if (id == NULL || state == NULL || strlen(id) > JOB_ID_MAX) return false;
    for (const char *at = id; *at != 0; at++) {
        if (!((*at >= 'a' && *at <= 'z') || (*at >= '0' && *at <= '9') || *at == '-')) return false;
    }
    snprintf(line->id, sizeof line->id, "%s", id);
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        if (strcmp(states[i], state) != 0) continue;
        line->state = (client_job_state)i;
        return id[0] != 0 && hex_of(json_string_value(json_object_get(o, "hash")), line->hash);
    }
    return false;
}

msfl_status client_link_jobs(client_link *l, uint32_t wait_s, uint64_t *seen, uint32_t *epoch, client_job_line **lines,
                             size_t *n) {
    msfl_buffer body;
    json_t *o = NULL;
    *lines = NULL;
    *n = 0;
    msfl_status status = poll(l, "/v1/jobs", LIST_BYTES_MAX, *seen == 0 ? 0 : wait_s, seen, &body);
    if (status == MSFL_OK) {
        status = msfl_json_parse("the list of jobs", (const char *)body.bytes, body.length, LIST_BYTES_MAX, &o);
    }
    const json_t *list = json_object_get(o, "jobs");
    const json_int_t e = json_integer_value(json_object_get(o, "epoch"));
    if (status == MSFL_OK && (!json_is_array(list) || json_array_size(list) > JOBS_MAX || e < 0 || e > UINT32_MAX)) {
        status = msfl_fail(MSFL_ERR_FORMAT, "the coordinator's list of jobs is none");
    }
    if (status == MSFL_OK) {
        *epoch = (uint32_t)e;
        *lines = msfl_alloc(json_array_size(list), sizeof **lines);
        if (*lines == NULL) status = MSFL_NO_MEMORY;
    }
    for (size_t i = 0; status == MSFL_OK && i < json_array_size(list); i++) {
        if (read_line(json_array_get(list, i), &(*lines)[*n])) ++*n; /* a line we do not understand is no job of ours */
    }
    json_decref(o);
    msfl_buffer_clear(&body);
    return status;
}

msfl_status client_link_inbox(client_link *l, const char *job, uint64_t *seen, uint32_t wait_s, msfl_buffer *frames) {
    char path[160];
    snprintf(path, sizeof path, "/v1/jobs/%s/inbox", job);
    return poll(l, path, INBOX_BYTES_MAX, wait_s, seen, frames);
}

/* --- to the coordinator --- */

static const char *const frame_headers[] = {"Content-Type: application/vnd.medsecurefl.frames", NULL};

msfl_status client_link_send(client_link *l, const char *job, const client_body *body, msfl_buffer *answer) {
    char path[160];
    snprintf(path, sizeof path, "/v1/jobs/%s/outbox", job);
    net_ask a = {.method = "POST",
                 .path = path,
                 .headers = frame_headers,
                 .read = body->read,
                 .ctx = body->ctx,
                 .length = body->length,
                 .answer_max = ANSWER_BYTES_MAX,
                 .repeat = NET_ONCE};
    return ask(l, &a, answer);
}

msfl_status client_link_post(client_link *l, const char *job, const msfl_buffer *frames, msfl_buffer *answer) {
    char path[160];
    snprintf(path, sizeof path, "/v1/jobs/%s/outbox", job);
    net_ask a = {.method = "POST",
                 .path = path,
                 .headers = frame_headers,
                 .body = frames->bytes,
                 .length = frames->length,
                 .answer_max = ANSWER_BYTES_MAX,
                 .repeat = NET_REPEAT};
    return ask(l, &a, answer);
}

/* JSON to a place of a job; what comes back says nothing. */
static msfl_status post_json(client_link *l, const char *job, const char *place, const char *json, net_repeat repeat) {
    char path[160];
    msfl_buffer answer;
    snprintf(path, sizeof path, "/v1/jobs/%s/%s", job, place);
    static const char *const headers[] = {"Content-Type: application/json", NULL};
    net_ask a = {.method = "POST",
                 .path = path,
                 .headers = headers,
                 .body = json,
                 .length = strlen(json),
                 .answer_max = 1 << 16,
                 .repeat = repeat};
    msfl_status status = ask(l, &a, &answer);
    msfl_buffer_clear(&answer);
    return status;
}

msfl_status client_link_report(client_link *l, const char *job, const char *json) {
    return post_json(l, job, "report", json, NET_ONCE);
}

/* --- weights --- */

typedef struct download {
    int fd;
    const net_progress *progress;
    uint64_t total;
} download;

static msfl_status write_model(void *ctx, uint64_t offset, const uint8_t *bytes, size_t length) {
    download *d = ctx;
    for (size_t done = 0; done < length;) {
        ssize_t n = pwrite(d->fd, bytes + done, length - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return msfl_fail_errno(errno, "weights cannot be written");
        done += (size_t)n;
    }
    if (d->progress != NULL && d->progress->moved != NULL) {
        d->progress->moved(d->progress->ctx, offset + length, d->total);
    }
    return MSFL_OK;
}

/* A file of `total` bytes to `path`, going on where `path`.part of the same version ends. */
static msfl_status download_file(client_link *l, const char *url, const char *version, const char *path, uint64_t total,
                                 const char *what, const net_progress *progress) {
    char etag[NET_NAME_MAX + 3] = "";
    snprintf(etag, sizeof etag, "%s", version);
    char *part = msfl_format("%s.part", path);
    uint64_t length = 0;
    download d = {.fd = -1, .progress = progress, .total = total};
    msfl_status status = part == NULL ? MSFL_NO_MEMORY : MSFL_OK;
    if (status != MSFL_OK) goto done;
    d.fd = open(part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    struct stat st;
    if (d.fd < 0 || fstat(d.fd, &st) != 0) {
        status = msfl_fail_errno(errno, "%s cannot be opened", part);
        goto done;
    }
    const net_sink sink = {.write = write_model, .ctx = &d, .bytes_max = d.total};
    status = net_client_download(l->net, url, &sink, (uint64_t)st.st_size, etag, &length);
    if (status == MSFL_OK && length != d.total) {
        status = msfl_fail(MSFL_ERR_MISMATCH, "%s have %" PRIu64 " bytes instead of %" PRIu64, what, length, d.total);
    }
    if (status == MSFL_OK && ftruncate(d.fd, (off_t)length) != 0) {
        status = msfl_fail_errno(errno, "%s cannot be cut", part);
    }
    if (status == MSFL_OK) status = msfl_file_rename(part, path, true);
done:
    if (d.fd >= 0) close(d.fd);
    if (part != NULL && status == MSFL_ERR_MISMATCH) (void)unlink(part);
    msfl_free(part);
    return status;
}

msfl_status client_link_model(client_link *l, const char *job, uint32_t index, const uint8_t hash[MSFL_HASH_BYTES],
                              const char *path, uint64_t n_values, const net_progress *progress) {
    char url[160], etag[MSFL_HASH_BYTES + 1];
    snprintf(url, sizeof url, "/v1/jobs/%s/models/%" PRIu32, job, index);
    /* An ETag is half of the model's hash, so what lies here of that model can be gone on with. */
    msfl_hex(hash, MSFL_HASH_BYTES / 2, etag);
    return download_file(l, url, etag, path, n_values * sizeof(float), "the weights", progress);
}

/* --- delivery to the hospitals --- */

msfl_status client_link_sum(client_link *l, const char *job, uint64_t number, const char *etag, const char *path,
                            uint64_t length) {
    char url[160];
    snprintf(url, sizeof url, "/v1/jobs/%s/sums/%" PRIu64, job, number);
    return download_file(l, url, etag, path, length, "the folded sums", NULL);
}

msfl_status client_link_delivery(client_link *l, const char *job, uint64_t number, msfl_buffer *frames) {
    char path[160];
    snprintf(path, sizeof path, "/v1/jobs/%s/deliveries/%" PRIu64, job, number);
    net_ask a = {.method = "GET", .path = path, .answer_max = INBOX_BYTES_MAX};
    return ask(l, &a, frames);
}

msfl_status client_link_claim(client_link *l, const char *job, const char *json) {
    return post_json(l, job, "claim", json, NET_REPEAT);
}

/* --- frames --- */

void client_frame_put(msfl_buffer *frames, const uint8_t *message, size_t length) {
    msfl_put32(frames, (uint32_t)length);
    msfl_put_bytes(frames, message, length);
}

bool client_frame_next(msfl_reader *r, const uint8_t **message, size_t *length, bool *failed) {
    *failed = false;
    if (msfl_reader_left(r) == 0) return false;
    const uint32_t n = msfl_get32(r);
    *message = msfl_get_bytes(r, n);
    *length = n;
    *failed = r->failed || n == 0 || n > MSFL_MESSAGE_BYTES_MAX;
    return !*failed;
}
