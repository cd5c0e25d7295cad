/* layer: net */
/* A server and a client for tests/e2e/test_net_*.py, and the figures of docs/design/net.md.
 *
 *   net_probe serve KIT FOLDER [name=value ...]     prints "PORT LOCALPORT"; SIGHUP reads the roster again, SIGTERM
 * stops net_probe get KIT PATH [name=value ...]         status and body net_probe upload|download KIT PATH FILE [...]
 *   net_probe bench KIT FOLDER MEBIBYTES            throughput through TLS on this machine, beside plain ways
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "net/client.h"
#include "net/local.h"
#include "net/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int n_settings;
static char **settings;
static const char *folder;

static double setting(const char *name, double otherwise) {
    size_t n = strlen(name);
    for (int i = 0; i < n_settings; i++)
        if (strncmp(settings[i], name, n) == 0 && settings[i][n] == '=') return strtod(settings[i] + n + 1, NULL);
    return otherwise;
}

static const char *text_setting(const char *name) {
    size_t n = strlen(name);
    for (int i = 0; i < n_settings; i++)
        if (strncmp(settings[i], name, n) == 0 && settings[i][n] == '=') return settings[i] + n + 1;
    return NULL;
}

static int fail(void) {
    fprintf(stderr, "%s\n", msfl_error_message());
    return 1;
}

/* --- handlers --- */

static msfl_status whoami(void *ctx, net_request *request) {
    (void)ctx;
    const pki_peer *peer = net_request_peer(request);
    char text[128];
    snprintf(text, sizeof text, "{\"name\":\"%s\",\"role\":\"%s\"}\n", peer->name, pki_role_name(peer->role));
    return net_answer_text(request, 200, "application/json", text);
}

static msfl_status count_begin(void *ctx, net_request *request) {
    (void)ctx;
    uint64_t *n = msfl_alloc(1, sizeof *n);
    if (n == NULL) return MSFL_ERR_MEMORY;
    net_request_set_user(request, n);
    return MSFL_OK;
}

static msfl_status count_body(void *ctx, net_request *request, const uint8_t *bytes, size_t length) {
    (void)ctx, (void)bytes;
    uint64_t *n = net_request_user(request);
    if (length > 65536) return msfl_fail(MSFL_ERR_LIMIT, "a piece of %zu bytes", length);
    *n += length;
    return MSFL_OK;
}

static msfl_status count_finish(void *ctx, net_request *request) {
    (void)ctx;
    const uint64_t *n = net_request_user(request);
    char text[64];
    snprintf(text, sizeof text, "{\"length\":%llu}\n", (unsigned long long)*n);
    return net_answer_text(request, 200, "application/json", text);
}

static void count_done(void *ctx, net_request *request) {
    (void)ctx;
    msfl_free(net_request_user(request));
}

/* Says in a file that it has begun, and goes on until there is another one, a minute at most. */
static msfl_status slow(void *ctx, net_request *request) {
    (void)ctx;
    const struct timespec moment = {.tv_sec = 0, .tv_nsec = 10000000};
    char *begun = msfl_format("%s/slow-begun", folder), *end = msfl_format("%s/slow-end", folder);
    msfl_status status = begun == NULL || end == NULL ? MSFL_ERR_MEMORY : msfl_file_write(begun, "", 0);
    for (int i = 0; i < 6000 && status == MSFL_OK && access(end, F_OK) != 0; i++)
        (void)nanosleep(&moment, NULL);
    msfl_free(begun);
    msfl_free(end);
    return status == MSFL_OK ? net_answer_text(request, 200, "text/plain", "at last\n") : status;
}

static msfl_status broken(void *ctx, net_request *request) {
    (void)ctx, (void)request;
    return msfl_fail(MSFL_ERR_IO, "secret-looking inner text /var/lib/x");
}

static msfl_status send_file(void *ctx, net_request *request) {
    (void)ctx;
    char *path = msfl_format("%s/%s", folder, net_request_param(request, 0)), etag[48];
    struct stat info;
    int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    msfl_free(path);
    if (fd < 0 || fstat(fd, &info) != 0) return msfl_fail(MSFL_ERR_MISSING, "no such file");
    snprintf(etag, sizeof etag, "%llx-%llx", (unsigned long long)info.st_size, (unsigned long long)info.st_mtime);
    return net_answer_file(request, fd, (uint64_t)info.st_size, "application/octet-stream", etag);
}

static msfl_status follow(void *ctx, net_request *request) {
    return net_answer_events(request, ctx);
}

static msfl_status publish(void *ctx, net_request *request) {
    char text[64];
    snprintf(text, sizeof text, "{\"by\":\"%s\"}", net_request_peer(request)->name);
    msfl_status status = net_events_publish(ctx, "round", text);
    return status == MSFL_OK ? net_answer_text(request, 200, "text/plain", "told\n") : status;
}

