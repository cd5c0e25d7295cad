/* What operators ask: work for the coordinator, and what came of it. docs/formats/http.md */
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "coordinator/bundle.h"
#include "coordinator/service.h"
#include "dashboard/dashboard.h"
#include "text/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static const char type_json[] = "application/json";

/** Where a complete upload of initial weights lies; msfl_free. Keys and names hold no '/'. */
static char *upload_path(const coord_service *s, const char *peer, const char *key) {
    return msfl_format("%s/uploads/%s/%s.whole", s->folder, peer, key);
}

static bool is_key(const char *key) {
    const size_t n = strlen(key);
    return n >= 1 && n <= NET_PARAM_MAX && key[0] != '.' &&
           strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._~-") == n;
}

static msfl_status post_job(void *ctx, net_request *request) {
    coord_service *s = ctx;
    const msfl_buffer *body = coord_body(request);
    const char *key = net_request_header(request, "X-Msfl-Initial");
    char id[JOB_ID_MAX + 1], answer[JOB_ID_MAX + 32], *path = NULL;
    msfl_status status = dashboard_check_action(request);
    if (status == MSFL_OK && key != NULL && !is_key(key)) status = msfl_fail(MSFL_ERR_FORMAT, "X-Msfl-Initial: no key");
    if (status == MSFL_OK && key != NULL) {
        path = upload_path(s, net_request_peer(request)->name, key);
        if (path == NULL) {
            status = MSFL_NO_MEMORY;
        } else if (!msfl_file_exists(path)) {
            status = msfl_fail(MSFL_ERR_MISSING, "the upload %s is not here, or not complete", key);
        }
    }
    if (status == MSFL_OK) status = coord_engine_submit(s->engine, (const char *)body->bytes, body->length, path, id);
    if (status == MSFL_OK) {
        if (path != NULL) (void)unlink(path); /* the job has its own copy */
        (void)snprintf(answer, sizeof answer, "{\"id\":\"%s\"}\n", id);
        status = net_answer_text(request, 201, type_json, answer);
    }
    msfl_free(path);
    return status;
}

static msfl_status post_abort(void *ctx, net_request *request) {
    coord_service *s = ctx;
    const msfl_buffer *body = coord_body(request);
    json_t *o = NULL;
    msfl_status status = dashboard_check_action(request);
    if (status == MSFL_OK) status = msfl_json_parse("abort", (const char *)body->bytes, body->length, 4096, &o);
    const char *reason = json_string_value(json_object_get(o, "reason"));
    if (status == MSFL_OK && (reason == NULL || reason[0] == 0))
        status = msfl_fail(MSFL_ERR_FORMAT, "a reason is needed");
    if (status == MSFL_OK) status = coord_engine_abort(s->engine, net_request_param(request, 0), reason);
    json_decref(o);
    return status == MSFL_OK ? net_answer_text(request, 200, type_json, "{}\n") : status;
}

static msfl_status post_roster(void *ctx, net_request *request) {
    coord_service *s = ctx;
    const msfl_buffer *body = coord_body(request);
    msfl_status status = dashboard_check_action(request);
    if (status == MSFL_OK) status = coord_service_roster(s, (const char *)body->bytes, body->length);
    return status == MSFL_OK ? net_answer_text(request, 200, type_json, "{}\n") : status;
}

/* --- files --- */

static const char *const products[] = {"agg_model.h5",  "agg_model_last.h5", "agg_model.f32", "agg_model_last.f32",
                                       "metrics.jsonl", "result.json",       "job.json",      "audit.zip"};
enum { PRODUCTS = sizeof products / sizeof products[0] };
static const char name_audit[] = "audit.zip";

static msfl_status get_files(void *ctx, net_request *request) {
    coord_service *s = ctx;
    char *folder, *audit, *text = NULL;
    msfl_status status = coord_engine_folders(s->engine, net_request_param(request, 0), &folder, &audit);
    if (status != MSFL_OK) return status;
    json_t *list = json_array();
    for (size_t i = 0; i < PRODUCTS; i++) {
        struct stat info;
        const bool is_audit = strcmp(products[i], name_audit) == 0;
        char *path = is_audit ? msfl_strdup(audit) : msfl_path_join(folder, products[i]);
        if (path != NULL && stat(path, &info) == 0) {
            /* Made when it is fetched: its length is not known before. */
            json_array_append_new(list, json_pack("{s:s,s:o}", "name", products[i], "bytes",
                                                  is_audit ? json_null() : json_integer((json_int_t)info.st_size)));
        }
        msfl_free(path);
    }
    status = msfl_json_text(list, true, &text);
    json_decref(list);
    if (status == MSFL_OK) status = net_answer_text(request, 200, type_json, text);
    msfl_free(text);
    msfl_free(folder);
    msfl_free(audit);
    return status;
}

static msfl_status answer_audit(net_request *request, const char *audit) {
    int fd;
    uint64_t length;
    char etag[40];
    if (!msfl_is_folder(audit)) return msfl_fail(MSFL_ERR_MISSING, "there is no record of this job yet");
    msfl_status status = coord_bundle(audit, &fd, &length, etag);
    return status == MSFL_OK ? net_answer_file(request, fd, length, "application/zip", etag) : status;
}

static msfl_status get_file(void *ctx, net_request *request) {
    coord_service *s = ctx;
    const char *name = net_request_param(request, 1);
    char *folder, *audit, *path = NULL, etag[64];
    struct stat info;
    bool known = false;
    for (size_t i = 0; i < PRODUCTS; i++)
        known |= strcmp(products[i], name) == 0;
    if (!known) return msfl_fail(MSFL_ERR_MISSING, "there is no file of this name");
    msfl_status status = coord_engine_folders(s->engine, net_request_param(request, 0), &folder, &audit);
    if (status != MSFL_OK) return status;
    if (strcmp(name, name_audit) == 0) {
        status = answer_audit(request, audit);
        goto done;
    }
    path = msfl_path_join(folder, name);
    const int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (path == NULL) {
        status = MSFL_NO_MEMORY;
    } else if (fd < 0 || fstat(fd, &info) != 0) {
        if (fd >= 0) close(fd);
        status = msfl_fail(MSFL_ERR_MISSING, "there is no %s of this job yet", name);
    } else {
        /* Files are replaced, never changed in place. */
        (void)snprintf(etag, sizeof etag, "%llx-%llx-%llx", (unsigned long long)info.st_ino,
                       (unsigned long long)info.st_size, (unsigned long long)info.st_mtim.tv_nsec);
        status = net_answer_file(request, fd, (uint64_t)info.st_size, "application/octet-stream", etag);
    }
done:
    msfl_free(path);
    msfl_free(folder);
    msfl_free(audit);
    return status;
}

void coord_routes_operators(coord_service *s) {
    net_spool_routes(s->uploads, "/v1/uploads/{key}", COORD_OPERATORS, s->routes + s->n_routes);
    s->n_routes += 3;
    coord_route_body(s, NET_POST, "/v1/jobs", COORD_OPERATORS, JOB_TEXT_MAX, post_job);
    coord_route_body(s, NET_POST, "/v1/jobs/{job}/abort", COORD_OPERATORS, 4096, post_abort);
    coord_route_body(s, NET_POST, "/v1/roster", COORD_OPERATORS, PKI_ROSTER_BYTES_MAX, post_roster);
    coord_route(s, NET_GET, "/v1/jobs/{job}/files", COORD_OPERATORS, get_files);
    coord_route(s, NET_GET, "/v1/jobs/{job}/files/{name}", COORD_OPERATORS, get_file);
}
