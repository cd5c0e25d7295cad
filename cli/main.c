/* medsecurefl: finds the subcommand, prints what went wrong, and says so in the exit status. */
#include "base/error.h"
#include "base/sodium.h"
#include "cmd.h"
#include "columns.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

static const cli_command commands[] = {
#include "commands.inc"
    {NULL, NULL, NULL},
};

enum { N_COMMANDS = sizeof commands / sizeof commands[0] - 1 };

static volatile int cancel_flag;

static void on_signal(int number) {
    if (cancel_flag != 0) _exit(128 + number);
    cancel_flag = 1;
}

const volatile int *cli_cancel_flag(void) {
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    return &cancel_flag;
}

static void print_commands(FILE *out) {
    fprintf(out, "medsecurefl %s: federated training on medical images, with encrypted updates\n\n", msfl_version());
    fprintf(out, "usage: medsecurefl COMMAND [OPTIONS]\n\n");
    for (int i = 0; i < N_COMMANDS; i++)
        fprintf(out, "  %-11s  %s\n", commands[i].name, commands[i].summary);
    fprintf(out, "\n'medsecurefl COMMAND --help' tells more. Exit status: 0 done, 2 wrong use, 130 stopped, others in\n"
                 "docs/guide/exit-codes.md.\n");
}

/* A message may quote names and headings from files: nothing in them may steer a terminal. */
static void print_failure(const char *command, const char *message) {
    msfl_buffer shown = {0};
    (void)cli_put_columns(&shown, message, SIZE_MAX, cli_locale_is_utf8());
    fprintf(stderr, "medsecurefl %s: %.*s\n", command, (int)shown.length,
            shown.status == MSFL_OK ? (const char *)shown.bytes : "");
    if (shown.status != MSFL_OK) fprintf(stderr, "medsecurefl: out of memory\n");
    msfl_buffer_clear(&shown);
}

static bool wants_help(int argc, char **argv) {
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return true;
    }
    return false;
}

int main(int argc, char **argv) {
    /* Keys live in this process: no core file, and no debugger of another user. */
    struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
    struct rlimit locked;
    if (getrlimit(RLIMIT_MEMLOCK, &locked) == 0) {
        locked.rlim_cur = locked.rlim_max; /* keys want locked pages */
        (void)setrlimit(RLIMIT_MEMLOCK, &locked);
    }
#if !defined(__SANITIZE_ADDRESS__)
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file size limit is an error like a full disk */
    if (msfl_crypto_init() != MSFL_OK) {
        fprintf(stderr, "medsecurefl: %s\n", msfl_error_message());
        return msfl_status_exit_code(MSFL_ERR_SYSTEM);
    }
    if (argc < 2) {
        print_commands(stderr);
        return msfl_status_exit_code(MSFL_ERR_USAGE);
    }
    const char *name = argv[1];
    bool help = wants_help(argc - 2, argv + 2);
    if (strcmp(name, "help") == 0 && argc > 2) {
        name = argv[2];
        help = true;
    } else if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        print_commands(stdout);
        return 0;
    }
    if (strcmp(name, "--version") == 0) {
        printf("medsecurefl %s\n", msfl_version());
        return 0;
    }
    for (int i = 0; i < N_COMMANDS; i++) {
        if (strcmp(name, commands[i].name) != 0) continue;
        if (help) {
            const char *page = cli_page(name);
            fputs(page != NULL ? page : "no page\n", stdout);
            return 0;
        }
        msfl_status status = commands[i].run(argc - 2, argv + 2);
        if (status == MSFL_OK && (fflush(stdout) != 0 || ferror(stdout))) {
            status = msfl_fail(MSFL_ERR_IO, "standard output could not be written");
        }
        if (status != MSFL_OK) {
            const char *message = msfl_error_message();
            print_failure(name, message[0] != 0 ? message : msfl_status_text(status));
        }
        return msfl_status_exit_code(status);
    }
    fprintf(stderr, "medsecurefl: there is no command '%s'\n\n", name);
    print_commands(stderr);
    return msfl_status_exit_code(MSFL_ERR_USAGE);
}