/* --- the server --- */

static void log_line(void *ctx, const char *text) {
    FILE *f = ctx;
    fprintf(f, "%s\n", text);
    fflush(f);
}

static net_limits limits(void) {
    net_limits l = net_limits_default();
    l.connections_max = (uint32_t)setting("connections", l.connections_max);
    l.connections_per_peer_max = (uint32_t)setting("per_peer", l.connections_per_peer_max);
    l.header_timeout_ms = (uint32_t)setting("header_ms", l.header_timeout_ms);
    l.idle_timeout_s = (uint32_t)setting("idle_s", l.idle_timeout_s);
    l.request_timeout_ms = (uint32_t)setting("request_ms", l.request_timeout_ms);
    l.requests_per_second = setting("rate", l.requests_per_second);
    l.requests_burst = setting("burst", l.requests_burst);
    l.stop_timeout_ms = (uint32_t)setting("stop_ms", 5000);
    return l;
}

typedef struct service {
    pki_gate *gate;
    net_spool *spool;
    net_events *events;
    net_server *server;
    net_route routes[16], local[3];
} service;

static msfl_status service_start(service *s, const pki_kit *kit, FILE *log) {
    size_t n = 0;
    net_spool_options spool = {.folder = folder, .bytes_max = 1u << 30, .uploads_peer_max = 4};
    msfl_status status = net_spool_new(&spool, &s->spool);
    if (status == MSFL_OK) status = net_events_new(&s->events);
    if (status == MSFL_OK) status = pki_gate_new(kit->ca, strlen(kit->ca), kit->roster, &s->gate);
    if (status != MSFL_OK) return status;
    s->routes[n++] = (net_route){NET_GET, "/v1/whoami", NET_ANY_PARTY, 0, NULL, NULL, whoami, NULL, NULL};
    s->routes[n++] = (net_route){NET_POST,   "/v1/count",  NET_ANY_PARTY, 1u << 20, count_begin,
                                 count_body, count_finish, count_done,    NULL};
    s->routes[n++] = (net_route){NET_POST,   "/v1/large",  NET_ANY_PARTY, 1ull << 40, count_begin,
                                 count_body, count_finish, count_done,    NULL};
    s->routes[n++] = (net_route){NET_GET, "/v1/slow", NET_ANY_PARTY, 0, NULL, NULL, slow, NULL, NULL};
    s->routes[n++] = (net_route){NET_GET, "/v1/broken", NET_ANY_PARTY, 0, NULL, NULL, broken, NULL, NULL};
    s->routes[n++] = (net_route){NET_GET, "/v1/authority", NET_ROLE(PKI_AUTHORITY), 0, NULL, NULL, whoami, NULL, NULL};
    s->routes[n++] = (net_route){NET_GET, "/v1/files/{name}", NET_ANY_PARTY, 0, NULL, NULL, send_file, NULL, NULL};
    s->routes[n++] = (net_route){NET_GET, "/v1/events", NET_ANY_PARTY, 0, NULL, NULL, follow, NULL, s->events};
    s->routes[n++] = (net_route){NET_POST, "/v1/events", NET_ANY_PARTY, 0, NULL, NULL, publish, NULL, s->events};
    net_spool_routes(s->spool, "/v1/uploads/{key}", NET_ROLE(PKI_HOSPITAL), s->routes + n);
    memcpy(s->local, net_local_routes, sizeof net_local_routes);
    s->local[2] = (net_route){NET_GET, "/events", 0, 0, NULL, NULL, follow, NULL, s->events};
    net_server_options o = {.address = "127.0.0.1",
                            .port = (uint16_t)setting("port", 0),
                            .ca = kit->ca,
                            .certificate = kit->certificate,
                            .key = (const char *)kit->key,
                            .gate = s->gate,
                            .routes = s->routes,
                            .n_routes = n + 3,
                            .limits = limits(),
                            .local_address = "127.0.0.1",
                            .local_routes = s->local,
                            .n_local_routes = 3};
    if (log != NULL) o.log = (net_log){log_line, log};
    return net_server_start(&o, &s->server);
}

static void service_stop(service *s) {
    if (s->events != NULL) net_events_end(s->events);
    net_server_stop(s->server);
    net_spool_free(s->spool);
    net_events_free(s->events);
    pki_gate_free(s->gate);
}

/* The file in the kit is what an operator has put there; what the kit holds in memory says what may follow. */
static msfl_status reload(service *s, pki_kit *kit, const char *kit_folder) {
    char *text;
    size_t length;
    msfl_status status = pki_folder_read(kit_folder, PKI_FILE_ROSTER, 1 << 18, &text, &length);
    if (status != MSFL_OK) return status;
    status = pki_kit_take_roster(kit, kit_folder, text, length);
    msfl_free(text);
    return status == MSFL_OK ? pki_gate_replace(s->gate, kit->roster) : status;
}

