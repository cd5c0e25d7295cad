/* A coordinator's engine in a child process behind a socket, which dies at a step that is named beforehand; whoever
 * asks it next starts another one from its folder. */
#ifndef TEST_COORDINATOR_HUB_H
#define TEST_COORDINATOR_HUB_H

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/output.h"
#include "coordinator/engine.h"
#include "medsecurefl/provision.h"
#include "pki/kit.h"
#include "pki/round.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define ok(call)                                                                                                       \
    do {                                                                                                               \
        msfl_status ok_status = (call);                                                                                \
        if (ok_status != MSFL_OK) fail_msg("%s: %s (%s)", #call, msfl_error_message(), msfl_status_name(ok_status));   \
    } while (0)

enum { HOSPITALS = 3, FRAMES_MAX = 64 << 20 };

static char root[64];

static inline const char *at(const char *path) {
    static char out[8][256];
    static int next;
    next = (next + 1) % 8;
    snprintf(out[next], sizeof out[next], "%s/%s", root, path);
    return out[next];
}

static inline pki_kit *kit_of(const char *name) {
    pki_kit *kit;
    char path[64];
    snprintf(path, sizeof path, "kits/%s", name);
    ok(pki_kit_load(at(path), NULL, (int64_t)time(NULL), &kit));
    return kit;
}

static inline int make_root(void **state) {
    (void)state;
    static const char plan[] = "federation: chest\ncoordinator: {name: hub, url: 'https://localhost:1'}\n"
                               "hospitals: [{name: a}, {name: b}, {name: c}]\n";
    msfl_provision_options options = {0};
    msfl_provision_result result;
    /* A kill is not a power cut: memory keeps what a disk would, and faster. */
    snprintf(root, sizeof root, "%s/msfl-engine-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(root));
    ok(msfl_file_write(at("plan.yaml"), plan, strlen(plan)));
    ok(msfl_provision_create(at("plan.yaml"), at("kits"), &options, &result));
    return 0;
}

static inline int remove_root(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

/* --- the child: an engine behind a socket --- */

typedef enum op { OP_STEP, OP_INBOX, OP_SEND, OP_PLAN, OP_MODEL, OP_TEXT, OP_LIST, OP_SUBMIT, OP_ABORT, OP_STEPS } op;
typedef struct head {
    uint32_t op, party, length;
    uint64_t number;
} head;
static const char *const names[HOSPITALS] = {"a", "b", "c"};

static inline bool move_bytes(int fd, void *bytes, size_t length, bool out) {
    uint8_t *p = bytes;
    while (length > 0) {
        ssize_t n = out ? send(fd, p, length, MSG_NOSIGNAL) : recv(fd, p, length, 0);
        if (n <= 0) return false;
        p += n;
        length -= (size_t)n;
    }
    return true;
}

static inline void log_line(void *ctx, coord_level level, const char *job, const char *text) {
    (void)ctx, (void)level;
    if (getenv("MSFL_LOUD") != NULL) fprintf(stderr, "  [%d] %s: %s\n", (int)getpid(), job, text);
}

static inline msfl_status serve_one(coord_engine *e, const head *h, const uint8_t *body, char *id, msfl_buffer *out) {
    uint64_t version;
    char *text = NULL;
    size_t length = 0;
    uint8_t hash[32], *bytes = NULL;
    uint32_t wait_ms;
    msfl_status status = MSFL_OK;
    switch (h->op) {
    case OP_STEP:
        return coord_engine_step(e, h->number, &wait_ms);
    case OP_INBOX:
        return coord_engine_inbox(e, id, names[h->party], 0, 0, out, &version);
    case OP_SEND:
        return coord_engine_receive(e, id, names[h->party], body, h->length, out);
    case OP_PLAN:
        status = coord_engine_plan(e, id, h->number, &text);
        if (status == MSFL_OK) length = strlen(text);
        break;
    case OP_TEXT:
        status = coord_engine_text(e, id, &text, &length, hash);
        break;
    case OP_MODEL:
        status = coord_engine_model(e, id, (uint32_t)h->number, &text, hash);
        if (status == MSFL_OK) status = msfl_file_read(text, FRAMES_MAX, &bytes, &length);
        msfl_free(text);
        text = (char *)bytes;
        break;
    case OP_LIST:
        status = coord_engine_list(e, 0, 0, &text, &version);
        if (status == MSFL_OK) length = strlen(text);
        break;
    case OP_SUBMIT:
        status = coord_engine_submit(e, (const char *)body, h->length, h->number != 0 ? at("initial.f32") : NULL, id);
        if (status == MSFL_OK) msfl_put_bytes(out, id, strlen(id));
        return status;
    case OP_ABORT:
        return coord_engine_abort(e, id, (const char *)body);
    case OP_STEPS:
        msfl_put64(out, (uint64_t)msfl_file_steps());
        msfl_put64(out, msfl_alloc_bytes_peak());
        msfl_put64(out, msfl_peak_rss_bytes());
        return MSFL_OK;
    default:
        return MSFL_ERR_USAGE;
    }
    if (status == MSFL_OK) msfl_put_bytes(out, text, length);
    msfl_free(text);
    return status;
}

static inline void child(int fd, const char *folder, const char *job, long die_at) {
    pki_kit *kit;
    msfl_identity_secret *secret;
    coord_members *members;
    store *s;
    coord_engine *e;
    char *text, id[JOB_ID_MAX + 1], path[300];
    size_t length;
    snprintf(id, sizeof id, "%s", job);
    snprintf(path, sizeof path, "%s/state.db", folder);
    if (pki_kit_load(at("kits/hub"), NULL, (int64_t)time(NULL), &kit) != MSFL_OK ||
        pki_round_secret(kit->identity, &secret) != MSFL_OK ||
        pki_folder_read(at("kits/hub"), PKI_FILE_ROSTER, 1 << 20, &text, &length) != MSFL_OK ||
        coord_members_new(text, length, kit->config.consortium, &members) != MSFL_OK) {
        fprintf(stderr, "child: %s\n", msfl_error_message());
        _exit(3);
    }
    if (msfl_folder_make(folder) != MSFL_OK || store_open(path, &s) != MSFL_OK) {
        fprintf(stderr, "child: %s\n", msfl_error_message());
        _exit(3);
    }
    msfl_file_fault_at(labs(die_at), die_at > 0); /* below zero: that step fails, and the process lives on */
    msfl_alloc_peak_restart();                    /* of this process, not of the one that it was forked from */
    coord_engine_options o = {
        .folder = folder, .store = s, .secret = secret, .members = members, .now_ms = 1000, .log = log_line};
    if (coord_engine_new(&o, &e) != MSFL_OK) {
        fprintf(stderr, "child: %s\n", msfl_error_message());
        _exit(4);
    }
    for (;;) {
        head h;
        if (!move_bytes(fd, &h, sizeof h, false)) break;
        uint8_t *body = calloc(h.length + 1, 1);
        if (body == NULL || !move_bytes(fd, body, h.length, false)) break;
        msfl_buffer out = {0};
        msfl_status status = serve_one(e, &h, body, id, &out);
        if (status != MSFL_OK && h.op == OP_STEP && die_at >= 0) fprintf(stderr, "step: %s\n", msfl_error_message());
        free(body);
        (void)!msfl_file_step(); /* dying between a step and the answer that tells of it is a case of its own */
        int32_t code = status;
        uint32_t n = status == MSFL_OK ? (uint32_t)out.length : 0;
        bool sent = move_bytes(fd, &code, sizeof code, true) && move_bytes(fd, &n, sizeof n, true) &&
                    move_bytes(fd, out.bytes, n, true);
        msfl_buffer_clear(&out);
        if (!sent) break;
    }
    coord_engine_free(e);
    store_close(s);
    coord_members_drop(members);
    msfl_identity_free(secret);
    pki_kit_free(kit);
    msfl_free(text);
    _exit(0);
}

/* --- the parent's end --- */

typedef struct hub {
    pid_t pid;
    int fd;
    char folder[128], job[JOB_ID_MAX + 1];
    long die_at;
    uint32_t deaths;
} hub;

static inline void start(hub *h, long die_at) {
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    h->pid = fork();
    assert_true(h->pid >= 0);
    if (h->pid == 0) {
        close(pair[0]);
        child(pair[1], h->folder, h->job, die_at);
    }
    close(pair[1]);
    h->fd = pair[0];
    h->die_at = die_at;
}

static inline void stop(hub *h, bool kill_it) {
    int code;
    close(h->fd);
    if (kill_it) kill(h->pid, SIGKILL);
    assert_int_equal(waitpid(h->pid, &code, 0), h->pid);
    if (WIFEXITED(code) && WEXITSTATUS(code) != 0) fail_msg("the coordinator ended with %d", WEXITSTATUS(code));
}

/** False: it died; another one is there now. */
static inline bool ask(hub *h, uint32_t what, uint32_t party, uint64_t number, const void *body, size_t length,
                       msfl_status *status, msfl_buffer *out) {
    head hd;
    memset(&hd, 0, sizeof hd); /* the gaps too */
    hd.op = what;
    hd.party = party;
    hd.number = number;
    hd.length = (uint32_t)length;
    int32_t code;
    uint32_t n;
    out->length = 0;
    bool good = move_bytes(h->fd, &hd, sizeof hd, true) && move_bytes(h->fd, (void *)body, length, true) &&
                move_bytes(h->fd, &code, sizeof code, false) && move_bytes(h->fd, &n, sizeof n, false);
    if (good) {
        uint8_t *bytes = malloc(n + 1);
        assert_non_null(bytes);
        good = move_bytes(h->fd, bytes, n, false);
        if (good) msfl_put_bytes(out, bytes, n);
        free(bytes);
    }
    if (!good) {
        int status_code;
        close(h->fd);
        assert_int_equal(waitpid(h->pid, &status_code, 0), h->pid);
        assert_true(WIFSIGNALED(status_code) && WTERMSIG(status_code) == SIGKILL);
        h->deaths++;
        start(h, 0);
        *status = MSFL_ERR_IO;
        return false;
    }
    *status = code;
    return true;
}

#endif
