#include "coordinator/service.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "dashboard/dashboard.h"
#include "medsecurefl/coordinator.h"
#include "pki/round.h"

#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

enum {
    STEP_MS = 250,    /* a stop or a reload is noticed within it */
    PUBLISH_MS = 500, /* between two events */
    RETRY_MS = 2000,  /* after a failure of the disk, say */
    UPLOADS_OPEN_MAX = 4,
};

/* --- the log --- */

typedef struct logger {
    const msfl_serve_options *options;
    pthread_mutex_t lock;
} logger;

static void log_line(void *ctx, const char *text) {
    logger *l = ctx;
    if (l->options->log == NULL) return;
    pthread_mutex_lock(&l->lock);
    l->options->log(l->options->ctx, text);
    pthread_mutex_unlock(&l->lock);
}

static void log_job(void *ctx, coord_level level, const char *job, const char *text) {
    static const char *const levels[] = {"info", "warning", "error"};
    struct timespec now;
    struct tm parts;
    char when[32] = "";
    msfl_buffer line = {0};
    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (gmtime_r(&now.tv_sec, &parts) != NULL) (void)strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &parts);
    msfl_put_text(&line, "{\"time\":\"%s.%03ldZ\",\"event\":\"job\",\"level\":\"%s\",\"job\":", when,
                  now.tv_nsec / 1000000, levels[level]);
    net_json_text(&line, job);
    msfl_put_text(&line, ",\"text\":");
    net_json_text(&line, text);
    msfl_put_bytes(&line, "}", 2); /* and the zero */
    if (line.status == MSFL_OK) log_line(ctx, (const char *)line.bytes);
    msfl_buffer_clear(&line);
}

/* --- rosters --- */

msfl_status coord_service_roster(coord_service *s, const char *text, size_t length) {
    coord_members *m = NULL;
    pthread_mutex_lock(&s->lock);
    msfl_status status = coord_members_new(text, length, s->kit->config.consortium, &m);
    if (status == MSFL_OK) status = pki_kit_take_roster(s->kit, s->kit_folder, text, length);
    if (status == MSFL_OK) status = pki_gate_replace(s->gate, s->kit->roster);
    if (status == MSFL_OK) coord_engine_members(s->engine, m);
    pthread_mutex_unlock(&s->lock);
    coord_members_drop(m);
    return status;
}

static msfl_status reload(coord_service *s) {
    char *text;
    size_t length;
    msfl_status status = pki_folder_read(s->kit_folder, PKI_FILE_ROSTER, PKI_ROSTER_BYTES_MAX, &text, &length);
    if (status == MSFL_OK) status = coord_service_roster(s, text, length);
    msfl_free(text);
    return status;
}

/* --- the second listener --- */

static msfl_status get_metrics(void *ctx, net_request *request) {
    coord_service *s = ctx;
    msfl_buffer b = {0};
    net_local_figures(net_request_server(request), &b);
    coord_metrics_put(s, &b);
    msfl_status status = b.status;
    if (status == MSFL_OK) status = net_answer_bytes(request, 200, "text/plain; version=0.0.4", b.bytes, b.length);
    msfl_buffer_clear(&b);
    return status;
}

static void add_routes(coord_service *s) {
    coord_routes_parties(s);
    coord_routes_messages(s);
    coord_routes_operators(s);
    coord_routes_status(s);
    dashboard_routes(COORD_PARTIES, s->routes + s->n_routes);
    s->n_routes += DASHBOARD_ROUTES;
    dashboard_routes(0, s->local + s->n_local);
    s->n_local += DASHBOARD_ROUTES;
    s->local[s->n_local++] =
        (net_route){.method = NET_GET, .pattern = "/healthz", .finish = net_local_health, .ctx = s};
    s->local[s->n_local++] = (net_route){.method = NET_GET, .pattern = "/metrics", .finish = get_metrics, .ctx = s};
}

/* --- start, run, stop --- */

typedef struct parts {
    coord_service service;
    logger logger;
    store *store;
    msfl_identity_secret *secret;
} parts;

