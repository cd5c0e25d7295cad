/* The other end of routes_operator.c. */
#include "medsecurefl/operator.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/output.h"
#include "base/sodium.h"
#include "job/spec.h"
#include "net/client.h"
#include "text/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { ANSWER_BYTES_MAX = 64 << 20, FILES_MAX = 64, PATH_BYTES = 256 };

struct msfl_operator {
    pki_kit *kit;
    net_client *client;
};

msfl_status msfl_operator_new(const char *kit, const msfl_unlock *unlock, const char *url, const volatile int *cancel,
                              msfl_operator **out) {
    *out = NULL;
    msfl_operator *o = msfl_alloc(1, sizeof *o);
    if (o == NULL) return MSFL_NO_MEMORY;
    msfl_status status = pki_kit_load(kit, unlock, (int64_t)time(NULL), &o->kit);
    if (status == MSFL_OK) {
        net_client_options options = net_client_options_of(o->kit);
        if (url != NULL) options.url = url;
        options.cancel = cancel;
        options.retry.attempts_max = 3; /* somebody is waiting */
        status = net_client_new(&options, &o->client);
    }
    if (status != MSFL_OK) {
        msfl_operator_free(o);
        return status;
    }
    *out = o;
    return MSFL_OK;
}

void msfl_operator_free(msfl_operator *o) {
    if (o == NULL) return;
    net_client_free(o->client);
    pki_kit_free(o->kit);
    msfl_free(o);
}