static int serve(const char *kit_folder) {
    pki_kit *kit;
    service s = {0};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (pki_kit_load(kit_folder, NULL, (int64_t)time(NULL), &kit) != MSFL_OK) return fail();
    if (service_start(&s, kit, stderr) != MSFL_OK) return fail();
    printf("%u %u\n", net_server_port(s.server), net_server_local_port(s.server));
    fflush(stdout);
    for (;;) {
        int signal = 0;
        (void)sigwait(&set, &signal);
        if (signal == SIGTERM) break;
        msfl_status status = reload(&s, kit, kit_folder);
        printf("%s\n", status == MSFL_OK ? "reloaded" : msfl_error_message());
        fflush(stdout);
    }
    service_stop(&s);
    pki_kit_free(kit);
    printf("stopped\n");
    return 0;
}

/* --- the client --- */

static void notice(void *ctx, const char *text, uint32_t wait_ms) {
    (void)ctx;
    fprintf(stderr, "again in %u ms: %s\n", wait_ms, text);
}

static msfl_status client_of(const pki_kit *kit, net_client **out) {
    net_client_options o = net_client_options_of(kit);
    if (text_setting("url") != NULL) o.url = text_setting("url");
    if (text_setting("proxy") != NULL) o.proxy = text_setting("proxy");
    if (text_setting("auth") != NULL) o.proxy_auth_file = text_setting("auth");
    if (setting("pin", 1) == 0) o.roster = NULL;
    o.retry.attempts_max = (uint32_t)setting("attempts", 10);
    o.retry.base_ms = (uint32_t)setting("base_ms", 20);
    o.retry.cap_ms = (uint32_t)setting("cap_ms", 200);
    o.idle_timeout_s = (uint32_t)setting("idle_s", 2);
    o.connect_timeout_ms = (uint32_t)setting("connect_ms", 3000);
    o.notice = notice;
    return net_client_new(&o, out);
}

static msfl_status from_file(void *ctx, uint64_t offset, uint8_t *out, size_t length) {
    const int *fd = ctx;
    while (length > 0) {
        ssize_t n = pread(*fd, out, length, (off_t)offset);
        if (n <= 0) return msfl_fail(MSFL_ERR_IO, "the file is shorter than it was");
        out += n;
        offset += (uint64_t)n;
        length -= (size_t)n;
    }
    return MSFL_OK;
}

static msfl_status to_file(void *ctx, uint64_t offset, const uint8_t *bytes, size_t length) {
    const int *fd = ctx;
    if (pwrite(*fd, bytes, length, (off_t)offset) != (ssize_t)length) return msfl_fail_errno(errno, "cannot write");
    return MSFL_OK;
}

static msfl_status get(net_client *client, const char *path) {
    net_answer a;
    msfl_status status = net_client_call(client, "GET", path, NULL, 0, 1 << 16, NET_REPEAT, &a);
    if (status == MSFL_OK) printf("%u %.*s\n", a.status, (int)a.body.length, (const char *)a.body.bytes);
    msfl_buffer_clear(&a.body);
    return status;
}

static msfl_status transfer(net_client *client, bool up, const char *path, const char *file) {
    int fd = up ? open(file, O_RDONLY) : open(file, O_RDWR | O_CREAT, 0644);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) != 0) return msfl_fail_errno(errno, "cannot open %s", file);
    msfl_status status;
    if (up) {
        net_source source = {from_file, &fd, (uint64_t)info.st_size};
        status = net_client_upload(client, path, &source, NULL);
    } else {
        char etag[NET_NAME_MAX + 3] = "";
        uint64_t length;
        net_sink sink = {to_file, &fd, 1u << 30};
        status = net_client_download(client, path, &sink, 0, etag, &length);
    }
    close(fd);
    return status;
}

static int talk(const char *command, const char *kit_folder, const char *path, const char *file) {
    pki_kit *kit;
    net_client *client = NULL;
    if (pki_kit_load(kit_folder, NULL, (int64_t)setting("now", (double)time(NULL)), &kit) != MSFL_OK) return fail();
    msfl_status status = client_of(kit, &client);
    if (status == MSFL_OK) {
        status = strcmp(command, "get") == 0 ? get(client, path)
                                             : transfer(client, strcmp(command, "upload") == 0, path, file);
    }
    net_client_free(client);
    pki_kit_free(kit);
    return status == MSFL_OK ? 0 : fail();
}

/* --- figures --- */

typedef struct memory_source {
    const uint8_t *bytes;
} memory_source;

static msfl_status from_memory(void *ctx, uint64_t offset, uint8_t *out, size_t length) {
    memcpy(out, ((memory_source *)ctx)->bytes + offset, length);
    return MSFL_OK;
}