static msfl_status start_engine(parts *p) {
    coord_service *s = &p->service;
    char *text = NULL, *path = msfl_path_join(s->folder, "state.db");
    size_t length;
    coord_members *m = NULL;
    msfl_status status = path == NULL ? MSFL_NO_MEMORY : msfl_folder_make(s->folder);
    /* Models and what was opened lie there: for the coordinator's user alone. */
    if (status == MSFL_OK && chmod(s->folder, 0700) != 0) {
        status = msfl_fail(MSFL_ERR_IO, "%s: its rights cannot be set to 0700", s->folder);
    }
    if (status == MSFL_OK) status = store_open(path, &p->store);
    if (status == MSFL_OK) status = pki_round_secret(s->kit->identity, &p->secret);
    if (status == MSFL_OK) {
        status = pki_folder_read(s->kit_folder, PKI_FILE_ROSTER, PKI_ROSTER_BYTES_MAX, &text, &length);
    }
    if (status == MSFL_OK) status = coord_members_new(text, length, s->kit->config.consortium, &m);
    if (status == MSFL_OK) {
        const coord_engine_options o = {.folder = s->folder,
                                        .store = p->store,
                                        .secret = p->secret,
                                        .members = m,
                                        .now_ms = s->started_ms,
                                        .log = log_job,
                                        .ctx = &p->logger};
        status = coord_engine_new(&o, &s->engine);
    }
    coord_members_drop(m);
    msfl_free(text);
    msfl_free(path);
    return status;
}

static msfl_status make_spools(coord_service *s) {
    char *uploads = msfl_path_join(s->folder, "uploads");
    const net_spool_options o = {
        .folder = uploads, .bytes_max = COORD_INITIAL_BYTES_MAX, .uploads_peer_max = UPLOADS_OPEN_MAX};
    msfl_status status = uploads == NULL ? MSFL_NO_MEMORY : net_spool_new(&o, &s->uploads);
    char *plain = msfl_path_join(s->folder, "plain");
    const net_spool_options p = {.folder = plain,
                                 .bytes_max = COORD_PLAIN_BYTES_MAX,
                                 .uploads_peer_max = UPLOADS_OPEN_MAX,
                                 .hooks = {coord_plain_complete, s},
                                 .key = coord_plain_key};
    if (status == MSFL_OK) status = plain == NULL ? MSFL_NO_MEMORY : net_spool_new(&p, &s->plain);
    msfl_free(uploads);
    msfl_free(plain);
    return status;
}

static msfl_status start_server(parts *p, const msfl_serve_options *options) {
    coord_service *s = &p->service;
    char host[PKI_HOST_MAX + 1];
    uint32_t port = options->port;
    msfl_status status = MSFL_OK;
    if (port == 0 && !options->any_port) status = pki_url_split(s->kit->config.url, host, &port);
    if (status == MSFL_OK) status = pki_gate_new(s->kit->ca, strlen(s->kit->ca), s->kit->roster, &s->gate);
    if (status == MSFL_OK) status = net_events_new(&s->events);
    if (status == MSFL_OK) status = make_spools(s);
    if (status != MSFL_OK) return status;
    add_routes(s);
    /* Whoever comes back finds its round: what fails here is told, and tried again, by the loop. */
    uint32_t wait_ms;
    if (coord_engine_step(s->engine, coord_now_ms(), &wait_ms) != MSFL_OK) {
        log_job(&p->logger, COORD_ERROR, "", msfl_error_message());
    }
    const net_server_options o = {.address = options->address != NULL ? options->address : "0.0.0.0",
                                  .port = (uint16_t)port,
                                  .ca = s->kit->ca,
                                  .certificate = s->kit->certificate,
                                  .key = (const char *)s->kit->key,
                                  .gate = s->gate,
                                  .routes = s->routes,
                                  .n_routes = s->n_routes,
                                  .limits = net_limits_default(),
                                  .log = {log_line, &p->logger},
                                  .local_address = options->has_local ? "127.0.0.1" : NULL,
                                  .local_port = options->local_port,
                                  .local_routes = s->local,
                                  .n_local_routes = s->n_local};
    return net_server_start(&o, &s->server);
}