static msfl_status status_named(const char *name, uint32_t http) {
#define IS(symbol, value, exit, text)                                                                                  \
    if (strcmp(name, #symbol) == 0) return MSFL_##symbol;
    MSFL_STATUS_LIST(IS)
#undef IS
    return http == 404 ? MSFL_ERR_MISSING : http == 403 ? MSFL_ERR_POLICY : MSFL_ERR_IO;
}

/** A call whose answer must be a success; the coordinator's words when it is none. Clear `body` in any case. */
static msfl_status ask(msfl_operator *o, net_ask *call, msfl_buffer *body) {
    net_answer answer;
    *body = (msfl_buffer){0};
    call->answer_max = ANSWER_BYTES_MAX;
    msfl_status status = net_client_ask(o->client, call, &answer);
    if (status != MSFL_OK) return status;
    *body = answer.body;
    if (answer.status < 300) return MSFL_OK;
    json_t *told = NULL;
    if (msfl_json_parse("answer", (const char *)body->bytes, body->length, 1 << 16, &told) != MSFL_OK) told = NULL;
    const char *error = json_string_value(json_object_get(told, "error")),
               *name = json_string_value(json_object_get(told, "status"));
    status = msfl_fail(status_named(name != NULL ? name : "", answer.status), "%s",
                       error != NULL ? error : "the coordinator refused this without saying why");
    json_decref(told);
    return status;
}

static msfl_status get(msfl_operator *o, const char *path, msfl_buffer *body) {
    net_ask call = {.method = "GET", .path = path, .repeat = NET_REPEAT};
    return ask(o, &call, body);
}

static const char *const action_json[] = {"Content-Type: application/json", "X-Msfl-Action: 1", NULL};

static msfl_status check_id(const char *id) {
    const size_t n = strlen(id);
    if (n >= 1 && n <= MSFL_JOB_ID_MAX && strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789-") == n) return MSFL_OK;
    return msfl_fail(MSFL_ERR_USAGE, "'%.60s' is no job: see `job list`", id);
}

static msfl_status copy_text(const msfl_buffer *body, char **text) {
    *text = msfl_strndup((const char *)body->bytes, body->length);
    return *text == NULL ? MSFL_NO_MEMORY : MSFL_OK;
}

/* --- submit --- */

typedef struct memory {
    const uint8_t *bytes;
} memory;

static msfl_status read_memory(void *ctx, uint64_t offset, uint8_t *out, size_t length) {
    memcpy(out, ((const memory *)ctx)->bytes + offset, length);
    return MSFL_OK;
}

static bool ends_with(const char *text, const char *end) {
    const size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/** Initial weights as values in the job's order; msfl_free. */
static msfl_status load_initial(const char *path, const job_shape *shape, uint8_t **bytes) {
    const size_t wanted = shape->n_values * sizeof(float);
    size_t length;
    *bytes = NULL;
    if (!ends_with(path, ".h5")) {
        msfl_status status = msfl_file_read(path, wanted, bytes, &length);
        if (status == MSFL_ERR_LIMIT || (status == MSFL_OK && length != wanted)) {
            msfl_free(*bytes);
            *bytes = NULL;
            return msfl_fail(MSFL_ERR_MISMATCH, "%s does not hold the %llu float32 values of this network", path,
                             (unsigned long long)shape->n_values);
        }
        return status;
    }
    msfl_model *model;
    float *weights;
    msfl_status status = msfl_model_load(path, &model, &weights, NULL);
    if (status != MSFL_OK) return status;
    uint8_t ours[MSFL_HASH_BYTES] = {0}, theirs[MSFL_HASH_BYTES] = {1};
    if (shape->model != NULL) msfl_model_hash(shape->model, ours);
    msfl_model_hash(model, theirs);
    if (memcmp(ours, theirs, sizeof ours) != 0) {
        status = msfl_fail(MSFL_ERR_MISMATCH, "%s is of another network than the job's", path);
    } else {
        *bytes = msfl_alloc(wanted, 1);
        if (*bytes == NULL) status = MSFL_NO_MEMORY;
        if (status == MSFL_OK) memcpy(*bytes, weights, wanted);
    }
    msfl_model_free(model);
    msfl_floats_free(weights);
    return status;
}

static msfl_status send_initial(msfl_operator *o, const char *path, job_spec *spec, char key[40]) {
    job_shape *shape = NULL;
    uint8_t *bytes = NULL, random[12];
    char url[80];
    msfl_status status = job_shape_new(spec, &shape);
    if (status == MSFL_OK) status = load_initial(path, shape, &bytes);
    if (status == MSFL_OK) {
        job_weights_hash(shape, (const float *)(const void *)bytes, spec->initial);
        msfl_random_bytes(random, sizeof random);
        (void)snprintf(key, 40, "initial-");
        msfl_hex(random, sizeof random, key + 8);
        (void)snprintf(url, sizeof url, "/v1/uploads/%s", key);
        memory m = {bytes};
        const net_source source = {read_memory, &m, shape->n_values * sizeof(float)};
        status = net_client_upload(o->client, url, &source, NULL);
    }
    job_shape_free(shape);
    msfl_free(bytes);
    return status;
}

msfl_status msfl_operator_submit(msfl_operator *o, const char *path, const char *initial,
                                 char id[MSFL_JOB_ID_MAX + 1]) {
    uint8_t *text = NULL, random[16];
    size_t length;
    char *canonical = NULL, key[40] = "", header[64];
    job_spec spec = {0};
    msfl_buffer body = {0};
    json_t *answer = NULL;
    const char *headers[] = {action_json[0], action_json[1], NULL, NULL};
    msfl_status status = msfl_file_read(path, JOB_TEXT_MAX, &text, &length);
    if (status == MSFL_OK) status = job_spec_parse(path, (const char *)text, length, true, &spec);
    if (status == MSFL_OK && initial != NULL) status = send_initial(o, initial, &spec, key);
    if (status != MSFL_OK) goto done;
    /* Drawn here, so that a submission that is repeated for a lost answer stays one job. */
    if (spec.nonce[0] == 0) {
        msfl_random_bytes(random, sizeof random);
        msfl_hex(random, sizeof random, spec.nonce);
    }
    status = job_spec_text(&spec, &canonical);
    if (status != MSFL_OK) goto done;
    if (initial != NULL) {
        (void)snprintf(header, sizeof header, "X-Msfl-Initial: %s", key);
        headers[2] = header;
    }
    net_ask call = {.method = "POST",
                    .path = "/v1/jobs",
                    .headers = headers,
                    .body = canonical,
                    .length = strlen(canonical),
                    .repeat = NET_ONCE};
    status = ask(o, &call, &body);
    if (status == MSFL_OK) {
        status = msfl_json_parse("answer", (const char *)body.bytes, body.length, 1 << 12, &answer);
    }
    const char *found = json_string_value(json_object_get(answer, "id"));
    if (status == MSFL_OK)
        status = found != NULL ? check_id(found) : msfl_fail(MSFL_ERR_FORMAT, "no job in the answer");
    if (status == MSFL_OK) (void)snprintf(id, MSFL_JOB_ID_MAX + 1, "%s", found);
done:
    json_decref(answer);
    msfl_buffer_clear(&body);
    msfl_free(canonical);
    job_spec_clear(&spec);
    msfl_free(text);
    return status;
}

/* --- looking --- */

msfl_status msfl_operator_status(msfl_operator *o, char **json) {
    msfl_buffer body;
    *json = NULL;
    msfl_status status = get(o, "/v1/status", &body);
    if (status == MSFL_OK) status = copy_text(&body, json);
    msfl_buffer_clear(&body);
    return status;
}

msfl_status msfl_operator_show(msfl_operator *o, const char *id, char **json) {
    char path[PATH_BYTES];
    msfl_buffer body = {0};
    json_t *all = NULL, *description = NULL, *found = NULL;
    *json = NULL;
    msfl_status status = check_id(id);
    if (status == MSFL_OK) status = get(o, "/v1/status", &body);
    if (status == MSFL_OK)
        status = msfl_json_parse("status", (const char *)body.bytes, body.length, ANSWER_BYTES_MAX, &all);
    msfl_buffer_clear(&body);
    const json_t *jobs = json_object_get(all, "jobs");
    for (size_t i = 0; status == MSFL_OK && i < json_array_size(jobs); i++) {
        json_t *job = json_array_get(jobs, i);
        const char *name = json_string_value(json_object_get(job, "id"));
        if (name != NULL && strcmp(name, id) == 0) found = job;
    }
    if (status == MSFL_OK && found == NULL) status = msfl_fail(MSFL_ERR_MISSING, "there is no job %s", id);
    (void)snprintf(path, sizeof path, "/v1/jobs/%s", id);
    if (status == MSFL_OK) status = get(o, path, &body);
    if (status == MSFL_OK) {
        status = msfl_json_parse("job", (const char *)body.bytes, body.length, JOB_TEXT_MAX, &description);
    }
    if (status == MSFL_OK) {
        json_object_set(found, "description", description);
        status = msfl_json_text(found, false, json);
    }
    json_decref(description);
    json_decref(all);
    msfl_buffer_clear(&body);
    return status;
}

msfl_status msfl_operator_abort(msfl_operator *o, const char *id, const char *reason) {
    char path[PATH_BYTES], *text = NULL;
    msfl_buffer body = {0};
    msfl_status status = check_id(id);
    if (status != MSFL_OK) return status;
    (void)snprintf(path, sizeof path, "/v1/jobs/%s/abort", id);
    json_t *object = json_pack("{s:o}", "reason", msfl_json_string(reason));
    status = msfl_json_text(object, true, &text);
    json_decref(object);
    if (status == MSFL_OK) {
        net_ask call = {.method = "POST",
                        .path = path,
                        .headers = action_json,
                        .body = text,
                        .length = strlen(text),
                        .repeat = NET_REPEAT};
        status = ask(o, &call, &body);
    }
    msfl_buffer_clear(&body);
    msfl_free(text);
    return status;
}

/* --- fetching --- */

static msfl_status write_at(void *ctx, uint64_t offset, const uint8_t *bytes, size_t length) {
    const int fd = *(const int *)ctx;
    while (length > 0) {
        ssize_t n = pwrite(fd, bytes, length, (off_t)offset);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return msfl_fail_errno(n < 0 ? errno : EIO, "the file cannot be written");
        bytes += n;
        offset += (uint64_t)n;
        length -= (size_t)n;
    }
    return MSFL_OK;
}

static msfl_status fetch_one(msfl_operator *o, const char *id, const char *folder, const char *name, uint64_t *length) {
    char path[PATH_BYTES], etag[NET_NAME_MAX + 3] = "";
    char *final = msfl_path_join(folder, name), *part = msfl_format("%s/%s%s0", folder, name, MSFL_PARTIAL);
    int fd = -1;
    msfl_status status = final == NULL || part == NULL ? MSFL_NO_MEMORY : MSFL_OK;
    if (status != MSFL_OK) goto done;
    (void)snprintf(path, sizeof path, "/v1/jobs/%s/files/%s", id, name);
    fd = open(part, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        status = msfl_fail_errno(errno, "cannot write %s", part);
        goto done;
    }
    const net_sink sink = {write_at, &fd, (uint64_t)4 << 30};
    status = net_client_download(o->client, path, &sink, 0, etag, length);
    if (status == MSFL_OK && (ftruncate(fd, (off_t)*length) != 0 || fsync(fd) != 0)) {
        status = msfl_fail_errno(errno, "cannot write %s", part);
    }
    if (status == MSFL_OK) status = msfl_file_rename(part, final, true);
done:
    if (fd >= 0) close(fd);
    if (status != MSFL_OK && part != NULL) (void)unlink(part);
    msfl_free(final);
    msfl_free(part);
    return status;
}

static bool is_file_name(const char *name) {
    const size_t n = strlen(name);
    return n >= 1 && n <= 64 && name[0] != '.' && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._") == n;
}

msfl_status msfl_operator_fetch(msfl_operator *o, const char *id, const char *folder, char **json) {
    char path[PATH_BYTES];
    msfl_buffer body = {0};
    json_t *list = NULL, *done = json_array();
    *json = NULL;
    msfl_status status = check_id(id);
    (void)snprintf(path, sizeof path, "/v1/jobs/%s/files", id);
    if (status == MSFL_OK) status = get(o, path, &body);
    if (status == MSFL_OK) status = msfl_json_parse("files", (const char *)body.bytes, body.length, 1 << 16, &list);
    if (status == MSFL_OK && (!json_is_array(list) || json_array_size(list) == 0)) {
        status = msfl_fail(MSFL_ERR_MISSING, "job %s has no files yet", id);
    }
    if (status == MSFL_OK) status = msfl_folder_make(folder);
    for (size_t i = 0; status == MSFL_OK && i < json_array_size(list) && i < FILES_MAX; i++) {
        const char *name = json_string_value(json_object_get(json_array_get(list, i), "name"));
        uint64_t length = 0;
        if (name == NULL || !is_file_name(name)) continue; /* the coordinator does not name our files */
        status = fetch_one(o, id, folder, name, &length);
        if (status == MSFL_OK) {
            json_array_append_new(done, json_pack("{s:s,s:I}", "name", name, "bytes", (json_int_t)length));
        }
    }
    if (status == MSFL_OK) status = msfl_json_text(done, false, json);
    json_decref(done);
    json_decref(list);
    msfl_buffer_clear(&body);
    return status;
}