static void *drain(void *ctx) {
    uint8_t *buffer = malloc(65536);
    int listener = *(int *)ctx, fd = accept(listener, NULL, NULL);
    while (buffer != NULL && read(fd, buffer, 65536) > 0) {
    }
    close(fd);
    free(buffer);
    return NULL;
}

static void plain_socket(const uint8_t *bytes, size_t length) {
    int listener = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    pthread_t thread;
    if (bind(listener, (struct sockaddr *)&a, sizeof a) != 0 || listen(listener, 1) != 0 ||
        getsockname(listener, (struct sockaddr *)&a, &size) != 0 ||
        pthread_create(&thread, NULL, drain, &listener) != 0) {
        return;
    }
    uint64_t from = msfl_now_ns();
    if (connect(fd, (struct sockaddr *)&a, sizeof a) != 0) return;
    for (size_t at = 0; at < length;) {
        ssize_t n = write(fd, bytes + at, length - at < 65536 ? length - at : 65536);
        if (n <= 0) break;
        at += (size_t)n;
    }
    close(fd);
    pthread_join(thread, NULL);
    close(listener);
    printf("%-40s %8.0f MB/s\n", "plain TCP, loopback", (double)length * 1e3 / (double)(msfl_now_ns() - from));
}

static int bench(const char *kit_folder, size_t mebibytes) {
    pki_kit *kit;
    service s = {0};
    net_client *client;
    size_t length = mebibytes << 20;
    uint8_t *bytes = malloc(length), *copy = malloc(length);
    if (bytes == NULL || copy == NULL) return 1;
    if (pki_kit_load(kit_folder, NULL, (int64_t)time(NULL), &kit) != MSFL_OK) return fail();
    char *coordinator = msfl_format("%s/../coordinator", kit_folder);
    pki_kit *server_kit;
    if (pki_kit_load(coordinator, NULL, (int64_t)time(NULL), &server_kit) != MSFL_OK) return fail();
    msfl_random_bytes(bytes, length);
    memset(copy, 1, length);
    if (service_start(&s, server_kit, NULL) != MSFL_OK) return fail();
    char url[64];
    snprintf(url, sizeof url, "https://localhost:%u", net_server_port(s.server));
    net_client_options o = net_client_options_of(kit);
    o.url = url;
    if (net_client_new(&o, &client) != MSFL_OK) return fail();
    for (int round = 0; round < 3; round++) {
        uint64_t t0 = msfl_now_ns();
        memcpy(copy, bytes, length);
        uint64_t t1 = msfl_now_ns();
        msfl_hash h;
        uint8_t hash[MSFL_HASH_BYTES];
        net_upload_hash_init(&h);
        msfl_hash_add(&h, bytes, length);
        msfl_hash_final(&h, hash);
        uint64_t t2 = msfl_now_ns();
        printf("%-40s %8.0f MB/s\n", "memcpy", (double)length * 1e3 / (double)(t1 - t0));
        printf("%-40s %8.0f MB/s\n", "BLAKE2b, one core", (double)length * 1e3 / (double)(t2 - t1));
        plain_socket(bytes, length);
        uint64_t t3 = msfl_now_ns();
        net_answer a;
        if (net_client_call(client, "POST", "/v1/large", bytes, length, 4096, NET_REPEAT, &a) != MSFL_OK) return fail();
        uint64_t t4 = msfl_now_ns();
        msfl_buffer_clear(&a.body);
        printf("%-40s %8.0f MB/s\n", "one POST through mutual TLS", (double)length * 1e3 / (double)(t4 - t3));
        char path[64];
        snprintf(path, sizeof path, "/v1/uploads/bench-%d", round);
        memory_source m = {bytes};
        net_source source = {from_memory, &m, length};
        uint64_t t5 = msfl_now_ns();
        if (net_client_upload(client, path, &source, NULL) != MSFL_OK) return fail();
        uint64_t t6 = msfl_now_ns();
        printf("%-40s %8.0f MB/s\n\n", "resumable upload: TLS, hash, disk", (double)length * 1e3 / (double)(t6 - t5));
    }
    net_client_free(client);
    service_stop(&s);
    return 0;
}

int main(int argc, char **argv) {
    if (argc < 4) return 2;
    signal(SIGPIPE, SIG_IGN);
    const char *command = argv[1];
    int fixed = strcmp(command, "serve") == 0 || strcmp(command, "get") == 0 ? 4 : 5;
    if (argc < fixed) return 2;
    n_settings = argc - fixed;
    settings = argv + fixed;
    folder = argv[3];
    if (strcmp(command, "serve") == 0) return serve(argv[2]);
    if (strcmp(command, "bench") == 0) return bench(argv[2], strtoul(argv[4], NULL, 10));
    return talk(command, argv[2], argv[3], fixed == 5 ? argv[4] : NULL);
}