static void run(parts *p, const msfl_serve_options *options) {
    coord_service *s = &p->service;
    int reloads = options->reload != NULL ? *options->reload : 0;
    uint64_t publish_at = 0, retry_at = 0;
    char failure[256] = "";
    while (options->stop == NULL || *options->stop == 0) {
        uint32_t wait_ms = STEP_MS;
        const uint64_t now_ms = coord_now_ms();
        if (options->reload != NULL && *options->reload != reloads) {
            reloads = *options->reload;
            if (reload(s) != MSFL_OK) log_job(&p->logger, COORD_ERROR, "", msfl_error_message());
        }
        msfl_status status = now_ms < retry_at ? MSFL_OK : coord_engine_step(s->engine, now_ms, &wait_ms);
        if (status != MSFL_OK) {
            /* Said once, and again when it is something else. */
            if (strncmp(failure, msfl_error_message(), sizeof failure - 1) != 0) {
                log_job(&p->logger, COORD_ERROR, "", msfl_error_message());
            }
            (void)snprintf(failure, sizeof failure, "%s", msfl_error_message());
            retry_at = now_ms + RETRY_MS;
        } else if (now_ms >= retry_at) {
            failure[0] = 0;
        }
        if (now_ms >= publish_at) {
            coord_status_publish(s);
            publish_at = now_ms + PUBLISH_MS;
        }
        coord_engine_rest(s->engine, wait_ms < STEP_MS ? wait_ms : STEP_MS);
    }
}

static void stop(parts *p) {
    coord_service *s = &p->service;
    if (s->engine != NULL) coord_engine_stop(s->engine); /* those who wait for news go home */
    if (s->events != NULL) net_events_end(s->events);
    net_server_stop(s->server);
    net_spool_free(s->uploads);
    net_spool_free(s->plain);
    net_events_free(s->events);
    pki_gate_free(s->gate);
    coord_engine_free(s->engine);
    store_close(p->store);
    msfl_identity_free(p->secret);
    pki_kit_free(s->kit);
    msfl_free(s->folder);
    (void)pthread_mutex_destroy(&s->lock);
    (void)pthread_mutex_destroy(&p->logger.lock);
}

msfl_status msfl_serve(const msfl_serve_options *options) {
    parts *p = msfl_alloc(1, sizeof *p);
    if (p == NULL) return MSFL_NO_MEMORY;
    coord_service *s = &p->service;
    p->logger.options = options;
    (void)pthread_mutex_init(&p->logger.lock, NULL);
    (void)pthread_mutex_init(&s->lock, NULL);
    s->kit_folder = options->kit;
    s->started_ms = coord_now_ms();
    s->folder = options->state != NULL ? msfl_strdup(options->state) : msfl_path_join(options->kit, "state");
    msfl_status status = s->folder == NULL ? MSFL_NO_MEMORY : msfl_crypto_init();
    if (status == MSFL_OK) status = pki_kit_load(options->kit, options->unlock, (int64_t)time(NULL), &s->kit);
    if (status == MSFL_OK && s->kit->config.role != PKI_COORDINATOR) {
        status = msfl_fail(MSFL_ERR_USAGE, "%s is the kit of a %s, not of a coordinator", options->kit,
                           pki_role_name(s->kit->config.role));
    }
    if (status == MSFL_OK) status = start_engine(p);
    if (status == MSFL_OK) status = start_server(p, options);
    if (status == MSFL_OK) {
        if (options->ready != NULL) {
            options->ready(options->ctx, s->kit->config.federation, net_server_port(s->server),
                           net_server_local_port(s->server));
        }
        run(p, options);
    }
    char message[1024];
    (void)snprintf(message, sizeof message, "%s", msfl_error_message());
    stop(p);
    msfl_free(p);
    msfl_error_set(message);
    return status;
}
