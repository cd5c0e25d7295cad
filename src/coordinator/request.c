#include "coordinator/request.h"

#include "base/error.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- bodies in memory --- */

static msfl_status body_begin(void *ctx, net_request *request) {
    (void)ctx;
    msfl_buffer *body = msfl_alloc(1, sizeof *body);
    if (body == NULL) return MSFL_NO_MEMORY;
    net_request_set_user(request, body);
    return MSFL_OK;
}

static msfl_status body_more(void *ctx, net_request *request, const uint8_t *bytes, size_t length) {
    (void)ctx;
    msfl_buffer *body = net_request_user(request);
    msfl_put_bytes(body, bytes, length);
    return body->status;
}

static void body_done(void *ctx, net_request *request) {
    (void)ctx;
    msfl_buffer *body = net_request_user(request);
    if (body != NULL) msfl_buffer_clear(body);
    msfl_free(body);
}

const msfl_buffer *coord_body(net_request *request) {
    return net_request_user(request);
}

void coord_route(coord_service *s, net_method method, const char *pattern, uint32_t roles,
                 msfl_status (*finish)(void *ctx, net_request *request)) {
    s->routes[s->n_routes++] =
        (net_route){.method = method, .pattern = pattern, .roles = roles, .finish = finish, .ctx = s};
}

void coord_route_body(coord_service *s, net_method method, const char *pattern, uint32_t roles, uint64_t bytes_max,
                      msfl_status (*finish)(void *ctx, net_request *request)) {
    s->routes[s->n_routes++] = (net_route){.method = method,
                                           .pattern = pattern,
                                           .roles = roles,
                                           .body_max = bytes_max,
                                           .begin = body_begin,
                                           .body = body_more,
                                           .finish = finish,
                                           .done = body_done,
                                           .ctx = s};
}

/* --- what requests say --- */

const char *coord_who(coord_service *s, const net_request *request) {
    const char *name = net_request_peer(request)->name;
    coord_engine_seen(s->engine, name);
    return name;
}

static uint64_t number_header(const net_request *request, const char *name, uint64_t max) {
    uint64_t value;
    const char *text = net_request_header(request, name);
    return text != NULL && net_number(text, max, &value) ? value : 0;
}

msfl_status coord_put_version(net_request *request, uint64_t version) {
    char text[24];
    (void)snprintf(text, sizeof text, "%" PRIu64, version);
    return net_answer_field(request, "X-Msfl-Version", text);
}

uint32_t coord_wait_of(const net_request *request) {
    return (uint32_t)number_header(request, "X-Msfl-Wait", COORD_WAIT_S_MAX) * 1000;
}

uint64_t coord_seen_of(const net_request *request) {
    return number_header(request, "X-Msfl-Seen", INT64_MAX);
}

msfl_status coord_number_param(const net_request *request, uint32_t i, uint64_t max, uint64_t *out) {
    if (net_number(net_request_param(request, i), max, out)) return MSFL_OK;
    return msfl_fail(MSFL_ERR_MISSING, "there is nothing under this path");
}

bool coord_has_type(const net_request *request, const char *type) {
    const char *found = net_request_header(request, "Content-Type");
    const size_t n = strlen(type);
    return found != NULL && strncmp(found, type, n) == 0 && (found[n] == 0 || found[n] == ';');
}

/* --- answers --- */

msfl_status coord_answer_file(net_request *request, const char *path, const char *type, const char *etag) {
    struct stat info;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return errno == ENOENT ? msfl_fail(MSFL_ERR_MISSING, "this is not kept (any more)")
                               : msfl_fail_errno(errno, "cannot open %s", path);
    }
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        close(fd);
        return msfl_fail(MSFL_ERR_IO, "cannot examine %s", path);
    }
    return net_answer_file(request, fd, (uint64_t)info.st_size, type, etag);
}
