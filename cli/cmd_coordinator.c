/* medsecurefl coordinator: the process that hospitals dial. */
#include "base/error.h"
#include "cmd.h"
#include "medsecurefl/coordinator.h"
#include "unlock.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct args {
    const char *kit, *state, *listen, *log;
    uint32_t local;
    cli_unlock unlock;
} args;

static volatile int reloads;

static void on_hangup(int number) {
    (void)number;
    reloads = reloads + 1;
}

static void print_line(void *ctx, const char *line) {
    FILE *log = ctx;
    (void)fprintf(log, "%s\n", line);
    (void)fflush(log);
}

static void print_ready(void *ctx, const char *federation, uint16_t port, uint16_t local_port) {
    (void)ctx;
    printf("federation %s, port %u", federation, port);
    if (local_port != 0) printf(", this machine alone: http://127.0.0.1:%u/", local_port);
    printf("\n");
    (void)fflush(stdout);
}

/** "8443", "10.1.2.3:8443", "[::1]:8443", "10.1.2.3"; `address` holds 64. Port 0 is any free one. */
static msfl_status read_listen(const char *text, char *address, msfl_serve_options *o) {
    const char *colon = strrchr(text, ':'), *digits = text;
    size_t n = 0;
    if (colon != NULL && (text[0] == '[' ? colon[-1] == ']' : strchr(text, ':') == colon)) {
        n = (size_t)(colon - text);
        digits = colon + 1;
    } else if (strspn(text, "0123456789") != strlen(text)) {
        n = strlen(text);
        digits = NULL;
    }
    if (n > 0 && text[0] == '[') {
        text++;
        n -= 2;
    }
    if (n > 62) return msfl_fail(MSFL_ERR_USAGE, "--listen: '%.70s' is no numerical address", text);
    if (n > 0) {
        memcpy(address, text, n);
        address[n] = 0;
        o->address = address;
    }
    if (digits == NULL) return MSFL_OK;
    char *end;
    errno = 0;
    const unsigned long port = strtoul(digits, &end, 10);
    if (digits[0] < '0' || digits[0] > '9' || *end != 0 || errno != 0 || port > 65535) {
        return msfl_fail(MSFL_ERR_USAGE, "--listen takes ADDRESS:PORT, ADDRESS or PORT");
    }
    o->port = (uint16_t)port;
    o->any_port = port == 0;
    return MSFL_OK;
}

msfl_status cmd_coordinator(int argc, char **argv) {
    args a = {.local = UINT32_MAX};
    char address[64];
    msfl_unlock *unlock = NULL;
    FILE *log = stderr;
    const cli_option options[] = {
        {"kit", CLI_TEXT, &a.kit, 0, 0, NULL},
        {"state", CLI_TEXT, &a.state, 0, 0, NULL},
        {"listen", CLI_TEXT, &a.listen, 0, 0, NULL},
        {"local", CLI_U32, &a.local, 0, 65535, NULL},
        {"log", CLI_TEXT, &a.log, 0, 0, NULL},
        {"passphrase-file", CLI_TEXT, &a.unlock.passphrase_file, 0, 0, NULL},
        {"keyfile", CLI_TEXT, &a.unlock.key_file, 0, 0, NULL},
        {0},
    };
    msfl_status status = cli_parse(argc, argv, options, NULL, 0, NULL);
    if (status == MSFL_OK && a.kit == NULL) status = msfl_fail(MSFL_ERR_USAGE, "coordinator takes --kit FOLDER");
    msfl_serve_options o = {.kit = a.kit,
                            .state = a.state,
                            .has_local = a.local != UINT32_MAX,
                            .local_port = a.local != UINT32_MAX ? (uint16_t)a.local : 0,
                            .reload = &reloads,
                            .ready = print_ready,
                            .log = print_line};
    if (status == MSFL_OK && a.listen != NULL) status = read_listen(a.listen, address, &o);
    if (status == MSFL_OK && (a.unlock.passphrase_file != NULL || a.unlock.key_file != NULL)) {
        status = cli_unlock_read(&a.unlock, "", "passphrase of the kit", false, &unlock);
    }
    if (status == MSFL_OK && a.log != NULL) {
        log = fopen(a.log, "ae");
        if (log == NULL) status = msfl_fail_errno(errno, "cannot open %s", a.log);
    }
    if (status == MSFL_OK) {
        /* A thread for each connection, and chunks of a ciphertext that come and go in all of them: an arena each would
         * keep what was freed. */
        (void)mallopt(M_ARENA_MAX, 2);
        (void)mallopt(M_MMAP_THRESHOLD, 256 << 10);
        struct sigaction action = {.sa_handler = on_hangup, .sa_flags = SA_RESTART};
        (void)sigaction(SIGHUP, &action, NULL);
        o.stop = cli_cancel_flag();
        o.unlock = unlock;
        o.ctx = log;
        status = msfl_serve(&o);
        cli_warn_of_unlocked_memory();
    }
    if (log != NULL && log != stderr) (void)fclose(log);
    msfl_unlock_free(unlock);
    return status;
}
